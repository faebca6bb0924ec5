"""Whether a result is the locked one: beside numbers computed by hand and by SciPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.sharing.made import make_lock
from tests.tiny import result
from zoo.sharing.locks.lock import ExpectedMetric
from zoo.sharing.reproduction.trying import Outcome
from zoo.sharing.reproduction.verdicts import compared_losses, compared_metrics, verdict_of_losses, verdict_of_run

EXPECTED = make_lock().expected  # accuracy 0.75 within 0.3 to 0.95, and the model "d" * 64


def came_to(accuracy, model="d" * 64):
    return Outcome(losses=("0x1.8p+0",), model_sha256=model, result=result(accuracy=accuracy))


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (came_to(0.75), "bitwise equal"),
        (came_to(0.75, model="e" * 64), "within tolerance"),
        (came_to(0.3, model="e" * 64), "within tolerance"),
        (came_to(0.29, model="e" * 64), "does not hold"),
        (came_to(0.5), "within tolerance"),  # the same model, and other images validate
    ],
)
def test_a_run_is_the_same_near_or_another(outcome, verdict):
    assert verdict_of_run(EXPECTED, outcome) == verdict


def test_without_figures_only_the_same_model_holds():
    expected = replace(EXPECTED, metrics={}, split=None)
    nothing = Outcome(model_sha256="d" * 64, result=replace(result(), metrics={}))
    assert verdict_of_run(expected, nothing) == "bitwise equal"
    assert verdict_of_run(expected, replace(nothing, model_sha256="e" * 64)) == "does not hold"


@pytest.mark.parametrize("runs", [2, 3, 5, 11])
def test_several_runs_give_the_interval_that_the_next_one_is_in(runs):
    values = np.linspace(0.7, 0.8, runs)
    metric = ExpectedMetric(value=0.7, mean=float(values.mean()), deviation=float(values.std(ddof=1)))
    (found,) = compared_metrics(replace(EXPECTED, runs=runs, metrics={"accuracy": metric}), came_to(0.7))
    reach = stats.t.ppf(0.975, runs - 1) * values.std(ddof=1) * math.sqrt(1 + 1 / runs)
    assert found.low == pytest.approx(values.mean() - reach, rel=1e-3)
    assert found.high == pytest.approx(values.mean() + reach, rel=1e-3)


def hexadecimal(*losses):
    return tuple(float(loss).hex() for loss in losses)


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        (hexadecimal(1, 0.5), hexadecimal(1, 0.5), "bitwise equal"),
        (hexadecimal(1, 0.5), hexadecimal(1, 0.5 + 2**-54), "bitwise equal"),  # the same number
        (hexadecimal(1, 0.5), hexadecimal(1, 0.5 + 2**-50), "within tolerance"),
        (hexadecimal(1, 0.5), hexadecimal(1, 0.5005), "within tolerance"),
        (hexadecimal(1, 0.5), hexadecimal(1, 0.501), "does not hold"),
        (hexadecimal(1, 0.5), hexadecimal(1), "does not hold"),
        ((), (), "does not hold"),
    ],
)
def test_losses_are_the_same_near_or_others(then, now, verdict):
    assert verdict_of_losses(then, now) == verdict


def test_it_is_said_how_many_losses_are_the_same_and_how_far_the_others_are_apart():
    found = compared_losses(hexadecimal(1, 2, 4), hexadecimal(1, 2.5, 4))
    assert (found.batches, found.equal, found.gap) == (3, 1, 0.25)


@pytest.mark.parametrize(("then", "now"), [(0.5, float("nan")), (0.0, 0.7), (float("inf"), 1.0), (0.5, float("inf"))])
def test_losses_that_no_share_parts_do_not_hold(then, now):
    hexadecimal = [[one.hex() for one in losses] for losses in ([0.25, then], [0.25, now])]
    found = compared_losses(*hexadecimal)
    assert (found.batches, found.equal, found.gap) == (2, 1, None)
    assert verdict_of_losses(*hexadecimal) == "does not hold"
