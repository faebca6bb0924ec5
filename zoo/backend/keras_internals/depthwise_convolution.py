"""Conv2D with a group for each channel by TensorFlow's depthwise convolution, in place of the XLA that Keras takes.

Keras computes every grouped convolution on TensorFlow by XLA, since "grouped convolutions are broken on CPU without
XLA": https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/nn.py. XLA's code for them on a CPU
takes some 60 times as long as the depthwise convolution, which is not broken; they were four fifths of a training step
of ConvNeXt. docs/upstream.md has the text of an issue for Keras.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

from zoo.backend.keras_internals.guard import private

_SOURCE = "keras/src/layers/convolutional/base_conv.py"


@contextmanager
def depthwise(layers: Iterable[Any], *, everywhere: bool = False) -> Generator[tuple[str, ...]]:
    """Lets Conv2D layers with a group for each channel compute by `tf.nn.depthwise_conv2d`, until the context ends.

    The layers, their weights and what is saved stay as they are; whatever is traced inside keeps the operation. Numbers
    are those of Keras' layer up to the rounding of float32. On a GPU, with channels first, and with strides that differ
    or meet a dilation, Keras' own code computes.

    Args:
        layers: Any layers; others are left alone.
        everywhere: Whether on a GPU too: what is traced for another machine is to hold no XLA.

    Yields:
        The names of those that are computed so.

    Raises:
        ZooError: The installed Keras computes Conv2D by another method than zoo knows.
    """
    changed = [layer for layer in layers if _is_known(layer)] if everywhere or _is_slow() else []
    try:
        for layer in changed:
            layer.convolution_op = _operation(layer.groups, layer.strides, layer.padding, layer.dilation_rate)
        yield tuple(layer.name for layer in changed)
    finally:
        for layer in changed:
            vars(layer).pop("convolution_op", None)


def _is_slow() -> bool:
    """Returns whether Keras computes grouped convolutions by XLA on a CPU."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")


def _is_known(layer: Any) -> bool:
    import keras

    kind = keras.layers.Conv2D
    if not isinstance(layer, kind) or layer.groups == 1 or layer.data_format != "channels_last" or not layer.built:
        return False
    keras_own = private(kind, "convolution_op", source=_SOURCE)
    if type(layer).convolution_op is not keras_own or "convolution_op" in vars(layer):
        return False
    # TensorFlow refuses the others.
    is_taken = len(set(layer.strides)) == 1 and (set(layer.strides) == {1} or set(layer.dilation_rate) == {1})
    kernel: Any = layer.kernel
    return kernel.shape[2] == 1 and is_taken


def _operation(
    groups: int, strides: tuple[int, int], padding: str, dilation_rate: tuple[int, int]
) -> Callable[[Any, Any], Any]:
    """Returns what computes a layer's convolution, as `Conv2D.convolution_op` does."""
    import tensorflow as tf

    def convolution_op(inputs: Any, kernel: Any) -> Any:
        height, width, _, filters = kernel.shape
        # The filters of a channel lie side by side in both.
        by_channel = tf.reshape(tf.convert_to_tensor(kernel), (height, width, groups, filters // groups))
        return tf.nn.depthwise_conv2d(
            inputs, by_channel, (1, *strides, 1), padding.upper(), dilations=tuple(dilation_rate)
        )

    return convolution_op
