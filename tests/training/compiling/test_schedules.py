import math

import keras
import numpy as np
import pytest

from zoo.recipe.schema import Phase
from zoo.training.compiling.schedules import SCHEDULES, RateByStep

PEAK = 0.2


def rates(schedule, steps, warmup=0.0):
    rate = RateByStep(peak=PEAK, schedule=schedule, steps=steps, warmup=warmup)
    return [float(rate.at(step)) for step in range(steps + 1)]


def test_every_schedule_that_a_recipe_may_name_is_there():
    assert set(SCHEDULES) == set(Phase.model_json_schema()["properties"]["schedule"]["enum"])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (7, 0.0), (40, 0.1), (10, 0.9)])
def test_the_optimizer_uses_the_rate_that_is_told_at_every_step(schedule, steps, warmup):
    rate = RateByStep(peak=PEAK, schedule=schedule, steps=steps, warmup=warmup)
    optimizer = keras.optimizers.SGD(rate.for_optimizer())
    for step in range(steps + 2):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(float(rate.at(step)), rel=1e-5, abs=1e-7)


def peer(schedule, steps):
    values = keras.optimizers.schedules
    return {
        "cosine": values.CosineDecay(PEAK, steps),
        "linear": values.PolynomialDecay(PEAK, steps, end_learning_rate=0.0),
        # Keras' boundaries belong to the value before them.
        "step": values.PiecewiseConstantDecay([steps // 2 - 1, 3 * steps // 4 - 1], [PEAK, PEAK / 10, PEAK / 100]),
    }[schedule]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "step"])
def test_equals_keras_own_schedule(schedule):
    keras_rate = peer(schedule, 40)
    assert rates(schedule, 40) == pytest.approx([float(keras_rate(step)) for step in range(41)], rel=1e-5, abs=1e-7)


def test_bit_falls_to_a_tenth_at_30_60_and_90_percent():
    # arXiv:1912.11370, section 3.3.
    shares = [round(rate / PEAK, 6) for rate in rates("bit", 10)[:10]]
    assert shares == [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001]


def test_cosine_with_warm_up_equals_keras_own():
    keras_rate = keras.optimizers.schedules.CosineDecay(0.0, 36, warmup_target=PEAK, warmup_steps=4)
    expected = [float(keras_rate(step)) for step in range(41)]
    assert rates("cosine", 40, warmup=0.1) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_cosine_is_half_the_peak_in_the_middle_and_0_at_the_end():
    found = rates("cosine", 8)
    assert found[0] == PEAK
    assert found[4] == pytest.approx(PEAK / 2)
    assert found[2] == pytest.approx(PEAK * (2 + 2**0.5) / 4)  # cos(45 degrees) = sqrt(2) / 2
    assert found[8] == pytest.approx(0, abs=1e-16)


def test_constant_stays_after_its_warm_up():
    assert set(rates("constant", 5)) == {PEAK}
    assert rates("constant", 5, warmup=0.4) == pytest.approx([0, PEAK / 2, PEAK, PEAK, PEAK, PEAK])


def test_one_cycle_is_that_of_fastai():
    # Cosine from peak/25 up over the first 30 %, cosine down to peak/250,000.
    found = rates("one_cycle", 100)
    assert found[0] == pytest.approx(PEAK / 25)
    assert found[15] == pytest.approx(PEAK / 25 + (PEAK - PEAK / 25) / 2)
    assert found[30] == pytest.approx(PEAK)
    assert found[65] == pytest.approx((PEAK + PEAK / 250_000) / 2)
    assert found[100] == pytest.approx(PEAK / 250_000)
    assert max(found) == found[30]
    assert rates("one_cycle", 100, warmup=0.5)[50] == pytest.approx(PEAK)
    assert not math.isclose(found[50], PEAK)


def test_rates_of_many_steps_at_once():
    rate = RateByStep(peak=PEAK, schedule="cosine", steps=40, warmup=0.1)
    assert rate.at(np.arange(41)).tolist() == pytest.approx(rates("cosine", 40, warmup=0.1))
