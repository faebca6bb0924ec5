import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from safetensors.numpy import save

import zoo
from zoo import registry, weights
from zoo.errors import NotFoundError, WeightsError, ZooError
from zoo.files import sha256
from zoo.fitting import ImageFit
from zoo.models import Blueprint, build_graph, classifier_of, count_madds, dtype_policy, load_model, save_model
from zoo.registry import Card, Entry, PackageFile, ShippedFile, Stage, WeightSet

SMALL = zoo.list_models("mnist_*")
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1)).astype("uint8")


def arrays(model):
    return {weight.path: np.array(np.asarray(weight.value)) for weight in model.weights}


def predict(model, images=IMAGES):
    return keras.ops.convert_to_numpy(model(images))


def equal(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[path], right[path]) for path in left)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", SMALL)
def test_probabilities_are_float32_under_every_policy(name, precision):
    model = zoo.build(name, weights=None, precision=precision)
    probabilities = predict(model)
    assert (probabilities.shape, probabilities.dtype) == ((6, 10), "float32")
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    # What computes is in the policy's own type, and what is learnt in float32.
    assert model.get_layer("classifier").compute_dtype == precision.removeprefix("mixed_")
    assert {weight.dtype for weight in model.weights} == {"float32"}
    # Bytes or floats, the pixels are the same.
    assert np.array_equal(predict(model, IMAGES.astype("float32")), probabilities)
    assert keras.config.dtype_policy().name == "float32"


def test_precision_is_keras_global_policy_by_default():
    with dtype_policy("mixed_bfloat16"):
        model = zoo.build("mnist_simple")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert model.get_layer("classifier").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_the_policy_is_put_back_when_building_fails():
    with pytest.raises(ValueError, match=r"rate"):
        zoo.build("mnist_conv", weights=None, dropout=1.5, precision="mixed_float16")
    assert keras.config.dtype_policy().name == "float32"
    with pytest.raises(ValueError, match="mixed_float1"):
        zoo.build("mnist_conv", weights=None, precision="mixed_float1")
    assert keras.config.dtype_policy().name == "float32"


def test_a_number_of_classes_names_them_by_number():
    model = zoo.build("mnist_simple", classes=3)
    assert model.output_shape == (None, 3)
    assert model.blueprint == Blueprint(architecture="mnist_simple", input_shape=(28, 28, 1), classes=("0", "1", "2"))


def test_named_classes_in_their_order():
    model = zoo.build("mnist_simple", classes=["owl", "cat"])
    assert model.output_shape == (None, 2)
    assert model.blueprint.classes == ("owl", "cat")


def test_random_weights_have_the_cards_classes():
    assert zoo.build("mnist_simple").blueprint.classes == tuple("0123456789")


def test_another_input_size():
    model = zoo.build("mnist_conv", weights=None, input_shape=(32, 20, 3))
    assert model.input_shape == (None, 32, 20, 3)
    assert predict(model, np.zeros((2, 32, 20, 3), "uint8")).shape == (2, 10)


def test_the_softmax_takes_the_classifier():
    assert classifier_of(zoo.build("mnist_pooling")).name == "classifier"


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (
            {"name": "mnist_smple"},
            NotFoundError,
            "Unknown model 'mnist_smple'. Did you mean 'mnist_simple'? See 'zoo list'.",
        ),
        ({"clases": 3}, NotFoundError, "Unknown option 'clases' for model 'mnist_simple'. It has: none."),
        (
            {"weights": "imagenet"},
            NotFoundError,
            "Unknown weights 'imagenet' for model 'mnist_simple'. It has: none: it is built with random weights.",
        ),
        ({"classes": 1}, ZooError, "build: classes is 1; expected two or more different classes"),
        ({"classes": 0}, ZooError, "build: classes is 0; expected two or more different classes"),
        ({"classes": -3}, ZooError, "build: classes is -3; expected two or more different classes"),
        ({"classes": ["a"]}, ZooError, "build: classes is ['a']; expected two or more different classes"),
        (
            {"classes": ["a", "b", "a"]},
            ZooError,
            "build: classes is ['a', 'b', 'a']; expected two or more different classes",
        ),
        ({"classes": "cat"}, ZooError, "build: classes is 'cat'; expected two or more different classes"),
        (
            {"input_shape": (28, 28)},
            ZooError,
            "build: input_shape is (28, 28); model 'mnist_simple' expects 3 positive sizes as in (28, 28, 1)",
        ),
        (
            {"input_shape": (0, 28, 1)},
            ZooError,
            "build: input_shape is (0, 28, 1); model 'mnist_simple' expects 3 positive sizes as in (28, 28, 1)",
        ),
        (
            {"input_shape": (None, None, 1)},
            ZooError,
            "build: input_shape is (None, None, 1); model 'mnist_simple' expects 3 positive sizes as in (28, 28, 1)",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_built_is_explained(arguments, kind, text):
    with pytest.raises(kind) as raised:
        zoo.build(**{"name": "mnist_simple", **arguments})
    assert str(raised.value) == text


# A net of one hidden layer, whose weights are made here.
def build_tiny(inputs, *, card, classes, dropout, activation):
    from keras import layers

    x = layers.Conv2D(2, 3, padding="same", activation=activation, name="stem_conv")(inputs)
    x = layers.Flatten(name="head_flatten")(x)
    x = layers.Dense(5, name="head_dense")(x)
    return layers.Dense(classes, name="classifier")(x)


def numbers(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


TINY = {
    "stem_conv/kernel": numbers(3, 3, 1, 2),
    "stem_conv/bias": numbers(2),
    "head_dense/kernel": numbers(4 * 4 * 2, 5),
    "head_dense/bias": numbers(5),
    "classifier/kernel": numbers(5, 3),
    "classifier/bias": numbers(3),
}
ANIMALS = ("cat", "dog", "owl")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Registers `tiny`, whose weights `animals` tell cats, dogs and owls apart; returns how to store others."""
    registry.list_models()

    def store(stored):
        data = save(stored)
        (tmp_path / "animals.safetensors").write_bytes(data)
        (tmp_path / "digest").write_bytes(data)
        animals = WeightSet(
            name="animals",
            source=ShippedFile(file="animals.safetensors"),
            sha256=sha256(tmp_path / "digest"),
            bytes=len(data),
            licence="CC0-1.0",
            classes=ANIMALS,
        )
        absent = replace(animals, name="absent", source=PackageFile(package="zoo-no-such-package", file="x"))
        card = Card(
            name="tiny",
            family="tiny",
            description="",
            input_shape=(4, 4, 1),
            classes=7,
            params=20 + 165 + 18,
            madds=288 + 160 + 15,
            stages=(
                Stage(name="stem", last_layer="stem_conv", layers=1, params=20),
                Stage(name="head", last_layer="", layers=4, params=183),
            ),
            preprocessing="none",
            weights=(animals, absent),
            options={"activation": "relu"},
        )
        monkeypatch.setitem(registry._entries, "tiny", Entry(card, build_tiny))

    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    store(TINY)
    return store


def test_default_weights_bring_their_classifier_and_names(tiny):
    model = zoo.build("tiny")
    assert equal(arrays(model), TINY)
    assert model.blueprint == Blueprint(architecture="tiny", input_shape=(4, 4, 1), classes=ANIMALS, weights="animals")


@pytest.mark.parametrize("name", [None, "none"])
def test_without_weights_all_is_new(tiny, name):
    model = zoo.build("tiny", weights=name)
    assert model.output_shape == (None, 7)
    assert model.blueprint.weights == "none"
    assert not np.array_equal(arrays(model)["stem_conv/kernel"], TINY["stem_conv/kernel"])


def test_the_weights_own_names_in_order_keep_the_classifier(tiny):
    assert equal(arrays(zoo.build("tiny", classes=list(ANIMALS))), TINY)


@pytest.mark.parametrize("classes", [3, ["dog", "cat", "owl"], ["cat", "dog"], 9])
def test_other_classes_make_only_the_classifier_new(tiny, classes):
    model = zoo.build("tiny", classes=classes)
    now = arrays(model)
    for path in TINY:
        kept = now[path].shape == TINY[path].shape and np.array_equal(now[path], TINY[path])
        assert kept == (not path.startswith("classifier/")), path
    assert model.output_shape == (None, classes if isinstance(classes, int) else len(classes))


def test_another_input_size_makes_the_hidden_layer_new(tiny):
    now = arrays(zoo.build("tiny", input_shape=(6, 6, 1)))
    for path in ("stem_conv/kernel", "stem_conv/bias", "classifier/kernel", "classifier/bias"):
        assert np.array_equal(now[path], TINY[path])
    assert now["head_dense/kernel"].shape == (6 * 6 * 2, 5)
    # A new layer is new as a whole, its bias too.
    assert np.array_equal(now["head_dense/bias"], np.zeros(5))


def test_weights_that_do_not_fit_are_never_replaced_by_random_ones(tiny):
    tiny({**TINY, "stem_conv/kernel": numbers(3, 3, 1, 4)})
    with pytest.raises(WeightsError) as raised:
        zoo.build("tiny")
    assert str(raised.value) == (
        "tiny: weights 'animals' do not fit model 'tiny': "
        "stem_conv/kernel has shape (3, 3, 1, 4), expected (3, 3, 1, 2)"
    )


def test_weights_without_a_classifier_serve_new_classes_only(tiny):
    tiny({path: array for path, array in TINY.items() if not path.startswith("classifier/")})
    assert np.array_equal(arrays(zoo.build("tiny", classes=4))["head_dense/kernel"], TINY["head_dense/kernel"])
    with pytest.raises(WeightsError) as raised:
        zoo.build("tiny")
    assert str(raised.value) == "tiny: weights 'animals' hold no classifier for 3 classes"


def test_weights_that_are_not_here_raise(tiny):
    with pytest.raises(WeightsError, match=r"tiny: weights 'absent' .* are not here"):
        zoo.build("tiny", weights="absent")


def test_options_have_the_cards_defaults(tiny):
    assert zoo.build("tiny").get_layer("stem_conv").activation.__name__ == "relu"
    model = zoo.build("tiny", activation="tanh")
    assert model.get_layer("stem_conv").activation.__name__ == "tanh"
    assert model.blueprint.options == {"activation": "tanh"}
    with pytest.raises(NotFoundError) as raised:
        zoo.build("tiny", activations="tanh")
    assert str(raised.value) == (
        "Unknown option 'activations' for model 'tiny'. Did you mean 'activation'? It has: activation."
    )


def test_a_blueprint_survives_json(tiny):
    model = zoo.build("tiny", classes=["ä", "b"], input_shape=(8, 4, 1), dropout=0.25, activation="tanh")
    blueprint = model.blueprint
    assert blueprint == Blueprint(
        architecture="tiny",
        input_shape=(8, 4, 1),
        classes=("ä", "b"),
        weights="animals",
        dropout=0.25,
        options={"activation": "tanh"},
    )
    data = json.loads(json.dumps({**blueprint.__dict__, "kind": "card"}))
    again = Blueprint.from_json(data)
    assert again == blueprint
    assert again.card == registry.info("tiny")
    rebuilt = build_graph(again)
    assert rebuilt.input_shape == model.input_shape
    assert [layer.name for layer in rebuilt.layers] == [layer.name for layer in model.layers]


def moved_statistics(name, **settings):
    """A model with nothing left at its initial value, BatchNorm statistics included."""
    model = zoo.build(name, weights=None, **settings)
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.1, 1, weight.shape))
    return model


@pytest.mark.parametrize("name", ["mnist_conv", "mnist_striding_batchnorm", "mnist_simple"])
def test_a_saved_model_loads_exactly(name, tmp_path):
    model = moved_statistics(name, classes=["a", "b", "ü"])
    fit = ImageFit(resize="pad", interpolation="bicubic")
    save_model(model, tmp_path / "model", fit=fit)
    loaded = load_model(tmp_path / "model")
    assert loaded.blueprint.fit == fit
    assert loaded.blueprint == model.blueprint
    assert equal(arrays(loaded), arrays(model))
    assert np.array_equal(predict(loaded), predict(model))


def test_a_model_of_mixed_precision_loads_under_any_policy(tmp_path):
    model = moved_statistics("mnist_conv", precision="mixed_bfloat16")
    save_model(model, tmp_path)
    with dtype_policy("mixed_bfloat16"):
        loaded = load_model(tmp_path)
    assert np.array_equal(predict(loaded), predict(model))
    assert equal(arrays(load_model(tmp_path)), arrays(model))


def test_saving_again_replaces_the_model(tmp_path):
    save_model(moved_statistics("mnist_conv"), tmp_path)
    second = zoo.build("mnist_simple")
    save_model(second, tmp_path, fit=ImageFit(resize="stretch"))
    loaded = load_model(tmp_path)
    assert (loaded.name, loaded.blueprint.fit.resize) == ("mnist_simple", "stretch")
    assert equal(arrays(loaded), arrays(second))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "model.safetensors"]


def test_the_card_holds_all_that_rebuilds_the_model(tiny, tmp_path):
    save_model(zoo.build("tiny", classes=["ä", "b"], dropout=0.1), tmp_path / "model")
    text = (tmp_path / "model" / "card.json").read_text(encoding="utf-8")
    assert "ä" in text
    assert json.loads(text) == {
        "schema": 1,
        "kind": "card",
        "architecture": "tiny",
        "input_shape": [4, 4, 1],
        "classes": ["ä", "b"],
        "weights": "animals",
        "dropout": 0.1,
        "options": {},
        "preprocessing": {"pixels": "none", "resize": "crop", "crop_share": 1.0, "interpolation": "bilinear"},
        "licence": {"code": "Apache-2.0", "initial_weights": "CC0-1.0"},
        "sha256": sha256(tmp_path / "model" / "model.safetensors"),
    }


def test_a_model_from_random_weights_names_no_licence_of_weights(tmp_path):
    save_model(zoo.build("mnist_simple"), tmp_path)
    assert json.loads((tmp_path / "card.json").read_text())["licence"] == {
        "code": "Apache-2.0",
        "initial_weights": None,
    }


@pytest.fixture
def saved(tmp_path):
    save_model(zoo.build("mnist_simple"), tmp_path)
    return tmp_path


def test_a_damaged_weights_file_is_refused(saved):
    file = saved / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError) as raised:
        load_model(saved)
    assert str(raised.value) == f"{file}: its SHA-256 is not the one in card.json; it is damaged"


def test_a_cut_off_weights_file_is_refused(saved):
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="it is damaged"):
        load_model(saved)


@pytest.mark.parametrize("missing", ["card.json", "model.safetensors"])
def test_an_unfinished_model_is_refused(saved, missing):
    (saved / missing).unlink()
    with pytest.raises(NotFoundError) as raised:
        load_model(saved)
    assert str(raised.value) == f"{saved}: holds no finished model; expected card.json and model.safetensors"


def test_a_card_that_is_older_than_shares_means_the_whole_side_bilinear(saved):
    file = saved / "card.json"
    card = json.loads(file.read_text())
    file.write_text(json.dumps({**card, "preprocessing": {"pixels": "none", "resize": "stretch"}}))
    assert load_model(saved).blueprint.fit == ImageFit(resize="stretch", crop_share=1.0, interpolation="bilinear")


def test_a_model_built_on_a_run_reads_photos_as_the_run_did(tmp_path):
    fit = ImageFit(crop_share=0.8, interpolation="bicubic")
    save_model(zoo.build("mnist_conv", classes=["a", "b"]), tmp_path / "model", fit=fit)
    assert zoo.build("mnist_conv", weights=tmp_path).blueprint.fit == fit
    assert zoo.build("mnist_conv", weights=None).blueprint.fit == ImageFit()


@pytest.mark.parametrize(
    "damage",
    [
        lambda card: "{",
        lambda card: "[]",
        lambda card: b"\xff\xfe",
        lambda card: json.dumps({key: value for key, value in card.items() if key != "classes"}),
        lambda card: json.dumps({key: value for key, value in card.items() if key != "preprocessing"}),
        lambda card: json.dumps({**card, "classes": None}),
        lambda card: json.dumps({**card, "preprocessing": {"resize": "squash"}}),
        lambda card: json.dumps({**card, "preprocessing": {"pixels": "none"}}),
        lambda card: json.dumps({**card, "preprocessing": {"resize": "crop", "crop_share": "all"}}),
        lambda card: json.dumps({**card, "preprocessing": {"resize": "crop", "crop_share": 87.5}}),
        lambda card: json.dumps({**card, "preprocessing": {"resize": "crop", "interpolation": "nearest"}}),
    ],
    ids=[
        "cut off",
        "a list",
        "no text",
        "no classes",
        "no preprocessing",
        "null classes",
        "unknown resize",
        "no resize",
        "a share in words",
        "a share in percent",
        "unknown interpolation",
    ],
)
def test_a_damaged_card_is_refused(saved, damage):
    file = saved / "card.json"
    content = damage(json.loads(file.read_text()))
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(WeightsError) as raised:
        load_model(saved)
    assert str(raised.value).startswith(f"{file}: is damaged (")
    assert str(raised.value).endswith("); expected what zoo wrote")


@pytest.mark.parametrize(
    ("key", "value", "kind", "text"),
    [
        ("architecture", "my_net", NotFoundError, "Unknown model 'my_net'. See 'zoo list'."),
        ("input_shape", ["a", 28, 1], ZooError, "build: input_shape is ('a', 28, 1); model 'mnist_simple' expects"),
        ("classes", ["a", "b"], WeightsError, "classifier/kernel has shape (25088, 10), expected (25088, 2)"),
        ("options", {"depth": 3}, NotFoundError, "Unknown option 'depth' for model 'mnist_simple'."),
    ],
)
def test_a_card_that_asks_for_another_model_is_refused(saved, key, value, kind, text):
    file = saved / "card.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    with pytest.raises(kind) as raised:
        load_model(saved)
    assert text in str(raised.value)


def test_multiply_adds_by_hand():
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", groups=2, name="grouped")(x)
    x = keras.layers.Conv2D(5, 3, padding="valid", name="valid")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
    model = keras.Model(inputs, keras.layers.Dense(7)(x))
    assert count_madds(model) == (
        8 * 8 * (3 * 3 * 4)  # one filter a channel
        + 4 * 4 * (3 * 3 * 2 * 6)  # each filter sees half of the four channels
        + 2 * 2 * (3 * 3 * 6 * 5)  # 4 positions less the border are 2
        + 5 * 7
    )


def test_a_run_s_folder_gives_its_weights_and_class_names(tmp_path):
    keras.utils.set_random_seed(0)
    first = zoo.build("conv2d_small", weights=None, classes=["cat", "dog"])
    (tmp_path / "run").mkdir()
    save_model(first, tmp_path / "run" / "model")
    for folder in (tmp_path / "run", tmp_path / "run" / "model"):
        second = zoo.build("conv2d_small", weights=folder)
        assert second.blueprint.classes == ("cat", "dog")
        for mine, other in zip(second.weights, first.weights, strict=True):
            np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(other.value))
    third = zoo.build("conv2d_small", weights=str(tmp_path / "run"), classes=3)
    new = {weight.path for weight in classifier_of(third).weights}
    for mine, other in zip(third.weights, first.weights, strict=True):
        assert (mine.path in new) != np.array_equal(np.asarray(mine.value), np.asarray(other.value))
    with pytest.raises(WeightsError, match="holds weights of model 'conv2d_small'; expected 'mnist_simple'"):
        zoo.build("mnist_simple", weights=tmp_path / "run")
    with pytest.raises(NotFoundError, match="holds no finished model"):
        zoo.build("mnist_simple", weights=tmp_path)


def test_a_file_of_our_own_numbers(tmp_path):
    keras.utils.set_random_seed(0)
    first = zoo.build("mnist_simple", weights=None)
    path = tmp_path / "numbers.safetensors"
    path.write_bytes(save({weight.path: np.asarray(weight.value) for weight in first.weights}))
    second = zoo.build("mnist_simple", weights=path)
    assert np.array_equal(np.asarray(second.weights[0].value), np.asarray(first.weights[0].value))
    assert second.blueprint.weights == "none"
    # Seven classes: a new classifier; ten, under whatever names: the file's.
    assert zoo.build("mnist_simple", weights=path, classes=7).output_shape == (None, 7)
    named = zoo.build("mnist_simple", weights=path, classes=list("abcdefghij"))
    assert np.array_equal(np.asarray(named.weights[-2].value), np.asarray(first.weights[-2].value))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0", "resnet50"])
def test_a_fourth_channel_has_no_influence_at_first(name, tmp_path):
    keras.utils.set_random_seed(0)
    rgb = zoo.build(name, weights=None, input_shape=(64, 64, 3), classes=4)
    random = np.random.default_rng(0)
    for weight in rgb.weights:
        if weight.name in ("mean", "moving_mean"):
            weight.assign(random.normal(0, 0.1, weight.shape))
    weights.settle(rgb)
    path = tmp_path / "rgb.safetensors"
    path.write_bytes(save({weight.path: np.asarray(weight.value) for weight in rgb.weights}))
    four = zoo.build(name, weights=path, input_shape=(64, 64, 4), classes=4)
    images = random.integers(0, 256, (2, 64, 64, 4), dtype=np.uint8)
    np.testing.assert_allclose(np.asarray(four(images)), np.asarray(rgb(images[..., :3])), atol=1e-6)
    stem = next(layer for layer in four.layers if hasattr(layer, "kernel"))
    assert stem.kernel.shape[2] == 4
    assert not np.asarray(stem.kernel)[:, :, 3].any()


def test_statistics_that_a_layer_copies_survive_saving(tmp_path):
    model = zoo.build("efficientnet_b0", weights=None, input_shape=(32, 32, 3), classes=2)
    model.get_layer("normalization").weights[0].assign([0.1, 0.2, 0.3])
    weights.settle(model)
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    normalisation = [keras.Model(one.input, one.get_layer("normalization").output) for one in (model, loaded)]
    images = np.full((1, 32, 32, 3), 255, np.uint8)
    # Keras bounds the variance of a fresh layer, 1, from below only: 255 / 255 less the mean.
    np.testing.assert_allclose(np.asarray(normalisation[0](images))[0, 0, 0], [0.9, 0.8, 0.7], rtol=1e-6)
    np.testing.assert_array_equal(np.asarray(normalisation[1](images)), np.asarray(normalisation[0](images)))


def test_two_channels_are_refused():
    with pytest.raises(ZooError, match="expects 1 channel \\(grey\\), 3 \\(RGB\\) or more"):
        zoo.build("mobilenet", weights=None, input_shape=(64, 64, 2))
