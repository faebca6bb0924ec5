"""Optimizers by name, each with the field's usual defaults."""

from collections.abc import Callable
from typing import Any

import keras

from zoo.recipe.schema import Phase
from zoo.training.schedules import RateByStep

MOMENTUM = 0.9

# Each takes a learning-rate schedule, the weight decay and further settings.
OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adamw": lambda rate, decay, **settings: keras.optimizers.AdamW(rate, weight_decay=decay, name="adamw", **settings),
    "adam": lambda rate, decay, **settings: keras.optimizers.Adam(
        rate, weight_decay=decay or None, name="adam", **settings
    ),
    "sgd": lambda rate, decay, **settings: keras.optimizers.SGD(
        rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay or None, name="sgd", **settings
    ),
}


def build_optimizer(
    phase: Phase, rate: RateByStep, *, model: keras.Model, ema: float = 0.0
) -> keras.optimizers.Optimizer:
    """Builds a phase's optimizer; weight decay leaves out biases and normalisation, which are vectors.

    Args:
        phase: The recipe's phase.
        rate: Its learning rate by step.
        model: Its trainable set is already that of the phase.
        ema: Momentum of the moving average of the weights that the optimizer keeps; 0 keeps none.
    """
    settings: dict[str, Any] = {"use_ema": True, "ema_momentum": ema} if ema else {}
    optimizer = OPTIMIZERS[phase.optimizer](rate.for_optimizer(), phase.weight_decay, **settings)
    if phase.weight_decay:
        vectors = [weight for weight in model.trainable_weights if len(weight.shape) < 2]
        optimizer.exclude_from_weight_decay(var_list=vectors)
    return optimizer


def moving_averages(optimizer: Any) -> dict[str, Any]:
    """Returns the moving average of each trained weight by the weight's path; empty where none is kept."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # mixed_float16 wraps the optimizer for loss scaling
    if not inner.use_ema:
        return {}
    return {
        weight.path: average
        for weight, average in zip(inner._trainable_variables, inner._model_variables_moving_average, strict=True)
    }
