"""Conv2D with a group for each channel, against Keras' own computation by XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.backend import devices
from zoo.backend.keras_internals.depthwise_convolution import depthwise
from zoo.backend.keras_internals.native_operations import native_operations

CHANNELS = 4
PIXELS = np.random.default_rng(0).normal(size=(3, 9, 8, CHANNELS)).astype(np.float32)


def convolution(filters=CHANNELS, kernel_size=3, groups=CHANNELS, shape=PIXELS.shape, **options):
    layer = keras.layers.Conv2D(filters, kernel_size, groups=groups, bias_initializer="glorot_uniform", **options)
    layer.build(shape)
    return layer


def operations_of(function):
    """Lists the operations of a traced function and of those that it calls, and whether XLA compiles any."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for called in graph.library.function for node in called.node_def)]
    compiled = any(node.attr["_XlaMustCompile"].b for node in nodes)
    compiled |= any(called.attr["_XlaMustCompile"].b for called in graph.library.function)
    return {node.op for node in nodes}, compiled


def step(layer, inputs):
    """Returns the operations of a step, its outputs, and gradients by inputs and weights."""
    inputs = tf.constant(inputs)

    @tf.function
    def traced():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        return [outputs, *tape.gradient(loss, [inputs, *(one.value for one in layer.trainable_weights)])]

    function = traced.get_concrete_function()
    return operations_of(function), [np.asarray(tf.cast(one, tf.float32)) for one in function()]


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same"},
        {"padding": "valid", "kernel_size": (3, 5)},
        {"padding": "same", "strides": 2, "filters": 3 * CHANNELS},
        {"padding": "same", "dilation_rate": 2, "activation": "relu"},
        {"padding": "same", "use_bias": False, "kernel_size": 7},
    ],
    ids=str,
)
def test_outputs_and_gradients_are_those_of_keras(options):
    layer = convolution(**options)
    (_, is_compiled), theirs = step(layer, PIXELS)
    assert is_compiled
    with depthwise([layer]) as names:
        (operations, is_compiled), ours = step(layer, PIXELS)
    assert names == (layer.name,)
    assert not is_compiled
    assert {"DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropFilter"} <= operations
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_each_channel_is_convolved_with_its_own_filters():
    layer = convolution(filters=2 * CHANNELS, kernel_size=1, use_bias=False)
    with depthwise([layer]):
        given = layer(PIXELS).numpy()
    by_hand = np.repeat(PIXELS, 2, axis=-1) * layer.kernel.numpy().reshape(-1)
    np.testing.assert_allclose(given, by_hand, rtol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        convolution(groups=1),
        convolution(groups=2),
        convolution(strides=(1, 2), padding="same"),
        keras.layers.Conv2D(CHANNELS, 3, groups=CHANNELS),
        keras.layers.DepthwiseConv2D(3),
        keras.layers.Dense(2),
    ],
    ids=["one group", "groups of channels", "two strides", "not built", "depthwise already", "another layer"],
)
def test_other_layers_are_left_alone(layer):
    with depthwise([layer]) as names:
        assert names == ()
        assert "convolution_op" not in vars(layer)


def test_a_layer_that_computes_in_its_own_way_is_left_alone():
    class Own(keras.layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            return super().convolution_op(inputs, kernel) * 2

    layer = Own(CHANNELS, 3, groups=CHANNELS)
    layer.build(PIXELS.shape)
    with depthwise([layer]) as names:
        assert names == ()


def test_the_layer_is_plain_keras_again_when_it_is_over():
    layer = convolution()
    config = layer.get_config()
    with pytest.raises(ZeroDivisionError), native_operations([layer]):
        assert layer.get_config() == config
        raise ZeroDivisionError
    assert "convolution_op" not in vars(layer)
    assert step(layer, PIXELS)[0][1]


def test_predictions_need_no_xla_also_where_the_layer_is_in_a_model_within_the_model():
    inputs = keras.Input(PIXELS.shape[1:])
    inner = keras.Sequential([keras.Input(PIXELS.shape[1:]), convolution()])
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inner(inputs)))
    theirs = model(PIXELS).numpy()
    operations, is_compiled = operations_of(devices.traced(model, PIXELS))
    assert ("DepthwiseConv2dNative" in operations, is_compiled) == (True, False)
    np.testing.assert_allclose(devices.predictor(model)(PIXELS), theirs, rtol=1e-5, atol=1e-5)
