"""BatchNormalization by TensorFlow's one operation for it, in place of the several that Keras 3 composes it of.

Keras 3 takes the mean, the variance and the normalisation of a training batch apart into `tf.nn.moments` and
`tf.nn.batch_normalization`, each of which goes over the whole activation several times, forwards and backwards:
https://github.com/keras-team/keras/blob/v3.15.1/keras/src/backend/tensorflow/nn.py. `FusedBatchNormV3`, which Keras 2
trained with, is the same arithmetic in one pass each way. docs/upstream.md has the text of an issue for Keras.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

from zoo.backend.keras_internals.guard import unsupported

# cuDNN refuses a smaller epsilon (CUDNN_BN_MIN_EPSILON).
SMALLEST_EPSILON_ON_GPU = 1e-5
_SOURCE = "keras/src/layers/normalization/batch_normalization.py"
_NAMES = ("axis", "momentum", "epsilon", "gamma", "beta", "moving_mean", "moving_variance", "synchronized")


@contextmanager
def fused(layers: Iterable[Any]) -> Generator[tuple[str, ...]]:
    """Lets BatchNormalization layers compute by one operation where they train, until the context ends.

    The layers, their weights and what is saved or exported stay as they are; whatever is traced inside keeps the
    operation. Numbers are those of Keras' layer up to the rounding of float32: the variance that is normalised by, and
    that the moving one takes, is without Bessel's correction; statistics are in float32 whatever the policy. Where a
    layer does not train, is given a mask, or is of a kind that the operation does not know (channels first, another
    rank, float64, renormalisation, synchronised statistics), Keras' own code computes.

    Args:
        layers: Any layers; others than BatchNormalization are left alone.

    Yields:
        The names of those that may be computed so.

    Raises:
        ZooError: The installed Keras has another BatchNormalization than zoo knows.
    """
    changed = [layer for layer in layers if _is_known(layer)]
    try:
        for layer in changed:
            layer.call = _fused_call(layer)
        yield tuple(layer.name for layer in changed)
    finally:
        for layer in changed:
            vars(layer).pop("call", None)


def _is_known(layer: Any) -> bool:
    """Returns whether all but a call's own inputs lets the operation compute a layer."""
    import keras

    kind = keras.layers.BatchNormalization
    if keras.backend.backend() != "tensorflow":
        return False
    if not isinstance(layer, kind) or type(layer).call is not kind.call or "call" in vars(layer):
        return False
    missing = [name for name in _NAMES if not hasattr(layer, name)]
    if missing:
        raise unsupported(f"BatchNormalization has no {', '.join(missing)}", expected=", ".join(_NAMES), source=_SOURCE)
    is_plain = not layer.synchronized and not getattr(layer, "renorm", False)  # Keras 3.13 has no renormalisation
    return layer.built and layer.axis in (-1, 3) and is_plain


def _fused_call(layer: Any) -> Callable[..., Any]:
    """Returns what computes a layer's outputs, as `BatchNormalization.call` does."""
    import tensorflow as tf

    theirs = layer.call
    on_gpu = bool(tf.config.list_logical_devices("GPU"))

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        is_known = tf.is_tensor(inputs) and inputs.shape.rank == 4 and inputs.dtype != tf.float64
        is_refused = mask is not None or (on_gpu and layer.epsilon < SMALLEST_EPSILON_ON_GPU)
        if not training or not layer.trainable or not is_known or is_refused:
            return theirs(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        gamma, beta = layer.gamma, layer.beta
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.ones(channels) if gamma is None else tf.convert_to_tensor(gamma, tf.float32),
            offset=tf.zeros(channels) if beta is None else tf.convert_to_tensor(beta, tf.float32),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=layer.epsilon,
            is_training=True,
        )
        values = tf.cast(tf.size(inputs) // channels, tf.float32)
        variance *= (values - 1) / values  # the operation gives it with Bessel's correction
        for moving, of_batch in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + of_batch * (1.0 - layer.momentum))
        return tf.cast(outputs, layer.compute_dtype)

    return call
