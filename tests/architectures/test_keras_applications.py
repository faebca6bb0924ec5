"""Each model of keras.applications is that of Keras, on raw pixels."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils
from sklearn.datasets import load_sample_images

import zoo
from zoo.architectures.keras_applications import FAMILIES
from zoo.errors import ZooError
from zoo.models import weights

# Each family has a module of its name in Keras, but this.
MODULES = {"vgg": "vgg16"}


def variants():
    """Every variant with its family; all but a few light ones are slow."""
    light = ("mobilenet", "mobilenet_v3_small", "resnet50", "convnext_tiny")
    return [
        pytest.param(family, name, id=name, marks=() if name in light else pytest.mark.slow)
        for family in FAMILIES
        for name in family.variants
    ]


def preprocess_input_of(family):
    """The function that Keras has users call before the model."""
    return getattr(keras.applications, MODULES.get(family.name, family.name)).preprocess_input


def photos(size):
    """uint8[2, size, size, 3]: scikit-learn's two photos, cut square and shrunk by taking every n-th pixel."""
    images = []
    for photo in load_sample_images().images:
        side = min(photo.shape[:2])
        rows = np.arange(size) * side // size
        images.append(photo[:side, :side][rows][:, rows])
    return np.stack(images)


def test_keras_has_no_other_model_function():
    functions = {
        name for name in dir(keras.applications) if name[0].isupper() and callable(getattr(keras.applications, name))
    }
    assert functions == {variant.function for family in FAMILIES for variant in family.variants.values()}
    assert len(functions) == 40
    assert len(FAMILIES) == 14


def copy_weights(source, target):
    """Copies weights in order, as Keras itself loads a file of them; both have the same layers."""
    theirs = [weight for layer in source.layers for weight in layer.weights]
    ours = [weight for layer in target.layers for weight in layer.weights]
    assert [weight.shape for weight in theirs] == [weight.shape for weight in ours]
    for weight, other in zip(ours, theirs, strict=True):
        weight.assign(other)
    weights.finalize_state(target)


def save(model, path):
    """Writes a model's numbers in the layout of the files of keras.applications."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def liven_up(model, images, *, difference):
    """Gives every weight a value that shows when it is in the wrong place, and keeps the signal alive to the end.

    With fresh statistics a deep net answers the same to everything. With those of the images it answers differently,
    but its small maps blow up the last bit of the input. So they are mixed, with as much of the fresh ones as the
    signal bears.

    Returns:
        The model's answers to the images, whose largest difference is more than `difference`.
    """
    random = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("gamma", "variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("beta", "bias", "mean"):
            weight.assign(random.normal(0, 0.05, weight.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.finalize_state()
    norms = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
    has_norms = any(isinstance(layer, norms) for layer in model.layers)
    for share_of_fresh in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0):
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = share_of_fresh
                layer.moving_mean.assign(np.zeros(layer.moving_mean.shape))
                layer.moving_variance.assign(np.ones(layer.moving_variance.shape))
        model(images, training=True)
        answers = np.asarray(model(images))
        if np.abs(answers[0] - answers[1]).max() > difference:
            return answers
        if not has_norms:
            # VGG: half of the signal's power is lost at each ReLU, unless kernels make up for it (He et al. 2015).
            for weight in model.weights:
                if weight.name == "kernel":
                    weight.assign(weight * 2**0.1)
    return pytest.fail("the model answers the same to both photos")


@pytest.mark.parametrize(("family", "name"), variants())
def test_it_gives_what_keras_gives(family, name):
    variant = family.variants[name]
    size = max(family.min_size, 64)
    keras.utils.set_random_seed(0)
    theirs = getattr(keras.applications, variant.function)(weights=None, input_shape=(size, size, 3), classes=10)
    images = photos(size)
    preprocess_input = preprocess_input_of(family)
    preprocessed = preprocess_input(images.astype("float32"))
    expected = liven_up(theirs, preprocessed, difference=1e-3)
    ours = zoo.build(name, weights=None, input_shape=(size, size, 3), classes=10)
    copy_weights(theirs, ours)
    np.testing.assert_allclose(np.asarray(ours(images)), expected, atol=1e-5)


# What Keras itself warns of while it saves, and of MobileNetV3's own default size.
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined:UserWarning")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("family", "name"), variants())
def test_its_weights_file_gives_what_keras_makes_of_it(family, name, tmp_path, monkeypatch):
    """Keras' own graph for `imagenet`, which differs for EfficientNet, and ours, from one file of numbers."""
    variant = family.variants[name]
    # Keras takes other sizes without the classifier only; MobileNets look at the size themselves.
    size = variant.size if family.name.startswith("mobilenet") else max(family.min_size, 64)
    images = photos(size)
    preprocess_input = preprocess_input_of(family)
    preprocessed = preprocess_input(images.astype("float32"))
    keras.utils.set_random_seed(0)
    with monkeypatch.context() as patched:
        # Keras builds its graph for `imagenet`, and has no file to read.
        patched.setattr(imagenet_utils, "obtain_input_shape", lambda *_, **__: (size, size, 3))
        patched.setattr(file_utils, "get_file", lambda *_, **__: "")
        patched.setattr(keras.Model, "load_weights", lambda *_, **__: None)
        theirs = getattr(keras.applications, variant.function)(weights="imagenet")
    expected = liven_up(theirs, preprocessed, difference=1e-4)
    path = tmp_path / "weights.h5"
    save(theirs, path)
    del theirs
    monkeypatch.setattr(weights, "locate", lambda _: path)
    monkeypatch.setattr(weights, "open_verified", lambda *_: path.open("rb"))
    ours = zoo.build(name, weights="imagenet", input_shape=(size, size, 3))
    np.testing.assert_allclose(np.asarray(ours(images)), expected, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.25, 0.5])
def test_options_reach_keras(alpha):
    ours = zoo.build("mobilenet", weights=None, input_shape=(64, 64, 3), alpha=alpha)
    theirs = keras.applications.MobileNet(weights=None, input_shape=(64, 64, 3), alpha=alpha)
    assert ours.count_params() == theirs.count_params()
    small = zoo.build("mobilenet_v3_small", weights=None, input_shape=(64, 64, 3), minimalistic=True)
    assert not any("squeeze_excite" in layer.name for layer in small.layers)
    assert small.count_params() == keras.applications.MobileNetV3Small(weights=None, minimalistic=True).count_params()


def test_the_rate_before_the_classifier_can_be_set():
    for name, layer, default in (("mobilenet", "dropout", 1e-3), ("efficientnet_b0", "top_dropout", 0.2)):
        assert zoo.build(name, weights=None, input_shape=(64, 64, 3)).get_layer(layer).rate == default
        assert zoo.build(name, weights=None, input_shape=(64, 64, 3), dropout=0.7).get_layer(layer).rate == 0.7
    model = zoo.build("mobilenet_v2", weights=None, input_shape=(64, 64, 3), dropout=0.4)
    assert model.get_layer("predictions").input is model.get_layer("head_dropout").output
    assert model.get_layer("head_dropout").rate == 0.4
    assert model.count_params() == zoo.info("mobilenet_v2").params


def test_a_second_build_in_a_process_has_the_same_names():
    keras.layers.Conv2D(1, 1)
    first = zoo.build("xception", weights=None, input_shape=(71, 71, 3))
    keras.layers.Conv2D(1, 1)
    second = zoo.build("xception", weights=None, input_shape=(71, 71, 3))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]
    assert "conv2d" in {layer.name for layer in first.layers}
    assert keras.layers.Conv2D(1, 1).name not in ("conv2d", "conv2d_1")


def test_the_smallest_input_is_named():
    with pytest.raises(ZooError, match="the smallest input of model 'inception_v3' is 75x75"):
        zoo.build("inception_v3", weights=None, input_shape=(64, 64, 3))
