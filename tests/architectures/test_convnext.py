"""ConvNeXt is built as Keras builds it, but flat, and leaves Keras as it is."""

import random
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import zoo
from zoo.architectures.keras_applications import convnext

FUNCTIONS = {
    "convnext_tiny": keras.applications.ConvNeXtTiny,
    "convnext_small": keras.applications.ConvNeXtSmall,
    "convnext_base": keras.applications.ConvNeXtBase,
    "convnext_large": keras.applications.ConvNeXtLarge,
    "convnext_xlarge": keras.applications.ConvNeXtXLarge,
}


def begin_anew():
    keras.utils.clear_session()  # counts names from the start
    random.seed(5)


def weights_by_layer(model):
    return {layer.name: layer for layer in model._flatten_layers(include_self=False) if layer.weights}


@pytest.mark.parametrize(
    "name",
    ["convnext_tiny", *(pytest.param(name, marks=pytest.mark.slow) for name in list(FUNCTIONS)[1:])],
)
def test_layers_weights_and_outputs_are_those_of_keras(name):
    assert set(FUNCTIONS) == set(convnext.SIZES)
    settings = {"weights": None, "include_preprocessing": False, "classifier_activation": None, "classes": 3}
    begin_anew()
    theirs = FUNCTIONS[name](input_shape=(32, 32, 3), **settings)
    begin_anew()
    ours = convnext.build_graph(keras.Input((32, 32, 3)), name=name, classes=3)
    # Same random numbers, so that the layers were made in the same order too.
    expected, found = weights_by_layer(theirs), weights_by_layer(ours)
    nested = {layer.name for layer in theirs.layers if isinstance(layer, keras.Model)}
    assert set(found) == set(expected) - nested
    for layer in found:
        for weight, other in zip(found[layer].weights, expected[layer].weights, strict=True):
            assert weight.name == other.name
            np.testing.assert_array_equal(weight, other)
    assert ours.count_params() == theirs.count_params()
    pixels = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(ours(pixels), theirs(pixels))


def test_convnext_is_flat():
    model = zoo.build("convnext_tiny", weights=None, input_shape=(32, 32, 3))
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    # Keras nests, which is why zoo builds the graph itself.
    assert isinstance(keras.applications.ConvNeXtTiny(weights=None).get_layer("convnext_tiny_stem"), keras.Sequential)


def test_builds_in_many_threads_are_alike_and_leave_keras_as_it_is():
    def layers_of(number):
        model = zoo.build("convnext_tiny", weights=None, input_shape=(32, 32, 3), classes=2)
        return [layer.name for layer in model.layers]

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(layers_of, range(4))
    assert all(other == first for other in others)
    assert isinstance(keras.applications.ConvNeXtTiny(weights=None).get_layer("convnext_tiny_stem"), keras.Sequential)
