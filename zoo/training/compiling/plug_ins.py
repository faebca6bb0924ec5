"""What the optimizer, loss or schedule of a plug-in has to do, checked before it trains.

Ours are tested. What another package registers is tried once: a fault is one line that names the row, instead of a
trace from inside a compiled step, or of numbers that nobody doubts.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from zoo.backend.keras_internals import optimizers as internals
from zoo.errors import ZooError, in_one_line, shown
from zoo.registry.losses import LOSSES, LossRow
from zoo.registry.optimizers import OPTIMIZERS, OptimizerRow
from zoo.registry.schedules import SCHEDULES, Schedule, ScheduleRow

# Keras has these names for the mean over a batch.
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
# A rate is that of the recipe at most, but for rounding.
HIGHEST = 1.0 + 1e-6


def checked_loss(row: LossRow, loss: object) -> keras.losses.Loss:
    """Makes sure that a loss gives one value for each image, of which the mean is taken.

    Raises:
        ZooError: It does not.
    """
    if not isinstance(loss, keras.losses.Loss):
        raise LOSSES.fault(row, f"its builder gave {shown(loss)}; expected an instance of keras.losses.Loss")
    made: Any = loss
    if made.reduction not in MEANS:
        raise LOSSES.fault(
            row,
            f"its reduction is {made.reduction!r}; expected 'sum_over_batch_size', which is Keras' default: leave "
            "reduction out",
        )
    labels = keras.KerasTensor((None, 3), dtype="float32")
    try:
        found = _traced(made.call, labels, labels)
    except Exception as fault:
        raise LOSSES.fault(row, f"call fails on labels and probabilities: {in_one_line(fault)}") from fault
    shape = getattr(found, "shape", None)
    if shape is None or len(shape) != 1:
        raise LOSSES.fault(
            row,
            f"call gives the shape {_written(shape)} for labels [batch, 3]; expected [batch], one for each image: "
            "sum or average over axis -1 alone",
        )
    return loss


def checked_schedule(row: ScheduleRow, schedule: object) -> Schedule:
    """Makes sure that a schedule gives shares of the rate, inside a compiled step too.

    Raises:
        ZooError: It does not.
    """
    if not isinstance(schedule, Schedule):
        raise SCHEDULES.fault(row, f"its builder gave {shown(schedule)}; expected a zoo.registry.schedules.Schedule")
    for name, share in (("start", schedule.start), ("warmup", schedule.warmup)):
        if not 0 <= share < 1:
            raise SCHEDULES.fault(row, f"{name} is {share}; expected a share >= 0 and < 1")
    done = np.linspace(0.0, 1.0, 1001)
    for name, shape in (("rise", schedule.rise), ("fall", schedule.fall)):
        try:
            with np.errstate(all="ignore"):
                given = np.asarray(shape(done, np))
                shares = np.broadcast_to(given, done.shape)
        except Exception as fault:
            raise SCHEDULES.fault(row, f"{name}(done, xp) fails on an array: {in_one_line(fault)}") from fault
        if given.dtype.kind not in "fi":
            raise SCHEDULES.fault(row, f"{name} gives {shown(given.flat[0].item())}; expected a number, 0 to 1")
        wrong = ~(np.isfinite(shares) & (shares >= 0) & (shares <= HIGHEST))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise SCHEDULES.fault(
                row, f"{name} gives {shares[first]:g} at {done[first]:g}; expected a share of the rate, 0 to 1"
            )
        if name == "fall" and not shares.any():
            raise SCHEDULES.fault(row, "fall gives 0 throughout, so that nothing trains; expected a share above 0")
        try:
            step: Any = keras.KerasTensor((), dtype="float32")
            compiled = _traced(lambda share, shape=shape: shape(share, keras.ops), step)
        except Exception as fault:
            raise SCHEDULES.fault(
                row,
                f"{name}(done, xp) fails in a compiled step: {in_one_line(fault, at_most=120)}; expected functions of "
                "xp alone, such as xp.where for a condition",
            ) from fault
        if getattr(compiled, "shape", ()) != ():
            raise SCHEDULES.fault(row, f"{name} gives {_written(compiled.shape)} for one share; expected one number")
    return schedule


def checked_optimizer_class(row: OptimizerRow, base: object, options: Mapping[str, Any]) -> type[Any]:
    """Makes sure that a class is an optimizer that moves each variable in `update_step`, as zoo's rates need.

    Raises:
        ZooError: It is not.
    """
    if not (isinstance(base, type) and issubclass(base, keras.optimizers.Optimizer)):
        raise OPTIMIZERS.fault(
            row, f"its builder gave {shown(base)}; expected a subclass of keras.optimizers.Optimizer, not an instance"
        )
    found: Any = base
    try:
        missed = internals.steps_missed(found, **options)
    except ZooError:
        raise
    except NotImplementedError as fault:
        raise OPTIMIZERS.fault(
            row, f"{base.__name__} has no update_step; expected update_step(self, gradient, variable, learning_rate)"
        ) from fault
    except Exception as fault:
        raise OPTIMIZERS.fault(
            row,
            f"{base.__name__} fails in one step of one variable: {in_one_line(fault)}; expected "
            "__init__(self, learning_rate, *, OPTIONS, **settings) and "
            "update_step(self, gradient, variable, learning_rate)",
        ) from fault
    if missed:
        raise OPTIMIZERS.fault(
            row,
            f"{base.__name__} moves weights without {', '.join(sorted(missed))}; expected a class that overrides "
            "build and update_step, and leaves apply to Keras",
        )
    return found


def further_arguments(row: OptimizerRow, model: keras.Model, weight_decay: float) -> Mapping[str, Any]:
    """Asks a row for the arguments that follow from the model.

    Raises:
        ZooError: It is a plug-in's, and fails.
    """
    try:
        return row.arguments(model, weight_decay)
    except Exception as fault:
        if row.is_shipped or isinstance(fault, ZooError):
            raise
        raise OPTIMIZERS.fault(row, f"arguments(model, weight_decay) fails: {in_one_line(fault)}") from fault


def check_settings(row: OptimizerRow, optimizer: Any, settings: Mapping[str, Any], first_rate: float) -> None:
    """Makes sure that an optimizer took what the recipe gives to all.

    Raises:
        ZooError: Its class keeps a setting from Keras, such as the weight decay.
    """
    for name, value in settings.items():
        found = getattr(optimizer, name, value)
        if found != value:
            raise OPTIMIZERS.fault(row, _kept_back(name, found, value))
    rate: Any = keras.ops.convert_to_tensor(optimizer.learning_rate)
    found = float(rate)
    if not np.isclose(found, first_rate, rtol=1e-4, atol=0):
        raise OPTIMIZERS.fault(row, _kept_back("learning_rate", found, first_rate))


class _Called(keras.layers.Layer):
    """A function as a layer, whose result Keras can tell without values."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(name="checked", dtype="float32")
        self._function = function

    def call(self, *tensors: Any) -> Any:
        """Returns what the function does."""
        return self._function(*tensors)


def _traced(function: Callable[..., Any], *tensors: Any) -> Any:
    """Returns what a function gives in a compiled step: its shape and type, without values."""
    return _Called(function).compute_output_spec(*tensors)


def _kept_back(name: str, found: object, expected: object) -> str:
    return (
        f"{name} is {found} where the recipe gives {expected}; expected __init__ to hand on what it is given: "
        "super().__init__(learning_rate, **settings)"
    )


def _written(shape: Any) -> str:
    return (
        "of no tensor" if shape is None else f"[{', '.join('batch' if side is None else str(side) for side in shape)}]"
    )
