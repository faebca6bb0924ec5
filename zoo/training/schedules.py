"""Learning-rate schedules: pure functions of the step, so that a run can be resumed anywhere."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

# Each takes the share of the phase that is done, in [0, 1], and returns the share of the peak rate.
SHAPES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}


def rate_at(step: int, *, peak: float, schedule: str, steps: int, warmup_steps: int) -> float:
    """Returns the learning rate at a step of a phase.

    Args:
        step: Optimizer steps done in the phase, from 0.
        peak: The recipe's learning rate.
        schedule: A name in `SHAPES`.
        steps: Optimizer steps of the whole phase.
        warmup_steps: Steps over which the rate first rises linearly from 0.
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    return peak * SHAPES[schedule](min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps)))


def learning_rate(
    *, peak: float, schedule: str, steps: int, warmup_steps: int
) -> "float | keras.optimizers.schedules.LearningRateSchedule":
    """Returns what a Keras optimizer takes for the same function of the step as `rate_at`.

    Cosine with warm-up is `CosineDecay` (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts).
    """
    import keras

    if schedule == "constant" and not warmup_steps:
        return peak
    if schedule == "constant":
        return keras.optimizers.schedules.PolynomialDecay(
            initial_learning_rate=0.0, decay_steps=warmup_steps, end_learning_rate=peak
        )
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else peak,
        decay_steps=max(1, steps - warmup_steps),
        warmup_target=peak if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
