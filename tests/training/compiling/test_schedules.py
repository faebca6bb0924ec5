import math

import keras
import numpy as np
import pytest

from zoo.recipe.schema import Phase
from zoo.registry.schedules import SCHEDULES, Schedule, ScheduleRow
from zoo.registry.tables import Option
from zoo.training.compiling.schedules import KerasSchedule, LearningRateSchedule

PEAK = 0.2


def rates(schedule, steps, warmup=0.0, **options):
    rate = LearningRateSchedule(peak=PEAK, schedule=schedule, batches=steps, warmup=warmup, options=options)
    return [float(rate.at(step)) for step in range(steps + 1)]


def test_every_schedule_that_a_recipe_may_name_is_there():
    assert SCHEDULES.names() == Phase.model_json_schema()["properties"]["schedule"]["enum"]


@pytest.mark.parametrize("schedule", SCHEDULES.names())
@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.0), (7, 0.0), (40, 0.1), (10, 0.9)])
def test_the_optimizer_uses_the_rate_of_the_schedule_at_every_step(schedule, steps, warmup):
    rate = LearningRateSchedule(peak=PEAK, schedule=schedule, batches=steps, warmup=warmup)
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
    rate = LearningRateSchedule(peak=PEAK, schedule="cosine", batches=40, warmup=0.1)
    assert rate.at(np.arange(41)).tolist() == pytest.approx(rates("cosine", 40, warmup=0.1))


def test_cosine_with_restarts_equals_keras_own():
    # 4 steps, then 8, then 16, each from half the height of the one before; Keras counts the cycles from their lengths.
    keras_rate = keras.optimizers.schedules.CosineDecayRestarts(PEAK, 4, t_mul=2.0, m_mul=0.5, alpha=0.0)
    expected = [float(keras_rate(step)) for step in range(28)]
    found = rates("cosine_restarts", 28, cycles=3, t_mul=2.0, m_mul=0.5)
    assert found[:28] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert found[28] == pytest.approx(0, abs=1e-12)


def test_each_restart_begins_at_the_peak():
    found = rates("cosine_restarts", 30)
    assert [step for step in range(30) if found[step] == pytest.approx(PEAK)] == [0, 10, 20]


def test_exponential_falls_by_the_same_factor_each_step():
    found = rates("exponential", 10, end_factor=0.001)
    assert found[10] == pytest.approx(PEAK / 1000)
    assert found[5] == pytest.approx(PEAK / 1000**0.5)
    assert np.divide(found[1:], found[:-1]) == pytest.approx([0.001**0.1] * 10)


def test_polynomial_equals_keras_own():
    keras_rate = keras.optimizers.schedules.PolynomialDecay(PEAK, 20, end_learning_rate=PEAK / 4, power=3.0)
    expected = [float(keras_rate(step)) for step in range(21)]
    assert rates("polynomial", 20, power=3, end_factor=0.25) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "polynomial", "cosine_restarts", "one_cycle", "exponential"])
def test_a_schedule_ends_where_its_option_says(schedule):
    assert rates(schedule, 40, end_factor=0.25)[40] == pytest.approx(PEAK / 4)


def test_steps_fall_at_their_milestones_by_gamma():
    found = rates("step", 10, milestones=[0.8, 0.2], gamma=0.5)
    assert found == pytest.approx([PEAK] * 2 + [PEAK / 2] * 6 + [PEAK / 4] * 3)


def test_a_rate_with_options_survives_its_configuration():
    rate = LearningRateSchedule(peak=PEAK, schedule="step", batches=10, options={"milestones": [0.2], "gamma": 0.5})
    again = KerasSchedule.from_config(rate.for_optimizer().get_config())
    assert [float(again(step)) for step in range(11)] == pytest.approx([float(rate.at(step)) for step in range(11)])


def test_a_registered_schedule_is_one_of_a_phase():
    def falling(depth):
        return Schedule(fall=lambda done, xp: 1.0 - depth * done)

    before = dict(SCHEDULES._rows)
    try:
        SCHEDULES.register(
            ScheduleRow(name="falling", summary="", options={"depth": Option(default=0.5)}, build=falling)
        )
        phase = Phase(name="all", train="all", learning_rate=PEAK, schedule="falling", schedule_options={"depth": 0.2})
        rate = LearningRateSchedule.of_phase(phase, 10)
        assert float(rate.at(10)) == pytest.approx(PEAK * 0.8)
        assert float(rate.for_optimizer()(10)) == pytest.approx(PEAK * 0.8)
    finally:
        SCHEDULES._rows.clear()
        SCHEDULES._rows.update(before)
