"""Adam's update by one operation, against the paper by hand and Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.backend.keras_internals import fused_adam

SHAPES = [(3, 4), (5,), ()]
RATE = 0.25


def built(kind, dtype="float32", **options):
    chances = np.random.default_rng(0)
    variables = [keras.Variable(chances.normal(size=shape), dtype=dtype) for shape in SHAPES]
    optimizer = kind(RATE, **options)
    optimizer.build(variables)
    return optimizer, variables


def gradients(step):
    chances = np.random.default_rng(step + 1)
    return [chances.normal(size=shape).astype(np.float32) for shape in SHAPES]


def train(optimizer, variables, *, is_fused, steps=4):
    """Takes steps in a graph, and returns the variables and slots."""

    @tf.function
    def step(rate, *parts):
        for gradient, variable in zip(parts, variables, strict=True):
            if is_fused:
                fused_adam.update(optimizer, gradient, variable.value, rate)
            else:
                optimizer.update_step(gradient, variable.value, rate)
        optimizer.iterations.assign_add(1)

    for number in range(steps):
        step(tf.constant(RATE), *map(tf.constant, gradients(number)))
    slots = optimizer.variables[2:]
    return [np.asarray(tf.cast(one.value, tf.float32)) for one in (*variables, *slots)]


@pytest.mark.parametrize(("dtype", "close"), [("float32", 1e-5), ("float64", 1e-5), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("options", [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}], ids=str)
@pytest.mark.parametrize("kind", [keras.optimizers.Adam, keras.optimizers.AdamW])
def test_variables_and_slots_are_those_of_keras(kind, options, dtype, close):
    theirs = train(*built(kind, dtype, **options), is_fused=False)
    ours = train(*built(kind, dtype, **options), is_fused=True)
    assert len(ours) == 3 * len(SHAPES)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=close, atol=close)


def test_the_first_steps_are_those_of_the_paper():
    # Kingma and Ba, arXiv:1412.6980, algorithm 1 with its epsilon-hat, in float64.
    optimizer, variables = built(keras.optimizers.Adam, "float64", beta_1=0.8, beta_2=0.9, epsilon=1e-7)
    weights = [variable.numpy().copy() for variable in variables]
    first, second = ([np.zeros(shape) for shape in SHAPES] for _ in range(2))
    for step in range(1, 4):
        rate = RATE * np.sqrt(1 - 0.9**step) / (1 - 0.8**step)
        for number, gradient in enumerate(gradients(step - 1)):
            first[number] = 0.8 * first[number] + 0.2 * gradient
            second[number] = 0.9 * second[number] + 0.1 * gradient.astype(float) ** 2
            weights[number] = weights[number] - rate * first[number] / (np.sqrt(second[number]) + 1e-7)
    trained = train(optimizer, variables, is_fused=True, steps=3)
    for one, other in zip(trained, weights, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-6)


class Own(keras.optimizers.Adam):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, 2 * learning_rate)


@pytest.mark.parametrize(
    ("optimizer", "known"),
    [
        (keras.optimizers.Adam(), True),
        (keras.optimizers.AdamW(), True),
        (keras.optimizers.Adam(amsgrad=True), False),
        (keras.optimizers.Nadam(), False),
        (keras.optimizers.SGD(), False),
        (Own(), False),
    ],
    ids=["adam", "adamw", "amsgrad", "nadam", "sgd", "an update of its own"],
)
def test_other_updates_are_left_to_keras(optimizer, known):
    assert fused_adam.is_known(optimizer) is known


def test_several_devices_are_left_to_keras():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        assert not fused_adam.is_known(keras.optimizers.Adam())
