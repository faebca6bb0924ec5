"""What zoo relies on inside Keras and TensorFlow, checked against the releases that are installed.

    python -m tests.backend.internals_hold

It needs no pytest, so that it runs in a bare environment of the oldest and of the newest releases.
"""

import random

import keras
import numpy as np
import tensorflow as tf

from zoo.backend.keras_internals import (
    depthwise_convolution,
    experimental,
    fused_adam,
    fused_batchnorm,
    graphs,
    optimizers,
    process_state,
)


def branching():
    inputs = keras.Input((4,), name="pixels")
    hidden = keras.layers.Dense(3, name="hidden")(inputs)
    doubled = keras.layers.Add(name="doubled")([hidden, hidden])
    return keras.Model(inputs, keras.layers.Dense(2, name="last")(doubled), name="branching")


def check_graphs():
    model = branching()
    assert graphs.graph_inside(model) is model
    assert [call.operation.name for call in graphs.calls_in_order(model)] == ["pixels", "hidden", "doubled", "last"]
    keras.Model(model.inputs, model.get_layer("hidden").output)
    assert len(graphs.calls_in_order(model)) == 4
    assert graphs.producer(model.output).name == "last"
    names = [graphs.producer(tensor).name for tensor in graphs.inputs_of(model.get_layer("doubled"))]
    assert names == ["hidden", "hidden"]
    assert graphs.inputs_of(keras.layers.Dense(1)) == []


def check_sequentials():
    unbuilt = keras.Sequential([keras.layers.Dense(2)])
    assert graphs.graph_inside(unbuilt) is None
    built = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="one"), keras.layers.Dense(2, name="two")])
    inside = graphs.graph_inside(built)
    assert [call.operation.name for call in graphs.calls_in_order(inside)][1:] == ["one", "two"]
    assert graphs.graph_inside(keras.layers.Dense(2)) is None


def check_policy():
    before = process_state.policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert process_state.policy().name == "mixed_bfloat16"
    process_state.restore_policy(None)
    assert process_state.policy() is None
    assert keras.config.dtype_policy().name == keras.config.floatx()
    process_state.restore_policy(before)


def check_names():
    counts = process_state.name_counts()
    before = dict(counts)
    counts.clear()
    assert [keras.layers.Identity().name for _ in range(2)] == ["identity", "identity_1"]
    counts.clear()
    assert keras.layers.Identity().name == "identity"
    counts.clear()
    counts.update(before)


def check_seeds():
    def draws():
        return float(keras.random.uniform(())), float(tf.random.uniform(()))

    random_state, numpy_state = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(3)
    draws()
    expected = draws()
    keras.utils.set_random_seed(3)
    draws()
    restorers = process_state.keep_seeds(), process_state.keep_tensorflow_seeds()
    keras.utils.set_random_seed(4)
    draws()
    for restore in restorers:
        restore()
    assert draws() == expected
    random.setstate(random_state)
    np.random.set_state(numpy_state)


def check_hooks():
    for base in (keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.AdamW):
        optimizers.require_hooks(base)


def check_optimizers():
    variable = keras.Variable(np.ones((1, 2), "float32"), name="kernel")
    other = keras.Variable(np.ones((1, 2), "float32"), name="other")
    optimizer = keras.optimizers.SGD(0.5, weight_decay=0.1, use_ema=True, gradient_accumulation_steps=2)
    optimizer.exclude_from_weight_decay(var_list=[other])
    optimizer.build([variable, other])
    for _ in range(3):
        optimizer.apply([keras.ops.ones((1, 2))] * 2, [variable, other])
    assert int(optimizers.applied_batches(optimizer)) == 3
    assert [each.path for each in optimizers.trained_variables(optimizer)] == ["kernel", "other"]
    assert optimizers.variable_index(optimizer, other) == 1
    assert [optimizers.has_weight_decay(optimizer, each) for each in (variable, other)] == [True, False]
    assert len(optimizers.moving_averages(optimizer)) == 2


def check_experimental():
    for device in tf.config.list_physical_devices("GPU"):
        assert "device_name" in experimental.device_details(device)
    dataset = tf.data.Dataset.range(2).flat_map(tf.data.Dataset.range)
    assert int(experimental.with_length(dataset, 1).cardinality()) == 1
    options = tf.data.Options()
    experimental.leave_unrewritten(options)
    assert [int(number) for number in dataset.with_options(options)] == [0]


def check_fused_batchnorm():
    pixels = np.random.default_rng(0).normal(size=(4, 3, 3, 2)).astype("float32")
    layers = [keras.layers.BatchNormalization(name=name) for name in ("theirs", "ours")]
    for layer in layers:
        layer.build(pixels.shape)
    theirs = layers[0](pixels, training=True)
    with fused_batchnorm.fused(layers[1:]) as names:
        assert names == ("ours",)
        ours = layers[1](pixels, training=True)
    assert np.allclose(ours, theirs, atol=1e-5)
    for one, other in zip(*(layer.weights for layer in layers), strict=True):
        assert np.allclose(one, other, atol=1e-6)


def check_depthwise_convolution():
    pixels = np.random.default_rng(0).normal(size=(2, 5, 5, 3)).astype("float32")
    layer = keras.layers.Conv2D(3, 3, groups=3)
    layer.build(pixels.shape)
    theirs = layer(pixels)
    with depthwise_convolution.depthwise([layer]) as names:
        assert names == (layer.name,)
        assert np.allclose(layer(pixels), theirs, atol=1e-5)


def check_fused_adam():
    trained = []
    for update in (keras.optimizers.Adam.update_step, fused_adam.update):
        variable = keras.Variable(np.ones((2, 3), "float32"))
        optimizer = keras.optimizers.Adam(0.5)
        optimizer.build([variable])
        assert fused_adam.is_known(optimizer)
        update(optimizer, tf.fill((2, 3), 0.25), variable.value, 0.5)
        trained.append(variable.numpy())
    assert np.allclose(*trained, atol=1e-5)
    assert not np.allclose(trained[0], 1)


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]

if __name__ == "__main__":
    for check in CHECKS:
        check()
    print(f"keras {keras.__version__}, tensorflow {tf.__version__}: {len(CHECKS)} checks hold")
