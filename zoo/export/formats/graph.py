"""The graph that formats are converted from: raw pixels in, probabilities out, under the names that exports have.

It is traced as plain Keras computes: native operations are for this machine only.
"""

from typing import Any

from zoo.registry.exports import PIXELS, PROBABILITIES


def signature(model: Any) -> Any:
    """Returns what the graph takes: uint8[n, height, width, channels] with n free."""
    import tensorflow as tf

    return tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=PIXELS)


def serving_function(model: Any) -> Any:
    """Returns the model as a function of TensorFlow, which is traced when it is asked for a concrete one."""
    import tensorflow as tf

    return tf.function(lambda pixels: {PROBABILITIES: model(pixels, training=False)}, autograph=False)


def concrete_function(model: Any) -> Any:
    """Traces the model."""
    return serving_function(model).get_concrete_function(signature(model))


def holder_of(model: Any) -> Any:
    """Returns what holds the model's variables for converters, which see none in a function."""
    import tensorflow as tf

    holder: Any = tf.Module()
    holder.variables_of_model = [weight.value for weight in model.weights]
    return holder
