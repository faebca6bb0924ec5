import json
import tomllib

import keras
import numpy as np
import pytest

import zoo
from zoo.models.counting import count_madds
from zoo.models.weights import ASSETS

# Parameters, layer by layer: kernel height * width * inputs * filters + biases; BatchNorm 4 a filter.
PARAMS = {
    "mnist_simple": (5 * 5 * 1 * 32 + 32) + (28 * 28 * 32 * 10 + 10),
    "mnist_bigger": (5 * 5 * 1 * 16 + 16) + (3 * 3 * 16 * 8 + 8) + (3 * 3 * 8 * 8 + 8) + (28 * 28 * 8 * 10 + 10),
    "mnist_pooling": (5 * 5 * 1 * 30 + 30)
    + (3 * 3 * 30 * 16 + 16)
    + (7 * 7 * 16 * 128 + 128)
    + (128 * 64 + 64)
    + (64 * 10 + 10),
    "mnist_striding": (5 * 5 * 1 * 30 + 30)
    + (3 * 3 * 30 * 16 + 16)
    + (7 * 7 * 16 * 128 + 128)
    + (128 * 64 + 64)
    + (64 * 10 + 10),
    "mnist_striding_batchnorm": (5 * 5 * 1 * 30 + 30 + 4 * 30)
    + (3 * 3 * 30 * 16 + 16 + 4 * 16)
    + (7 * 7 * 16 * 128 + 128)
    + (128 * 64 + 64)
    + (64 * 10 + 10),
    # 28 halves to 14, 7 and, padded, 4.
    "mnist_pattern_pooling": (5 * 5 * 1 * 32 + 32)
    + (5 * 5 * 32 * 32 + 32)
    + (5 * 5 * 32 * 16 + 16)
    + (3 * 3 * 16 * 16 + 16)
    + (5 * 5 * 16 * 8 + 8)
    + (3 * 3 * 8 * 8 + 8)
    + (4 * 4 * 8 * 512 + 512)
    + (512 * 256 + 256)
    + (256 * 10 + 10),
    "mnist_conv": (5 * 5 * 1 * 32 + 4 * 32)
    + (3 * 3 * 32 * 32 + 4 * 32)
    + (3 * 3 * 32 * 64 + 4 * 64)
    + (3 * 3 * 64 * 64 + 4 * 64)
    + (3 * 3 * 64 * 128 + 4 * 128)
    + (128 * 10 + 10),
    # Unpadded: 28 becomes 12, 10, by pooling 5, then 3.
    "mnist_conv_fast": (5 * 5 * 1 * 16 + 4 * 16)
    + (3 * 3 * 16 * 32 + 4 * 32)
    + (3 * 3 * 32 * 64 + 4 * 64)
    + (3 * 3 * 64 * 10 + 10),
    # A separable convolution: 9 weights a channel, then channels * filters; BatchNorm after both.
    "mnist_conv_tiny": (5 * 5 * 1 * 24 + 4 * 24)
    + 2 * (3 * 3 * 24 + 4 * 24 + 24 * 24 + 4 * 24)
    + (3 * 3 * 24 + 4 * 24 + 24 * 40 + 4 * 40)
    + 2 * (3 * 3 * 40 + 4 * 40 + 40 * 40 + 4 * 40)
    + (40 * 10 + 10),
}
PARAMS["mnist_pattern_striding"] = PARAMS["mnist_pattern_pooling"]

# Multiply-adds: each kernel once at every position of its output map, and the dense kernels.
MADDS = {
    "mnist_simple": 28 * 28 * (5 * 5 * 32) + 28 * 28 * 32 * 10,
    "mnist_bigger": 28 * 28 * (5 * 5 * 16 + 3 * 3 * 16 * 8 + 3 * 3 * 8 * 8) + 28 * 28 * 8 * 10,
    "mnist_pooling": 28 * 28 * (5 * 5 * 30) + 14 * 14 * (3 * 3 * 30 * 16) + 7 * 7 * 16 * 128 + 128 * 64 + 64 * 10,
    "mnist_striding": 14 * 14 * (5 * 5 * 30) + 7 * 7 * (3 * 3 * 30 * 16) + 7 * 7 * 16 * 128 + 128 * 64 + 64 * 10,
    "mnist_pattern_pooling": 28 * 28 * (5 * 5 * 32 + 5 * 5 * 32 * 32)
    + 14 * 14 * (5 * 5 * 32 * 16 + 3 * 3 * 16 * 16)
    + 7 * 7 * (5 * 5 * 16 * 8 + 3 * 3 * 8 * 8)
    + 4 * 4 * 8 * 512
    + 512 * 256
    + 256 * 10,
    "mnist_pattern_striding": 28 * 28 * (5 * 5 * 32)
    + 14 * 14 * (5 * 5 * 32 * 32 + 5 * 5 * 32 * 16)
    + 7 * 7 * (3 * 3 * 16 * 16 + 5 * 5 * 16 * 8)
    + 4 * 4 * (3 * 3 * 8 * 8)
    + 4 * 4 * 8 * 512
    + 512 * 256
    + 256 * 10,
    "mnist_conv": 14 * 14 * (5 * 5 * 32 + 3 * 3 * 32 * 32)
    + 7 * 7 * (3 * 3 * 32 * 64 + 3 * 3 * 64 * 64)
    + 4 * 4 * (3 * 3 * 64 * 128)
    + 128 * 10,
    "mnist_conv_fast": 12 * 12 * (5 * 5 * 16)
    + 10 * 10 * (3 * 3 * 16 * 32)
    + 3 * 3 * (3 * 3 * 32 * 64)
    + 3 * 3 * 64 * 10,
    "mnist_conv_tiny": 14 * 14 * (5 * 5 * 24 + 2 * (3 * 3 * 24 + 24 * 24))
    + 7 * 7 * (3 * 3 * 24 + 24 * 40 + 2 * (3 * 3 * 40 + 40 * 40))
    + 40 * 10,
}
MADDS["mnist_striding_batchnorm"] = MADDS["mnist_striding"]


def test_the_sums_are_the_published_ones():
    assert PARAMS["mnist_simple"] == 251_722
    assert PARAMS["mnist_bigger"] == 64_890
    assert PARAMS["mnist_pooling"] == PARAMS["mnist_striding"] == 114_502
    assert PARAMS["mnist_striding_batchnorm"] == 114_686
    assert PARAMS["mnist_pattern_pooling"] == PARAMS["mnist_pattern_striding"] == 245_338


def test_our_own_are_as_small_as_they_are_meant_to_be():
    assert PARAMS["mnist_conv"] < 400_000
    assert PARAMS["mnist_conv_tiny"] <= 10_000


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_parameters_and_multiply_adds_by_hand(name):
    model = zoo.build(name, weights=None)
    assert (model.count_params(), count_madds(model)) == (PARAMS[name], MADDS[name])
    assert (zoo.info(name).params, zoo.info(name).madds) == (PARAMS[name], MADDS[name])


def conv(filters, size, *, activation="relu", strides=1, norm=None, bias=True, padding="same"):
    return ("Conv2D", filters, (size, size), (strides, strides), padding, activation, norm, bias)


def dense(units, activation="relu"):
    return ("Dense", units, activation)


def pool(size=2, padding="same"):
    return ("MaxPooling2D", (size, size), (size, size), padding)


def normalised(filters, size):
    return [
        conv(filters, size, activation="linear", strides=2, norm=3),
        ("BatchNormalization", 0.99),
        ("Activation", "relu"),
    ]


def linear(filters, size, strides=1):
    return conv(filters, size, activation="linear", strides=strides)


def modern(filters, size, strides=1):
    return [
        conv(filters, size, activation="linear", strides=strides, bias=False),
        ("BatchNormalization", 0.9),
        ("Activation", "relu"),
    ]


def unpadded(filters, size, strides=1, pooled=()):
    return [
        conv(filters, size, activation="linear", strides=strides, bias=False, padding="valid"),
        *pooled,
        ("BatchNormalization", 0.9),
        ("Activation", "relu"),
    ]


DROPOUT = ("Dropout", 0.2)
FLATTEN = ("Flatten",)
CLASSIFIER = dense(10, "linear")

# The chapter's nets, between the rescaling and the softmax.
LAYERS = {
    "mnist_simple": [conv(32, 5), FLATTEN, CLASSIFIER],
    "mnist_bigger": [
        conv(16, 5, norm=3),
        DROPOUT,
        conv(8, 3, norm=3),
        DROPOUT,
        conv(8, 3, norm=3),
        DROPOUT,
        FLATTEN,
        CLASSIFIER,
    ],
    "mnist_pooling": [
        conv(30, 5, norm=3),
        DROPOUT,
        pool(),
        conv(16, 3, norm=3),
        DROPOUT,
        pool(),
        FLATTEN,
        dense(128),
        dense(64),
        CLASSIFIER,
    ],
    "mnist_striding": [
        conv(30, 5, norm=3, strides=2),
        DROPOUT,
        conv(16, 3, norm=3, strides=2),
        DROPOUT,
        FLATTEN,
        dense(128),
        dense(64),
        CLASSIFIER,
    ],
    "mnist_striding_batchnorm": [
        *normalised(30, 5),
        *normalised(16, 3),
        FLATTEN,
        dense(128),
        dense(64),
        CLASSIFIER,
    ],
    "mnist_pattern_pooling": [
        linear(32, 5),
        linear(32, 5),
        pool(),
        linear(16, 5),
        linear(16, 3),
        pool(),
        linear(8, 5),
        linear(8, 3),
        pool(),
        FLATTEN,
        dense(512),
        dense(256),
        CLASSIFIER,
    ],
    "mnist_pattern_striding": [
        linear(32, 5),
        linear(32, 5, strides=2),
        linear(16, 5),
        linear(16, 3, strides=2),
        linear(8, 5),
        linear(8, 3, strides=2),
        FLATTEN,
        dense(512),
        dense(256),
        CLASSIFIER,
    ],
    "mnist_conv": [
        *modern(32, 5, strides=2),
        *modern(32, 3),
        *modern(64, 3, strides=2),
        *modern(64, 3),
        *modern(128, 3, strides=2),
        ("GlobalAveragePooling2D",),
        DROPOUT,
        CLASSIFIER,
    ],
    "mnist_conv_fast": [
        *unpadded(16, 5, strides=2),
        *unpadded(32, 3, pooled=[pool(padding="valid")]),
        *unpadded(64, 3),
        FLATTEN,
        CLASSIFIER,
    ],
}


def facts(layer):
    kind = type(layer).__name__
    if kind == "Conv2D":
        norm = layer.kernel_constraint.max_value if layer.kernel_constraint else None
        activation = layer.activation.__name__
        return (
            kind,
            layer.filters,
            layer.kernel_size,
            layer.strides,
            layer.padding,
            activation,
            norm,
            layer.use_bias,
        )
    if kind == "Dense":
        return kind, layer.units, layer.activation.__name__
    if kind == "MaxPooling2D":
        return kind, layer.pool_size, layer.strides, layer.padding
    if kind == "BatchNormalization":
        return kind, layer.momentum
    if kind == "Activation":
        return kind, layer.activation.__name__
    return (kind, layer.rate) if kind == "Dropout" else (kind,)


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_the_layers_are_the_chapters(name):
    model = zoo.build(name, weights=None)
    assert [facts(layer) for layer in model.layers] == [
        ("InputLayer",),
        ("Rescaling",),
        *LAYERS[name],
        ("Softmax",),
    ]


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_keras_default_initialisers(name):
    for layer in zoo.build(name, weights=None).layers:
        if type(layer).__name__ in ("Conv2D", "Dense"):
            assert type(layer.kernel_initializer).__name__ == "GlorotUniform"
            assert type(layer.bias_initializer).__name__ == "Zeros"


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_pixels_go_to_the_range_of_the_card(name):
    model = zoo.build(name, weights=None)
    rescaled = keras.Model(model.input, model.get_layer("rescaling").output)
    images = np.stack([np.full((28, 28, 1), value, "uint8") for value in (0, 255, 51)])
    # 51 is a fifth of the way. The chapter's nets take [-1, 1].
    expected = [0, 1, 0.2] if name.startswith("mnist_conv") else [-1, 1, -0.6]
    np.testing.assert_allclose(rescaled(images)[:, 0, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "last_layers"),
    [
        ("mnist_simple", ["stem_1_conv"]),
        ("mnist_bigger", ["stem_1_dropout", "stage1_1_dropout", "stage2_1_dropout"]),
        ("mnist_pooling", ["stem_1_pool", "stage1_1_pool"]),
        ("mnist_striding", ["stem_1_dropout", "stage1_1_dropout"]),
        ("mnist_striding_batchnorm", ["stem_1_activation", "stage1_1_activation"]),
        ("mnist_pattern_pooling", ["stem_2_pool", "stage1_2_pool", "stage2_2_pool"]),
        ("mnist_pattern_striding", ["stem_2_conv", "stage1_2_conv", "stage2_2_conv"]),
        (
            "mnist_conv",
            ["stem_1_activation", "stage1_1_activation", "stage2_2_activation", "stage3_1_activation"],
        ),
        ("mnist_conv_fast", ["stem_1_activation", "stage1_1_activation", "stage2_1_activation"]),
    ],
)
def test_a_stage_is_a_convolution_or_a_pair_with_what_follows_it(name, last_layers):
    *body, head = zoo.stages(zoo.build(name, weights=None))
    assert [stage.last.name for stage in body] == last_layers
    assert head.layers[0].name in ("head_flatten", "head_pool")


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_a_stage_end_splits_the_net_exactly(name):
    model = zoo.build(name, weights=None)
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)).astype("uint8")
    whole = keras.ops.convert_to_numpy(model(images))
    for stage in zoo.stages(model)[:-1]:
        cut = stage.last.output
        prefix, suffix = keras.Model(model.input, cut), keras.Model(cut, model.output)
        assert np.array_equal(suffix(prefix(images)), whole), stage.name


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_dropout_is_the_rate_before_the_classifier(name):
    own = [layer.name for layer in zoo.build(name, weights=None).layers]
    more = zoo.build(name, weights=None, dropout=0.5)
    assert more.layers[-3].name == "head_dropout"
    assert more.layers[-3].rate == 0.5
    none = zoo.build(name, weights=None, dropout=0.0)
    # The chapter's own dropout, after convolutions, is part of the net.
    assert [layer.name for layer in none.layers] == [layer for layer in own if layer != "head_dropout"]


@pytest.mark.parametrize(("name", "target"), [("mnist_conv", 0.996), ("mnist_conv_tiny", 0.993)])
def test_the_receipt_is_that_of_the_weights_and_of_the_shipped_recipe(name, target):
    receipt = json.loads((ASSETS / f"{name}.receipt.json").read_text())
    (weights,) = zoo.info(name).weights
    assert (receipt["weights"]["sha256"], receipt["weights"]["bytes"]) == (weights.sha256, weights.bytes)
    # By what it means: a key that came later has its default.
    assert zoo.Recipe.model_validate(tomllib.loads(receipt["recipe"])) == zoo.Recipe.load(f"pretrain/{name}")
    assert receipt["run"]["data"]["train"] == 60_000
    assert len(receipt["epochs"]) <= 20
    assert receipt["test"]["images"] == 10_000
    assert receipt["test"]["metrics"]["accuracy"] >= target
