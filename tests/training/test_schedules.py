import itertools

import keras
import numpy as np
import pytest

from zoo.training.schedules import SHAPES, learning_rate, rate_at

SETTINGS = [
    {"peak": 0.1, "schedule": schedule, "steps": steps, "warmup_steps": warmup}
    for schedule, (steps, warmup) in itertools.product(SHAPES, [(1, 0), (7, 0), (7, 3), (40, 4), (10, 9), (10, 10)])
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s['schedule']}-{s['steps']}-{s['warmup_steps']}")
def test_the_optimizer_uses_the_rate_that_is_told_at_every_step(settings):
    rate = learning_rate(**settings)
    for step in range(settings["steps"] + 2):
        used = rate if isinstance(rate, float) else float(keras.ops.convert_to_numpy(rate(step)))
        assert used == pytest.approx(rate_at(step, **settings), rel=1e-5, abs=1e-8), step


def test_cosine_is_half_the_peak_in_the_middle_and_0_at_the_end():
    rates = [rate_at(step, peak=0.2, schedule="cosine", steps=8, warmup_steps=0) for step in range(9)]
    assert rates[0] == 0.2
    assert rates[4] == pytest.approx(0.1)
    assert rates[2] == pytest.approx(0.2 * (2 + 2**0.5) / 4)  # cos(45 degrees) = sqrt(2) / 2
    assert rates[8] == pytest.approx(0, abs=1e-16)
    assert np.all(np.diff(rates) < 0)
    assert rate_at(9, peak=0.2, schedule="cosine", steps=8, warmup_steps=0) == pytest.approx(0, abs=1e-16)


def test_the_rate_rises_linearly_from_0_and_falls_after_the_warm_up():
    rates = [rate_at(step, peak=0.4, schedule="cosine", steps=12, warmup_steps=4) for step in range(13)]
    assert rates[:5] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert rates[8] == pytest.approx(0.2)  # the middle of what is left
    assert rates[12] == pytest.approx(0, abs=1e-16)


def test_constant_stays():
    assert {rate_at(step, peak=0.3, schedule="constant", steps=5, warmup_steps=0) for step in range(6)} == {0.3}
    warm = [rate_at(step, peak=0.3, schedule="constant", steps=5, warmup_steps=2) for step in range(6)]
    assert warm == pytest.approx([0, 0.15, 0.3, 0.3, 0.3, 0.3])


def test_every_schedule_that_a_recipe_may_name_is_there():
    from zoo.recipe.pending import AVAILABLE_NOW

    assert set(SHAPES) == set(AVAILABLE_NOW["phases.schedule"])
