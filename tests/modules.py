"""SavedModels as other people write them, made in a process of their own, and the same nets in Keras."""

import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.tiny import environment

SIDE = 16
FEATURES = 6

# A reusable SavedModel (https://www.tensorflow.org/hub/reusable_saved_models) by hand: two convolutions with BatchNorm,
# average pooling. `maps` leaves the pooling out; `plain` has no `training` argument; `open` takes any size.
_WRITER = """
import sys
import tensorflow as tf

folder, kind = sys.argv[1:]
side = None if kind == "open" else 16
random = tf.random.Generator.from_seed(1)

class Net(tf.train.Checkpoint):
    def __init__(self):
        super().__init__()
        self.variables, self.trainable_variables, self.regularization_losses = [], [], []
        self.blocks = [self.block("stem", 3, 4), self.block("stage/1", 4, 6)]

    def block(self, name, before, after):
        def variable(what, value, trainable=True):
            made = tf.Variable(value, trainable=trainable, name=f"{name}/{what}")
            self.variables.append(made)
            if trainable:
                self.trainable_variables.append(made)
            return made
        return [
            variable("conv/kernel", random.normal([3, 3, before, after], stddev=0.3)),
            variable("bn/gamma", random.uniform([after], 0.5, 1.5)),
            variable("bn/beta", random.normal([after], stddev=0.1)),
            variable("bn/moving_mean", random.normal([after], stddev=0.1), trainable=False),
            variable("bn/moving_variance", random.uniform([after], 0.5, 1.5), trainable=False),
        ]

    def compute(self, inputs, training):
        x = inputs
        for kernel, gamma, beta, mean, variance in self.blocks:
            x = tf.nn.conv2d(x, kernel, 2, "SAME")
            if training:
                m, v = tf.nn.moments(x, [0, 1, 2])
                mean.assign(mean * 0.9 + m * 0.1)
                variance.assign(variance * 0.9 + v * 0.1)
            else:
                m, v = mean, variance
            x = tf.nn.relu(tf.nn.batch_normalization(x, m, v, beta, gamma, 1e-3))
        return x if kind == "maps" else tf.reduce_mean(x, [1, 2])

images = tf.TensorSpec([None, side, side, 3], tf.float32, name="inputs")

class Reusable(Net):
    @tf.function
    def __call__(self, inputs, training=False):
        return self.compute(inputs, training)

class Plain(Net):
    @tf.function(input_signature=[images])
    def __call__(self, inputs):
        return self.compute(inputs, False)

class Served(Net):
    @tf.function(input_signature=[images])
    def serve(self, inputs):
        return {"features": self.compute(inputs, False)}

net = {"plain": Plain, "served": Served}.get(kind, Reusable)()
if isinstance(net, Reusable):
    for training in (False, True):
        net.__call__.get_concrete_function(images, training=training)
signatures = {"serving_default": net.serve} if kind == "served" else {}
tf.saved_model.save(net, folder, signatures=signatures)
"""


def module(kind: str = "reusable") -> Path:
    """Writes a module once: `reusable`, `maps`, `open`, `plain` or `served`. Not to be changed."""
    return _written(kind)


@functools.cache
def _written(kind: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="zoo-module-")) / kind
    subprocess.run(
        [sys.executable, "-c", _WRITER, str(folder), kind], env=environment(), check=True, capture_output=True
    )
    return folder


def flat_model(classes: int):
    """Builds the reusable module with a classifier as a flat Keras model, by other means and with the same numbers."""
    import keras
    import tensorflow as tf
    from keras import layers

    pixels = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 255, dtype="float32")(pixels)
    for filters in (4, FEATURES):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, dtype="float32")(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, dtype="float32")(x)
        x = layers.Activation("relu", dtype="float32")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32")(x)
    x = layers.Dense(classes, name="classifier")(x)
    model = keras.Model(pixels, layers.Softmax(dtype="float32")(x))
    backbone = [weight for weight in model.weights if "classifier" not in weight.path]
    for weight, variable in zip(backbone, tf.saved_model.load(str(module())).variables, strict=True):
        weight.assign(variable)
    return model
