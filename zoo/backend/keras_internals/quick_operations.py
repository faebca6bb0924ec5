"""All operations of TensorFlow that compute what Keras' layers compute, but quicker."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

from zoo.backend.keras_internals.depthwise_convolution import depthwise
from zoo.backend.keras_internals.fused_batchnorm import fused


@contextmanager
def quick_operations(layers: Iterable[Any]) -> Generator[None]:
    """Lets layers compute by them, until the context ends; whatever is traced inside keeps them.

    Args:
        layers: Any layers; those that have no quicker operation are left alone.

    Raises:
        ZooError: The installed Keras has other layers than zoo knows.
    """
    layers = list(layers)
    with fused(layers), depthwise(layers):
        yield
