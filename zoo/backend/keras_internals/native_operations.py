"""Operations of TensorFlow in place of what Keras 3 composes of several, or leaves to XLA: quicker, rounded otherwise.

`ZOO_NATIVE_OPERATIONS=0` leaves all to Keras.
"""

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

from zoo.backend.keras_internals.depthwise_convolution import depthwise
from zoo.backend.keras_internals.fused_batchnorm import fused

SWITCH = "ZOO_NATIVE_OPERATIONS"


def is_used() -> bool | None:
    """Returns whether they compute what zoo trains and predicts; None with another backend than TensorFlow."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return None
    return not is_switched_off(os.environ)


def is_switched_off(environment: Mapping[str, str]) -> bool:
    """Returns whether the variables of a process leave all to Keras."""
    return environment.get(SWITCH, "1").strip().lower() in ("0", "off", "false", "no")


@contextmanager
def native_operations(layers: Iterable[Any]) -> Generator[None]:
    """Lets layers compute by them, until the context ends; whatever is traced inside keeps them.

    The layers, their weights and what is saved or exported stay as they are.

    Args:
        layers: Any layers; those that have none are left alone.

    Raises:
        ZooError: The installed Keras has other layers than zoo knows.
    """
    if not is_used():
        yield
        return
    layers = list(layers)
    with fused(layers), depthwise(layers):
        yield
