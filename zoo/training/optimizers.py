"""Optimizers by name, each with the field's usual defaults."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zoo.training.schedules import learning_rate

if TYPE_CHECKING:
    import keras

    from zoo.recipe.schema import Phase

    # A float or a LearningRateSchedule; Keras' inferred types admit a float only.
    Rate = Any

MOMENTUM = 0.9


def _adamw(rate: "Rate", weight_decay: float) -> "keras.optimizers.Optimizer":
    import keras

    return keras.optimizers.AdamW(rate, weight_decay=weight_decay, name="adamw")


def _adam(rate: "Rate", weight_decay: float) -> "keras.optimizers.Optimizer":
    import keras

    return keras.optimizers.Adam(rate, weight_decay=weight_decay or None, name="adam")


def _sgd(rate: "Rate", weight_decay: float) -> "keras.optimizers.Optimizer":
    import keras

    return keras.optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True, weight_decay=weight_decay or None, name="sgd")


OPTIMIZERS: "dict[str, Callable[[Rate, float], keras.optimizers.Optimizer]]" = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
}


def build_optimizer(phase: "Phase", *, steps: int, model: "keras.Model") -> "keras.optimizers.Optimizer":
    """Builds a phase's optimizer; weight decay leaves out biases and normalisation, which are vectors.

    Args:
        phase: The recipe's phase.
        steps: Optimizer steps of the whole phase.
        model: Its trainable set is already that of the phase.
    """
    rate = learning_rate(
        peak=phase.learning_rate,
        schedule=phase.schedule,
        steps=steps,
        warmup_steps=round(phase.warmup * steps),
    )
    optimizer = OPTIMIZERS[phase.optimizer](rate, phase.weight_decay)
    if phase.weight_decay:
        vectors = [weight for weight in model.trainable_weights if len(weight.shape) < 2]
        optimizer.exclude_from_weight_decay(var_list=vectors)
    return optimizer
