import pytest

from zoo.jobs.proposing.forecast import Work, forecast
from zoo.jobs.proposing.timeline import Event, Timeline, costs_of


def timeline(*rows):
    """Makes events of (seconds, kind, name, number)."""
    return [Event(*row) for row in rows]


# Two phases of two epochs of two batches of ten images, of which ten validate in one batch. The head's prefix is run on
# 30 images in 3 s. Each first batch takes longer.
EVENTS = timeline(
    (1.0, "begin", "reading train images", 20),
    (1.5, "end", "reading train images", 20),
    (2.0, "begin", "frozen layers, train images", 20),
    (3.0, "move", "frozen layers, train images", 10),
    (4.0, "move", "frozen layers, train images", 20),
    (4.0, "end", "frozen layers, train images", 20),
    (4.0, "begin", "frozen layers, validation images", 10),
    (5.0, "move", "frozen layers, validation images", 10),
    (5.0, "end", "frozen layers, validation images", 10),
    (6.0, "begin", "head", 4),
    (8.0, "move", "head", 1),
    (8.1, "move", "head", 2),
    (8.2, "test"),
    (8.9, "test_batch", "", 0),
    (9.0, "tested"),
    (9.5, "epoch", "head", 1),
    (9.6, "move", "head", 3),
    (9.7, "move", "head", 4),
    (9.7, "test"),
    (9.8, "test_batch", "", 0),
    (9.8, "tested"),
    (10.0, "epoch", "head", 2),
    (10.5, "end", "head", 4),
    (11.0, "begin", "all", 4),
    (21.0, "move", "all", 1),
    (23.0, "move", "all", 2),
    (23.0, "test"),
    (27.0, "test_batch", "", 0),
    (27.0, "tested"),
    (27.5, "epoch", "all", 1),
    (29.5, "move", "all", 3),
    (31.5, "move", "all", 4),
    (31.5, "test"),
    (32.2, "test_batch", "", 0),
    (32.2, "tested"),
    (32.7, "epoch", "all", 2),
    (33.0, "end", "all", 4),
)
WORK = Work(train=20, validation=10, batch_size=10, epochs={"head": 2, "all": 2})


def test_a_short_run_is_taken_apart_by_hand():
    costs = costs_of(EVENTS, began=0.5, ended=36.0, work=WORK)
    assert costs.build == 1.0
    head, all_of_it = costs.phases["head"], costs.phases["all"]
    assert head.pass_image == pytest.approx(3.0 / 30)
    assert (head.batch, all_of_it.batch) == (pytest.approx(0.1), pytest.approx(2.0))
    # The second epoch of all took 5.2: two batches of 2.0; one batch validated, which takes a third of one.
    assert all_of_it.validation_batch == pytest.approx(2.0 / 3)
    assert all_of_it.epoch == pytest.approx(5.2 - 4.0 - 2.0 / 3)
    assert costs.end == pytest.approx(3.0 - 2.0 / 3)


def test_the_parts_add_up_to_what_the_short_run_took():
    costs = costs_of(EVENTS, began=0.5, ended=36.0, work=WORK)
    assert forecast(costs, WORK).seconds == pytest.approx(36.0 - 0.5)


def test_validation_is_timed_where_it_has_batches():
    slow = [
        *EVENTS[:-4],
        Event(32.2, "test_batch", "", 0),
        Event(32.5, "test_batch", "", 1),
        Event(32.7, "epoch", "all", 2),
        Event(33.0, "end", "all", 4),
    ]
    assert costs_of(slow, began=0.5, ended=36.0, work=WORK).phases["all"].validation_batch == pytest.approx(0.3)


def test_a_batch_that_something_else_held_up_does_not_count():
    moves = [0.0, 1.0, 2.2, 3.2, 9.0, 10.0]
    rows = [Event(10 + seconds, "move", "all", number) for number, seconds in enumerate(moves, 1)]
    events = [Event(9.0, "begin", "all", 6), *rows, Event(20.5, "epoch", "all", 1), Event(21.0, "end", "all", 6)]
    work = Work(train=60, validation=0, batch_size=10, epochs={"all": 1})
    assert costs_of(events, began=8.0, ended=22.0, work=work).phases["all"].batch == pytest.approx(4.2 / 4)


def test_a_timeline_notes_bars_and_epochs_with_its_clock():
    moments = iter(range(10))
    noted = Timeline(clock=lambda: float(next(moments)))
    with noted as display:
        with display.bar("head", 2) as move:
            move(1, "loss 1")
        display.line("not an event")
        display.epoch({"phase": "head", "epoch_in_phase": 1}, phase_epochs=2)
    assert noted.events == [
        Event(0.0, "begin", "head", 2),
        Event(1.0, "move", "head", 1),
        Event(2.0, "end", "head", 2),
        Event(3.0, "epoch", "head", 1),
    ]
