"""What an optimizer knows of the variables that it trained, which goes on from phase to phase."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from zoo.backend.keras_internals import optimizers as internals
from zoo.backend.keras_internals.optimizers import inner_optimizer
from zoo.training.compiling.per_variable import STEPS_BEFORE, read

# What belongs to one phase: its step counter, its rate, gradients that were not applied, and ages.
OF_ONE_PHASE = ("iteration", "learning_rate", "gradient_accumulator", STEPS_BEFORE)


@dataclass(frozen=True)
class OptimizerState:
    """What an optimizer knows of the variables that it trained.

    Attributes:
        slots: Its variables by path; the path names optimizer, variable and slot.
        steps: By a variable's path: the steps that it was trained without a break.
        averages: Its moving average by a variable's path; empty where none is kept.
    """

    slots: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    steps: dict[str, int] = field(default_factory=dict[str, int])
    averages: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])


def state_of(optimizer: Any) -> OptimizerState:
    """Reads what the next phase's optimizer can go on with."""
    inner = inner_optimizer(optimizer)
    steps = int(read(inner.steps_in_phase))
    before = read(inner.steps_before)
    trained = internals.trained_variables(inner)
    return OptimizerState(
        slots={
            variable.path: read(variable).copy()
            for variable in optimizer.variables
            if not variable.name.endswith(OF_ONE_PHASE)
        },
        steps={weight.path: int(age) + steps for weight, age in zip(trained, before, strict=True)},
        averages={path: read(average).copy() for path, average in moving_averages(optimizer).items()},
    )


def load_averages(model: keras.Model, state: OptimizerState) -> None:
    """Gives each weight that is not trained any more its moving average, which is what was validated."""
    trained = {id(weight) for weight in model.trainable_weights}
    for weight in model.weights:
        if weight.path in state.averages and id(weight) not in trained:
            weight.assign(state.averages[weight.path])


def load_state(optimizer: Any, state: OptimizerState) -> None:
    """Lets a built optimizer go on with the slots of the variables that the one before trained too.

    Another kind of optimizer has other slots: then all begin anew.
    """
    inner = inner_optimizer(optimizer)
    for variable in optimizer.variables:
        if variable.path in state.slots:
            variable.assign(state.slots[variable.path])
    # What scales the loss goes on whatever it is wrapped around; ages go on with the slots.
    if any(variable.path in state.slots for variable in inner.variables):
        trained = internals.trained_variables(inner)
        inner.steps_before.assign([state.steps.get(weight.path, 0) for weight in trained])


def loss_scale(optimizer: Any) -> float | None:
    """Returns what mixed_float16 multiplies the loss by at the moment; None under the other policies."""
    scale = getattr(optimizer, "dynamic_scale", None)
    return None if scale is None else float(read(scale))


def applied_steps(optimizer: Any) -> int:
    """Returns the steps of this phase that were taken; mixed_float16 skips those whose gradients are not finite."""
    return int(read(internals.applied_batches(inner_optimizer(optimizer))))


def moving_averages(optimizer: Any) -> dict[str, Any]:
    """Returns the moving average of each trained weight by the weight's path; empty where none is kept."""
    inner = inner_optimizer(optimizer)
    averages = internals.moving_averages(inner)
    paths = (weight.path for weight in internals.trained_variables(inner))
    return dict(zip(paths, averages, strict=True)) if averages else {}
