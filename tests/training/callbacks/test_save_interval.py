import pytest

from zoo.training.callbacks.save_interval import SaveInterval


def due_at(interval, clock, seconds, *, step=1, is_whole_step=True):
    before, clock.now = clock.now, clock.now + seconds
    due = interval.is_due(step, is_whole_step=is_whole_step)
    clock.now = before
    return due


@pytest.mark.parametrize(("every", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200)])
def test_a_time_is_counted_from_the_last_save(clock, every, seconds):
    interval = SaveInterval(every, clock=clock)
    for _ in range(2):
        assert not due_at(interval, clock, seconds - 0.1)
        assert due_at(interval, clock, seconds)
        clock.now += seconds
        interval.saved(1, cost=1e9)


def test_a_number_of_steps_is_counted_over_the_whole_run_and_waits_for_whole_steps(clock):
    interval, saved = SaveInterval("200 steps", clock=clock), []
    interval.begin(1)
    for step in range(1, 801):
        assert not interval.is_due(step, is_whole_step=False)
        # The save of step 400 is still being written until step 405; and an epoch ends in step 500.
        if (interval.is_due(step, is_whole_step=True) and not 400 <= step < 405) or step == 500:
            saved.append(step)
            interval.saved(step, cost=0)
    assert saved == [200, 405, 500, 600, 800]
    assert not due_at(interval, clock, 1e6)


def test_by_the_ends_of_epochs_nothing_is_due_inside_of_one(clock):
    assert not due_at(SaveInterval("epoch_end", clock=clock), clock, 1e9)


@pytest.mark.parametrize(("cost", "seconds"), [(0.001, 4), (0.04, 4), (0.1, 10), (0.3, 30), (7, 30)])
def test_by_epoch_one_is_due_as_often_as_takes_a_hundredth_of_the_time(clock, cost, seconds):
    interval = SaveInterval("epoch", clock=clock)
    assert due_at(interval, clock, 4)
    interval.saved(1, cost=cost)
    assert not due_at(interval, clock, seconds - 0.1)
    assert due_at(interval, clock, seconds + 0.1)


def test_what_comes_before_the_first_batch_does_not_count(clock):
    interval = SaveInterval("epoch", clock=clock)
    clock.now += 60
    interval.begin(0)
    assert not due_at(interval, clock, 3)
