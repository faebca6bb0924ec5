from collections import Counter
from dataclasses import replace

import pytest

from tests.jobs.proposing.made import SMALL, costs, draft
from zoo.errors import ZooError
from zoo.jobs.proposing.budget import Choices, fit
from zoo.jobs.proposing.draft import Scope
from zoo.jobs.proposing.forecast import Work, at_size
from zoo.jobs.proposing.measuring import Measured

# Seconds of a batch at 224 pixels, by what trains.
BATCH = {"head": 0.01, "top": 0.2, "all": 2.0}


@pytest.fixture
def machine():
    """A machine on which a batch costs by what trains and by its pixels; counts what was timed on it."""
    timed = Counter()

    def measure(wanted):
        size = wanted.data["image_size"].value
        timed[tuple(wanted.phases), size] += 1
        work = Work(train=2_700, validation=300, batch_size=32, epochs=wanted.epochs)
        return Measured(at_size(costs(**{name: BATCH[name] for name in wanted.phases}), (size / 224) ** 2), work)

    return Choices(decide=draft, measure=measure), timed


def test_what_ends_in_time_is_left_as_it_is(machine):
    found = fit(3_600, machine[0])
    assert (found.draft, found.given_up) == (draft(), ())
    head, rest = 3 + 5 * (85 * 0.01 + 10 * 0.0025 + 0.5), 3 + 9 * (85 * 2 + 10 * 0.5 + 0.5)
    assert found.forecast.seconds == pytest.approx(6 + 3 + head + rest + 5)


def test_epochs_are_given_up_first_as_few_as_it_takes(machine):
    found = fit(1_400, machine[0])
    assert found.draft.epochs == {"head": 5, "all": 7}
    assert found.given_up == ("9 epochs of 'all': it has 7",)
    assert found.forecast.seconds <= 1_400 / 1.1 < found.forecast.seconds + 175.5


def test_then_the_layers_below_the_last_stages(machine):
    choices, timed = machine
    found = fit(300, choices)
    assert found.draft.epochs == {"head": 5, "top": 9}
    assert found.given_up == ("training all layers: the last three stages train after the head",)
    assert timed == {(("head", "all"), 224): 1, (("head", "top"), 224): 1}


def test_then_pixels_and_sizes_that_cannot_do_are_not_timed(machine):
    choices, timed = machine
    found = fit(70, choices)
    size = found.draft.data["image_size"].value
    assert 64 <= size < 224
    assert found.draft.phases["top"]["train"].value == "last:3"
    assert f"images of 224 pixels: they go in with {size}" in found.given_up
    assert max(timed.values()) == 1
    assert len(timed) <= 4


def test_then_all_but_the_head(machine):
    choices, timed = machine
    found = fit(20, choices)
    assert list(found.draft.phases) == ["head"]
    # What the head costs alone is known from where it was timed with others.
    assert all(len(phases) > 1 for phases, _ in timed)
    assert found.given_up[0] == "training all layers: the head alone trains"


def test_what_cannot_be_met_is_said_with_what_can(machine):
    with pytest.raises(ZooError, match=r"^--budget 5\.0 s: the least run of model 'efficientnet_lite0' .* takes about"):
        fit(5, machine[0])
    assert machine[1].total() == 1
    try:
        fit(5, machine[0])
    except ZooError as fault:
        least = int(str(fault).partition("expected --budget ")[2].partition("s or more")[0])
    assert fit(least, machine[0]).forecast.seconds <= least
    with pytest.raises(ZooError):
        fit(least - 2, machine[0])


def test_a_forecast_within_its_error_is_within_the_budget(machine):
    for budget in range(30, 2_000, 70):
        assert 1.1 * fit(budget, machine[0]).forecast.seconds <= budget + 1e-6


def test_a_net_whose_size_is_fixed_keeps_it(machine):
    choices = replace(machine[0], decide=lambda scope: draft(scope, model=SMALL))
    found = fit(200, choices)
    assert found.draft.data["image_size"].value == 28


def test_a_size_that_is_asked_for_is_not_given_up(machine):
    choices = replace(machine[0], decide=lambda scope: draft(replace(scope, asked_size=160)), smallest=160)
    assert fit(40, choices).draft.data["image_size"].value == 160
    assert draft(Scope(asked_size=160)).data["image_size"].value == 160
