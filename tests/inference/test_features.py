"""Features are what a stage gives, by hand."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import zoo
from zoo.cli import main
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.errors import DataError, NotFoundError


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return zoo.build("mnist_conv")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), dtype=np.uint8)


def by_hand(model: keras.Model, images: np.ndarray, layer: str) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(images))


def test_the_default_is_the_average_of_the_last_stage(model: keras.Model, images: np.ndarray) -> None:
    found = zoo.features(model, images)
    assert (found.shape, found.dtype) == ((40, 128), np.float32)
    np.testing.assert_allclose(found, by_hand(model, images, "stage3_1_activation").mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("pooling", "pool"), [("max", lambda maps: maps.max(axis=(1, 2))), (None, lambda maps: maps)])
def test_a_stage_and_a_pooling_can_be_chosen(model, images, pooling, pool) -> None:
    found = zoo.features(model, images, at="stem", pooling=pooling)
    np.testing.assert_allclose(found, pool(by_hand(model, images, "stem_1_activation")), rtol=1e-5, atol=1e-6)


def test_the_features_of_a_linear_head_give_the_model_s_own_answer(model: keras.Model, images: np.ndarray) -> None:
    kernel, bias = (np.asarray(weight.value) for weight in model.get_layer("classifier").weights)
    logits = zoo.features(model, images) @ kernel + bias
    expected = np.asarray(model(images))
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, atol=1e-5)


def test_an_unknown_stage_names_those_there_are(model: keras.Model, images: np.ndarray) -> None:
    with pytest.raises(NotFoundError, match=r"no stage 'stage9' .*Did you mean 'stage.'.*It has: stem, stage1"):
        zoo.features(model, images, at="stage9")
    with pytest.raises(NotFoundError, match="no stage 'head'"):
        zoo.features(model, images, at="head")


def test_a_file_of_weights_does_not_say_how_photos_are_read_and_that_is_said(tmp_path: Path) -> None:
    numbers = {weight.path: np.asarray(weight.value) for weight in zoo.build("mnist_conv").weights}
    save_file(numbers, tmp_path / "x.safetensors")
    model = zoo.build("mnist_conv", weights=tmp_path / "x.safetensors")
    Image.new("L", (60, 40), 90).save(tmp_path / "x.png")
    with pytest.warns(UserWarning) as caught:
        found = zoo.features(model, tmp_path / "x.png")
    assert [str(one.message) for one in caught] == [
        "features: model 'mnist_conv' does not know how photos are brought to its input, as models with the weights of "
        "zoo or of a run do; pixels in [0, 255] are resized by a plain crop; choose with resize="
    ]
    np.testing.assert_array_equal(zoo.features(model, tmp_path / "x.png", resize="crop"), found)
    zoo.features(model, np.zeros((2, 28, 28, 1), np.uint8))  # of its size: there is nothing to warn of


def test_no_images_and_broken_ones(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no images"):
        zoo.features(model, [])
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png"):
        zoo.features(model, tmp_path / "broken.png")


def test_a_model_of_any_size_says_that_images_need_one(images: np.ndarray) -> None:
    any_size = keras.applications.MobileNetV3Small(weights=None, include_top=False, input_shape=(None, None, 3))
    with pytest.raises(DataError, match="takes input NonexNonex3; expected a height, a width and 1 or 3 channels"):
        zoo.features(any_size, images)


def test_one_image_gives_one_vector_in_every_form(model: keras.Model, images: np.ndarray, tmp_path: Path) -> None:
    expected = zoo.features(model, images[:1])
    Image.fromarray(images[0, :, :, 0]).save(tmp_path / "a.png")
    coloured = np.repeat(images[0], 3, axis=2)
    for given in (images[0], images[0, :, :, 0], coloured, [images[0]], tmp_path, [Image.open(tmp_path / "a.png")]):
        np.testing.assert_allclose(zoo.features(model, given), expected, atol=1e-6)
    with pytest.raises(DataError, match="the images are a set"):
        zoo.features(model, {"a.png"})


def run(arguments: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


def test_copies_of_a_model_read_photos_as_its_weights_were_measured_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)).save(path)
    copy = keras.models.clone_model(zoo.build("efficientnet_lite0", weights=None, classes=2, input_shape=(64, 64, 3)))
    cut = keras.Model(copy.input, copy.layers[-4].output)
    fit = zoo.info("efficientnet_lite0").weights[0].protocol.fit
    pixels, _ = read_pixels(path, Settings(height=64, width=64, channels=3, fit=fit))
    expected = zoo.features(copy, pixels)  # of its size: there is nothing to warn of
    for one in (copy, cut):
        with pytest.warns(
            UserWarning, match=r"does not know how .* resized as its weights 'imagenet' were measured; cho"
        ):
            np.testing.assert_allclose(zoo.features(one, path), expected, rtol=1e-4, atol=1e-5)
    plain, _ = read_pixels(path, Settings(height=64, width=64, channels=3))
    assert (plain != pixels).any()
    np.testing.assert_allclose(zoo.features(copy, path, resize="crop"), zoo.features(copy, plain), rtol=1e-4, atol=1e-5)


def test_photos_for_a_model_of_others_are_cropped_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    pixels = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(2, 3, name="first")(pixels)
    foreign = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)), name="foreign")
    plain, _ = read_pixels(path, Settings(height=8, width=8, channels=3))
    with pytest.warns(
        UserWarning, match=r"features: model 'foreign' does not know how .* by a plain crop; choose with"
    ):
        found = zoo.features(foreign, path)
    np.testing.assert_allclose(found, zoo.features(foreign, plain), rtol=1e-5)


def test_the_command_writes_vectors_in_the_order_of_the_paths(
    model: keras.Model, images: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(35):
        Image.fromarray(images[number, :, :, 0]).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "20-broken.png").write_bytes(b"no image")
    out = tmp_path / "out.npz"
    assert run(["features", "mnist_conv", str(tmp_path), "--out", str(out), "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "schema": 1,
        "kind": "features",
        "out": str(out),
        "stage": "stage3",
        "shape": [35, 128],
        "trained_on": 0,
    }
    assert "20-broken.png" in said.err
    with np.load(out) as written:
        assert [Path(path).stem for path in written["paths"]] == [f"{number:02d}" for number in range(35)]
        np.testing.assert_allclose(written["features"], zoo.features(model, images[:35]), rtol=1e-5, atol=1e-6)


def test_the_command_writes_nothing_where_nothing_could_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out.npz"
    assert run(["features", "mnist_conv", str(tmp_path / "broken.png"), "--out", str(out)]) == 1
    assert not out.exists()


def test_the_command_writes_a_table_or_refuses_the_suffix(
    model: keras.Model, images: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "a, b.png", tmp_path / "out.csv"
    Image.fromarray(images[0, :, :, 0]).save(path)
    assert run(["features", "mnist_conv", str(path), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"features of 1 image, 1 x 128: {out}\n"
    header, line = csv.reader(out.read_text().splitlines())
    assert header == ["path", *(f"f{number}" for number in range(128))]
    assert line[0] == str(path)
    found = np.array(line[1:], np.float32)
    assert run(["features", "mnist_conv", str(path), "--out", str(tmp_path / "out.npz")]) == 0
    with np.load(tmp_path / "out.npz") as written:
        np.testing.assert_array_equal(found, written["features"][0])
    capsys.readouterr()
    assert run(["features", "mnist_conv", str(path), "--out", str(tmp_path / "out.npy")]) == 2
    assert "out.npy' ends in .npy; expected .npz or .csv" in capsys.readouterr().err
    assert run(["features", "mnist_conv", str(path), "--out", str(out), "--pooling", "none"]) == 2
    assert "--pooling none gives maps, and a .csv file holds vectors" in capsys.readouterr().err


def test_features_of_random_layers_are_warned_of(
    images: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(images[0, :, :, 0]).save(tmp_path / "a.png")
    warning = "warning: model 'mnist_simple' has no pretrained weights: its features are those of random layers"
    for name, expected in (("mnist_simple", True), ("mnist_conv_tiny", False)):
        assert run(["features", name, str(tmp_path / "a.png"), "--out", str(tmp_path / "x.npz")]) == 0
        assert (warning in capsys.readouterr().err) == expected
