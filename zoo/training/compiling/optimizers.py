"""A phase's optimizer, as its recipe names it."""

from collections.abc import Mapping
from typing import Any

import keras

from zoo.recipe.schema import Phase
from zoo.registry.optimizers import OPTIMIZERS
from zoo.training.compiling.per_variable import LossScaleOptimizer, per_variable
from zoo.training.compiling.plug_ins import check_settings, checked_optimizer_class, further_arguments
from zoo.training.compiling.schedules import LearningRateSchedule, RisingRate


def build_optimizer(
    phase: Phase,
    rate: LearningRateSchedule | RisingRate,
    *,
    model: keras.Model,
    factors: Mapping[str, float] | None = None,
    ema: float = 0.0,
    accumulate: int = 1,
    clip_norm: float = 0.0,
) -> keras.optimizers.Optimizer:
    """Builds a phase's optimizer; weight decay leaves out biases and normalisation, which are vectors.

    Under mixed_float16 it is wrapped in one that scales the loss, so that small gradients do not become 0.

    Args:
        phase: The recipe's phase.
        rate: Its learning rate by step.
        model: Its trainable set is already that of the phase.
        factors: What the rate is multiplied by, by the path of a variable; 1 for all others.
        ema: Momentum of the moving average of the weights that the optimizer keeps; 0 keeps none.
        accumulate: Batches whose mean gradient makes one step.
        clip_norm: Largest global norm of the gradient; 0 leaves it as it is.
    """
    settings: dict[str, Any] = {"use_ema": True, "ema_momentum": ema} if ema else {}
    if accumulate > 1:
        settings["gradient_accumulation_steps"] = accumulate
    if clip_norm:
        settings["global_clipnorm"] = clip_norm
    row = OPTIMIZERS.lookup(phase.optimizer)
    given = {"weight_decay": phase.weight_decay or None, **further_arguments(row, model, phase.weight_decay)}
    options = row.filled(phase.optimizer_options)
    base: Any = OPTIMIZERS.built(row)
    if not row.is_shipped:
        base = checked_optimizer_class(row, base, options)
    optimizer: Any = per_variable(base, **options)(rate.for_optimizer(), name=row.name, **given, **options, **settings)
    if not row.is_shipped:
        check_settings(row, optimizer, {**given, **settings}, float(rate.at(0)))
    optimizer.factors = dict(factors or {})
    optimizer.phase_name = phase.name
    if phase.weight_decay:
        vectors = [weight for weight in model.trainable_weights if len(weight.shape) < 2]
        optimizer.exclude_from_weight_decay(var_list=vectors)
    if model.dtype_policy.name == "mixed_float16":
        return LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
    return optimizer
