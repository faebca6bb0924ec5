"""Keras' HDF5 files, as Keras itself writes them, and hostile ones."""

import io
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

import zoo
from zoo.errors import WeightsError
from zoo.foreign import hdf5

# What Keras itself warns of while it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def numbers(model):
    """The weights of a model in order."""
    return [np.asarray(weight.value) for weight in model.weights]


def read(path):
    with path.open("rb") as file:
        return hdf5.read_layers(file, origin=str(path))


def save_keras_2(model, path, *, whole):
    """Writes Keras 2's layouts, which keras.applications' own files have: weights alone, or a whole model."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file.create_group("model_weights") if whole else file, model)


def shifted(model):
    """Gives each weight values of its own."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(random.uniform(0.1, 1, weight.shape))
    return model


@pytest.fixture(scope="module")
def theirs():
    keras.layers.Conv2D(1, 1)
    # Built as the second model of a process, so that `conv2d` and others have other numbers than ours.
    return shifted(keras.applications.Xception(weights=None, input_shape=(71, 71, 3), classes=7))


@pytest.mark.parametrize("layout", ["weights.h5", "whole.h5", "x.weights.h5", "x.keras"])
def test_every_layout_of_keras_is_read(theirs, tmp_path, layout):
    path = tmp_path / layout
    if layout in ("weights.h5", "whole.h5"):
        save_keras_2(theirs, path, whole=layout == "whole.h5")
    elif layout == "x.keras":
        theirs.save(path)
    else:
        theirs.save_weights(path)
    ours = zoo.build("xception", weights=str(path), classes=7, input_shape=(71, 71, 3))
    for mine, other in zip(numbers(ours), numbers(theirs), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_another_number_of_classes_keeps_all_but_the_classifier(theirs, tmp_path):
    save_keras_2(theirs, tmp_path / "x.h5", whole=False)
    with pytest.warns(UserWarning, match=r"x.h5: it holds no classifier of this shape: .* 2 classes is new"):
        ours = zoo.build("xception", weights=str(tmp_path / "x.h5"), classes=["a", "b"], input_shape=(71, 71, 3))
    np.testing.assert_array_equal(numbers(ours)[0], numbers(theirs)[0])
    assert ours.get_layer("predictions").kernel.shape == (2048, 2)


def test_the_nested_layers_of_convnext_are_found(tmp_path):
    theirs = shifted(keras.applications.ConvNeXtTiny(weights=None, input_shape=(32, 32, 3), classes=3))
    save_keras_2(theirs, tmp_path / "x.h5", whole=False)
    ours = zoo.build("convnext_tiny", weights=str(tmp_path / "x.h5"), classes=3, input_shape=(32, 32, 3))
    assert sum(map(np.size, numbers(ours))) == theirs.count_params()
    block = "convnext_tiny_downsampling_block_1"
    for layer in theirs.get_layer(block).layers:
        for mine, other in zip(ours.get_layer(layer.name).weights, layer.weights, strict=True):
            np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(other.value))


@pytest.fixture
def small(tmp_path):
    """A file of the weights of a small convnet of ours, and its path."""
    model = shifted(zoo.build("conv2d_small", weights=None))
    path = tmp_path / "small.h5"
    save_keras_2(model, path, whole=False)
    return model, path


def test_another_architecture_is_refused(small):
    _, path = small
    with pytest.raises(WeightsError, match="expected a file of the same architecture"):
        zoo.build("mnist_simple", weights=str(path))


def test_a_file_that_is_none(tmp_path):
    path = tmp_path / "page.h5"
    path.write_text("<html>not found</html>")
    with pytest.raises(WeightsError, match=r"page.h5: is not a readable file of Keras weights \(OSError"):
        read(path)
    with pytest.raises(WeightsError, match="there is no such file of weights"):
        zoo.build("conv2d_small", weights=str(tmp_path / "absent.h5"))


def test_an_open_file_is_read_whatever_its_path_leads_to(small, tmp_path):
    model, path = small
    with path.open("rb") as file:
        path.unlink()
        path.write_text("something else")
        held = hdf5.read_layers(file, origin=str(path))
    ours = [array for layer in held.layers for array in layer.arrays]
    for mine, other in zip(ours, numbers(model), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_truncated_file(small, tmp_path):
    _, path = small
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match="is not a readable file"):
        read(cut)


def test_a_link_to_another_file_is_not_followed(small, tmp_path):
    _, path = small
    with h5py.File(path, "a") as file:
        name = next(name for name in file if len(file[name].attrs["weight_names"]))
        weight = file[name].attrs["weight_names"][0]
        weight = weight.decode() if isinstance(weight, bytes) else weight
        parent, _, last = f"{name}/{weight}".rpartition("/")
        del file[parent][last]
        file[parent][last] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/numbers")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["numbers"] = np.zeros(3)
    with pytest.raises(WeightsError, match="is not a member of the file itself"):
        read(path)


def test_a_small_file_of_huge_arrays_takes_no_memory(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv"]
        file.create_group("conv").attrs["weight_names"] = ["kernel"]
        file["conv"].create_dataset("kernel", shape=(1 << 34,), dtype="f4", chunks=(1 << 16,), compression="gzip")
    assert path.stat().st_size < 1e6
    with pytest.raises(WeightsError, match="its arrays hold 68,719,476,736 bytes"):
        read(path)


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"\0" * 10_000_000)
    with pytest.raises(WeightsError, match="unpack to 10,000,000 bytes"):
        read(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(WeightsError, match=r"is not a readable \.keras file"):
        read(path)


def test_the_configuration_of_a_keras_file_is_never_read(tmp_path):
    model = shifted(zoo.build("conv2d_small", weights=None))
    model.save(tmp_path / "good.keras")
    with zipfile.ZipFile(tmp_path / "good.keras") as good, zipfile.ZipFile(tmp_path / "odd.keras", "w") as odd:
        odd.writestr("config.json", '{"class_name": "Lambda", "module": "os", "config": "no model at all"}')
        odd.writestr("model.weights.h5", good.read("model.weights.h5"))
    ours = zoo.build("conv2d_small", weights=str(tmp_path / "odd.keras"))
    for mine, other in zip(numbers(ours), numbers(model), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_system_without_limits_says_so_and_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    with pytest.raises(WeightsError) as raised:
        hdf5.read_layers(io.BytesIO(), origin="x.h5")
    assert str(raised.value) == (
        f"x.h5: HDF5 files are read under limits of memory and time, which this system "
        f"({sys.platform}) does not have; use WSL, or convert the file to .safetensors elsewhere"
    )
