"""An optimizer's step where each of several devices has a copy of every variable.

Keras sums gradients up over devices late, in the step itself: it clips each device's own part of the gradient, and its
accumulation calls for all devices from inside a branch, which TensorFlow refuses. Here the gradients are those of the
whole batch already, the same on each device, and each device moves its own copies by them. The names are those of
https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/optimizer.py.
"""

from collections.abc import Sequence
from types import MethodType
from typing import Any

from zoo.backend.keras_internals.guard import private, unsupported

_SOURCE = "keras/src/backend/tensorflow/optimizer.py"


def update_each_copy(optimizer: Any) -> None:
    """Lets an optimizer take its steps inside a replica, by gradients that are summed up over all replicas already.

    Args:
        optimizer: That which moves variables, made inside the strategy's scope.

    Raises:
        ZooError: The installed Keras takes its steps by other methods than zoo knows.
    """
    for name, instead in (
        ("_backend_update_step", _update),
        ("_backend_increment_gradient_accumulators", _accumulate),
    ):
        found = private(optimizer, name, source=_SOURCE)
        expected = instead.__code__.co_argcount - 1
        if found.__code__.co_argcount - 1 != expected:
            raise unsupported(
                f"{type(optimizer).__name__}.{name} takes {found.__code__.co_argcount - 1} arguments",
                expected=str(expected),
                source=_SOURCE,
            )
        setattr(optimizer, name, MethodType(instead, optimizer))


def run_on_first(model: Any) -> Any:
    """Lets a model that was made inside the strategy's scope predict and evaluate by its first copy, for callbacks.

    Keras would do so on all devices, with metrics that are not made for them. Returns the model.
    """
    private(model, "_distribute_strategy", source="keras/src/backend/tensorflow/trainer.py")
    model._distribute_strategy = None
    return model


def _update(optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
    import keras

    for gradient, variable in zip(gradients, variables, strict=True):
        # As Keras hands it on with TensorFlow.
        own = variable.value if isinstance(variable, keras.Variable) else variable
        optimizer.update_step(gradient, own, rate)


def _accumulate(_: Any, gradients: Sequence[Any], accumulators: Sequence[Any]) -> None:
    for gradient, accumulator in zip(gradients, accumulators, strict=True):
        accumulator.assign(accumulator + gradient)
