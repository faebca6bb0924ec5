import contextlib
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import keras
import numpy as np
import pytest
from safetensors.numpy import save

import zoo
from tests.tiny import rewrite
from zoo import registry
from zoo.errors import NotFoundError, WeightsError, ZooError
from zoo.models import weights
from zoo.models.blueprint import Blueprint
from zoo.models.building import build_graph, load_model
from zoo.models.counting import count_madds
from zoo.models.saving import save_model
from zoo.models.taking_over import classifier_of
from zoo.registry import Card, Entry, PackageFile, ShippedFile, Stage, WeightSet, entries
from zoo.registry.fitting import ImageFit
from zoo.system.files import sha256

SMALL = zoo.list_models("mnist_*")
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1)).astype("uint8")


@contextlib.contextmanager
def policy(name):
    """What a caller has set for Keras."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    yield
    assert keras.config.dtype_policy().name == name
    keras.config.set_dtype_policy(before)


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
    with policy("mixed_bfloat16"):
        model = zoo.build("mnist_simple")
    assert model.get_layer("classifier").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_the_policy_is_put_back_when_building_fails():
    with pytest.raises(ZooError, match=r"dropout is 1\.5"):
        zoo.build("mnist_conv", weights=None, dropout=1.5, precision="mixed_float16")
    assert keras.config.dtype_policy().name == "float32"
    with pytest.raises(ZooError) as raised:
        zoo.build("mnist_conv", weights=None, precision="mixed_float1")
    assert str(raised.value) == (
        "precision is 'mixed_float1'; expected a dtype policy of Keras, such as float32, mixed_bfloat16 or "
        "mixed_float16"
    )
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
        (
            {"clases": 3},
            NotFoundError,
            "Unknown option 'clases' for model 'mnist_simple'. Did you mean 'classes'? It has: none.",
        ),
        (
            {"num_classes": 3},
            NotFoundError,
            "Unknown option 'num_classes' for model 'mnist_simple'. Write classes=10. It has: none.",
        ),
        (
            {"pretrained": True},
            NotFoundError,
            "Unknown option 'pretrained' for model 'mnist_simple'. Write weights='default', or weights=None for random "
            "ones. It has: none.",
        ),
        (
            {"in_chans": 1},
            NotFoundError,
            "Unknown option 'in_chans' for model 'mnist_simple'. Write input_shape=(height, width, channels). "
            "It has: none.",
        ),
        (
            {"include_top": False},
            NotFoundError,
            "Unknown option 'include_top' for model 'mnist_simple'. Write classes= for a new head, or "
            "zoo.features(model, images) for what comes before it. It has: none.",
        ),
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
            "build: input_shape is (None, None, 1); model 'mnist_simple' expects 3 positive sizes as in (28, 28, 1); "
            "a size cannot be left open (None): photos are brought to one size",
        ),
        (
            {"input_shape": 28},
            ZooError,
            "build: input_shape is 28; expected 3 sizes as in (28, 28, 1); write input_shape=(28, 28, 1)",
        ),
        (
            {"input_shape": (28.0, 28.0, 1)},
            ZooError,
            "build: input_shape is (28.0, 28.0, 1); model 'mnist_simple' expects 3 positive sizes as in (28, 28, 1)",
        ),
        (
            {"input_shape": (True, 28, 1)},
            ZooError,
            "build: input_shape is (True, 28, 1); model 'mnist_simple' expects 3 positive sizes as in (28, 28, 1)",
        ),
        (
            {"input_shape": ()},
            ZooError,
            "build: input_shape is (); model 'mnist_simple' expects 3 positive sizes as in (28, 28, 1)",
        ),
        (
            {"input_shape": "28x28"},
            ZooError,
            "build: input_shape is '28x28'; expected 3 sizes as in (28, 28, 1)",
        ),
        (
            {"name": "conv2d_small", "input_shape": (3, 64, 64)},
            ZooError,
            "build: input_shape is (3, 64, 64), channels first; model 'conv2d_small' expects height, width and "
            "channels; write input_shape=(64, 64, 3)",
        ),
        (
            {"input_shape": (10**7, 10**7, 1)},
            ZooError,
            "build: input_shape is (10000000, 10000000, 1), 100,000,000,000,000 values an image; expected fewer than "
            "2,147,483,648",
        ),
        (
            {"classes": {"owl"}},
            ZooError,
            "build: classes is {'owl'}; a set has another order in each process; expected a list, such as "
            "sorted(names)",
        ),
        (
            {"classes": {1: "cat", 2: "dog"}},
            ZooError,
            "build: classes is {1: 'cat', 2: 'dog'}; expected of a dict the numbers 0, 1, ... as keys and the names as "
            "values",
        ),
        (
            {"classes": {"cat": 0, "dog": 1}},
            ZooError,
            "build: classes is {'cat': 0, 'dog': 1}; expected of a dict the numbers 0, 1, ... as keys and the names as "
            "values",
        ),
        (
            {"classes": ["cat", None]},
            ZooError,
            "build: classes is ['cat', None]; expected names as texts; None is not one",
        ),
        (
            {"classes": [0, 1]},
            ZooError,
            "build: classes is [0, 1]; expected names as texts; 0 is not one",
        ),
        (
            {"classes": ["cat", " "]},
            ZooError,
            "build: classes is ['cat', ' ']; expected names as texts; ' ' is not one",
        ),
        (
            {"classes": True},
            ZooError,
            "build: classes is True; expected a number of classes, or a list of their names in order",
        ),
        (
            {"classes": 3.0},
            ZooError,
            "build: classes is 3.0; expected a number of classes, or a list of their names in order",
        ),
        (
            {"classes": b"ab"},
            ZooError,
            "build: classes is b'ab'; expected a number of classes, or a list of their names in order",
        ),
        (
            {"classes": 10**12},
            ZooError,
            "build: classes is 1000000000000; expected two or more different classes, at most 1,000,000",
        ),
        ({"dropout": -0.1}, ZooError, "build: dropout is -0.1; expected a rate from 0 up to 1, or None"),
        ({"dropout": 1}, ZooError, "build: dropout is 1; expected a rate from 0 up to 1, or None"),
        ({"dropout": "auto"}, ZooError, "build: dropout is 'auto'; expected a rate from 0 up to 1, or None"),
        (
            {"weights": True},
            ZooError,
            "build: weights is True; expected 'default', the name of a set, a file or folder, or None for random ones",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_built_is_explained(arguments, kind, text):
    with pytest.raises(kind) as raised:
        zoo.build(**{"name": "mnist_simple", **arguments})
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (np.int64(3), ("0", "1", "2")),
        (np.array(3, dtype=np.uint8), ("0", "1", "2")),
        (np.array(["owl", "cat"]), ("owl", "cat")),
        (np.array(["owl", "cat"], dtype=object), ("owl", "cat")),
        ([np.str_("owl"), "cat"], ("owl", "cat")),
        ({1: "dog", 0: "cat"}, ("cat", "dog")),
        ({np.int64(1): "dog", np.int64(0): "cat"}, ("cat", "dog")),
    ],
    ids=repr,
)
def test_classes_come_as_numpy_has_them_and_as_a_dict_in_order_of_its_numbers(classes, names):
    found = zoo.build("mnist_simple", classes=classes).blueprint.classes
    assert found == names
    assert {type(name) for name in found} == {str}


def test_a_generator_of_classes_is_refused_in_one_line():
    with pytest.raises(ZooError, match=r"expected a number of classes, or a list of their names in order$"):
        zoo.build("mnist_simple", classes=(name for name in "ab"))


@pytest.mark.parametrize("shape", [tuple(np.array([20, 24, 1])), [20, 24, 1], np.array([20, 24, 1])], ids=repr)
def test_an_input_shape_comes_as_numpy_has_it(shape, tmp_path):
    model = zoo.build("mnist_simple", input_shape=shape)
    assert model.input_shape == (None, 20, 24, 1)
    # What is kept of it can be written down.
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").blueprint.input_shape == (20, 24, 1)


@pytest.mark.parametrize("options", [{"alpha": "wide"}, {"alpha": None}, {"alpha": True}, {"minimalistic": []}])
def test_an_option_of_another_kind_is_refused_by_name(options):
    with pytest.raises(ZooError) as raised:
        zoo.build("mobilenet_v3_small", weights=None, **options)
    name, value = next(iter(options.items()))
    assert str(raised.value) == (
        f"build: option {name} of model 'mobilenet_v3_small' is {value!r}; expected a value such as its default, "
        f"{1.0 if name == 'alpha' else False}"
    )


@pytest.mark.parametrize("name", ["mobilenet", "mobilenet_v2", "mobilenet_v3_large"])
@pytest.mark.parametrize("alpha", [-1, 0, 0.0])
def test_a_width_that_is_none_is_refused(name, alpha):
    with pytest.raises(ZooError) as raised:
        zoo.build(name, weights=None, alpha=alpha)
    assert str(raised.value) == f"build: option alpha of model '{name}' is {alpha!r}; expected a width above 0"


def test_an_option_comes_as_numpy_has_it():
    model = zoo.build("mobilenet_v3_small", weights=None, input_shape=(32, 32, 3), alpha=np.float32(0.5))
    assert model.blueprint.options == {"alpha": 0.5}
    assert type(model.blueprint.options["alpha"]) is float


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
        monkeypatch.setitem(entries._entries, "tiny", Entry(card, build_tiny))

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


@pytest.mark.parametrize("set_by_the_caller", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_model_of_mixed_precision_loads_with_its_policy_under_any_other(tmp_path, set_by_the_caller):
    model = moved_statistics("mnist_conv", precision="mixed_bfloat16")
    save_model(model, tmp_path)
    with policy(set_by_the_caller):
        loaded = load_model(tmp_path)
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    assert np.array_equal(predict(loaded), predict(model))
    assert equal(arrays(loaded), arrays(model))


def test_a_model_that_was_saved_without_its_policy_loads_as_it_is_asked(tmp_path):
    model = moved_statistics("mnist_conv")
    save_model(model, tmp_path)
    document = json.loads((tmp_path / "card.json").read_text())
    del document["precision"]
    rewrite(tmp_path / "card.json", document)
    with policy("mixed_bfloat16"):
        assert load_model(tmp_path).dtype_policy.name == "float32"
        assert load_model(tmp_path, precision="mixed_float16").dtype_policy.name == "mixed_float16"


def test_saving_again_replaces_the_model(tmp_path):
    save_model(moved_statistics("mnist_conv"), tmp_path)
    second = zoo.build("mnist_simple")
    save_model(second, tmp_path, fit=ImageFit(resize="stretch"))
    loaded = load_model(tmp_path)
    assert (loaded.name, loaded.blueprint.fit.resize) == ("mnist_simple", "stretch")
    assert equal(arrays(loaded), arrays(second))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "model.safetensors"]


def test_an_option_that_the_family_cannot_be_built_with_is_refused_in_one_line(tiny):
    with pytest.raises(ZooError) as raised:
        zoo.build("tiny", activation="reluu")
    text = str(raised.value)
    assert text.startswith("build: model 'tiny' cannot be built for input_shape=(4, 4, 1), activation='reluu': ")
    assert "\n" not in text


def test_the_card_holds_all_that_rebuilds_the_model(tiny, tmp_path):
    save_model(zoo.build("tiny", classes=["ä", "b"], dropout=0.1), tmp_path / "model")
    text = (tmp_path / "model" / "card.json").read_text(encoding="utf-8")
    assert "ä" in text
    document = json.loads(text)
    assert len(document.pop("seal")) == 64
    assert document == {
        "schema": 1,
        "kind": "card",
        "sealed": True,
        "architecture": "tiny",
        "input_shape": [4, 4, 1],
        "classes": ["ä", "b"],
        "weights": "animals",
        "dropout": 0.1,
        "options": {},
        "precision": "float32",
        "preprocessing": {
            "pixels": "none",
            "resize": "crop",
            "crop_share": 1.0,
            "interpolation": "bilinear",
            "white": 0,
        },
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
    rewrite(file, {**card, "preprocessing": {"pixels": "none", "resize": "stretch"}})
    assert load_model(saved).blueprint.fit == ImageFit(resize="stretch", crop_share=1.0, interpolation="bilinear")


def test_a_model_built_on_a_run_reads_photos_as_the_run_did(tmp_path):
    fit = ImageFit(crop_share=0.8, interpolation="bicubic")
    save_model(zoo.build("mnist_conv", classes=["a", "b"]), tmp_path / "model", fit=fit)
    assert zoo.build("mnist_conv", weights=tmp_path).blueprint.fit == fit
    assert zoo.build("mnist_conv", weights=None).blueprint.fit == ImageFit()


@pytest.mark.parametrize(
    "damage",
    [
        lambda card: b"{",
        lambda card: b"[]",
        lambda card: b"\xff\xfe",
        lambda card: {key: value for key, value in card.items() if key != "classes"},
        lambda card: {key: value for key, value in card.items() if key != "preprocessing"},
        lambda card: {**card, "classes": None},
        lambda card: {**card, "preprocessing": {"resize": "squash"}},
        lambda card: {**card, "preprocessing": {"pixels": "none"}},
        lambda card: {**card, "preprocessing": {"resize": "crop", "crop_share": "all"}},
        lambda card: {**card, "preprocessing": {"resize": "crop", "crop_share": 87.5}},
        lambda card: {**card, "preprocessing": {"resize": "crop", "interpolation": "nearest"}},
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
    file.write_bytes(content) if isinstance(content, bytes) else rewrite(file, content)
    with pytest.raises(WeightsError) as raised:
        load_model(saved)
    assert str(raised.value).startswith(f"{file}: is damaged (")
    assert str(raised.value).endswith("); expected what zoo wrote")


@pytest.mark.parametrize(
    ("key", "value", "kind", "text"),
    [
        ("architecture", "my_net", NotFoundError, "Unknown model 'my_net'. See 'zoo list'."),
        ("input_shape", ["a", 28, 1], WeightsError, "input_shape is ['a', 28, 1]; expected positive whole numbers"),
        ("input_shape", [28, 28], WeightsError, "input_shape is (28, 28); model 'mnist_simple' expects 3 positive"),
        ("options", {"depth": {}}, NotFoundError, "Unknown option 'depth' for model 'mnist_simple'."),
        ("classes", ["a", "b"], WeightsError, "classifier/kernel has shape (25088, 10), expected (25088, 2)"),
        ("options", {"depth": 3}, NotFoundError, "Unknown option 'depth' for model 'mnist_simple'."),
    ],
)
def test_a_card_that_asks_for_another_model_is_refused(saved, key, value, kind, text):
    file = saved / "card.json"
    rewrite(file, {**json.loads(file.read_text()), key: value})
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
    with pytest.warns(UserWarning, match="its 2 classes are not the ones asked for: the classifier for 3 classes"):
        third = zoo.build("conv2d_small", weights=str(tmp_path / "run"), classes=3)
    with pytest.warns(UserWarning, match="the classifier for 2 classes is new, with random numbers"):
        zoo.build("conv2d_small", weights=tmp_path / "run", classes=["dog", "cat"])
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
    with pytest.warns(UserWarning, match="holds no classifier of this shape: the classifier for 7 classes is new"):
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
    weights.finalize_state(rgb)
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
    weights.finalize_state(model)
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


def test_what_is_loaded_leaves_pythons_generator_as_it_was_and_what_is_new_draws_from_it(tmp_path):
    save_model(zoo.build("mnist_conv_tiny", weights=None), tmp_path / "model")
    random.seed(1)
    before = random.getstate()
    zoo.build("mnist_conv_tiny")
    zoo.build("mnist_conv_tiny", weights=tmp_path / "model")
    zoo.load(tmp_path / "model")
    assert random.getstate() == before
    # A new classifier comes from it, as all of Keras' layers do: two are not alike.
    first, second = (zoo.build("mnist_conv_tiny", classes=3) for _ in range(2))
    assert not np.array_equal(first.get_weights()[-2], second.get_weights()[-2])
    assert random.getstate() != before


def test_eight_threads_that_build_leave_pythons_generator_as_it_was():
    zoo.build("mnist_conv_tiny")
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    random.seed(1)
    before = random.getstate()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: zoo.build("mnist_conv_tiny"), range(16)))
    finally:
        sys.setswitchinterval(switching)
    assert random.getstate() == before


def test_a_run_is_found_by_the_name_of_its_folder_and_below_home(tmp_path, monkeypatch):
    run = tmp_path / "pets"
    run.mkdir()
    made = zoo.build("mnist_conv_tiny", weights=None, classes=2)
    save_model(made, run / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("pets", "~/pets"):
        assert equal(arrays(zoo.build("mnist_conv_tiny", weights=given)), arrays(made))
    with pytest.raises(ZooError, match="is an address, which is not read; download it"):
        zoo.build("mnist_conv_tiny", weights="https://example.org/pets.h5")
    with pytest.raises(NotFoundError, match="Unknown weights 'cats'"):
        zoo.build("mnist_conv_tiny", weights="cats")


def test_a_head_that_does_not_fit_into_memory_is_refused_before_it_takes_any():
    # A kernel of 5 x 5 to 32 maps, 832; flattened, 8192 x 8192 x 32 to 10 classes.
    with pytest.raises(ZooError) as raised:
        zoo.build("mnist_simple", classes=10, input_shape=(8192, 8192, 1), dropout=None, weights=None)
    message = str(raised.value)
    assert message.startswith(
        "build: model 'mnist_simple' with input_shape=(8192, 8192, 1): 21,474,837,322 parameters "
    )
    assert message.endswith("GB are free; take a smaller input (data.image_size, input_shape=) or a smaller model")
    # What is made afterwards is not kept waiting.
    assert np.isfinite(keras.layers.Dense(2)(np.ones((1, 2), "float32"))).all()


@pytest.mark.parametrize(("name", "shape"), [("mnist_conv", (64, 64, 1)), ("efficientnet_lite0", (512, 512, 3))])
def test_weights_that_wait_for_their_memory_are_those_that_do_not(name, shape, monkeypatch):
    def weights_of(larger):
        monkeypatch.setattr("zoo.models.building.LARGER_INPUT", larger)
        keras.utils.set_random_seed(3)
        keras.utils.clear_session()
        return {
            weight.path: np.asarray(weight)
            for weight in zoo.build(name, classes=3, input_shape=shape, weights=None).weights
        }

    waiting, usual = weights_of(1), weights_of(10**9)
    assert waiting.keys() == usual.keys()
    assert all(np.array_equal(waiting[path], usual[path]) for path in usual)


def test_memory_that_runs_out_while_a_model_is_built_is_a_fault_that_is_explained(monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(keras.layers.Dense, "build", exhausted)
    with pytest.raises(ZooError, match=r"^build: model 'mnist_simple' with input_shape=\(28, 28, 1\): out of memory; "):
        zoo.build("mnist_simple")
