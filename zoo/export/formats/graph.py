"""The graph that formats are converted from: raw pixels in, probabilities out, under the names that exports have.

It is traced as plain Keras computes, but for convolutions that Keras leaves to XLA, which no other format has.
"""

from typing import Any

from zoo.backend.devices import layers_of
from zoo.backend.keras_internals.depthwise_convolution import depthwise
from zoo.registry.exports import PIXELS, PROBABILITIES


def signature(model: Any) -> Any:
    """Returns what the graph takes: uint8[n, height, width, channels] with n free."""
    import tensorflow as tf

    return tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=PIXELS)


def serving_function(model: Any) -> Any:
    """Returns the model as a function of TensorFlow, which is traced when it is asked for a concrete one."""
    import tensorflow as tf

    def serve(pixels: Any) -> dict[str, Any]:
        with depthwise(layers_of(model), everywhere=True):
            return {PROBABILITIES: model(pixels, training=False)}

    return tf.function(serve, autograph=False)


def concrete_function(model: Any) -> Any:
    """Traces the model."""
    return serving_function(model).get_concrete_function(signature(model))


def holder_of(model: Any) -> Any:
    """Returns what holds the model's variables for converters, which see none in a function."""
    import tensorflow as tf

    holder: Any = tf.Module()
    holder.variables_of_model = [weight.value for weight in model.weights]
    return holder
