import copy
import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import as_typed, phase, pixels, recipe, record
from zoo.errors import DataError, NotFoundError, WeightsError
from zoo.evaluation.measuring import evaluate
from zoo.inference.classifier import Classifier
from zoo.recipe.schema import Recipe
from zoo.report.progress import Display
from zoo.runs.folder import RunFolder
from zoo.training.preparation.preparing import prepare
from zoo.training.tools.preview import preview


@pytest.fixture(scope="module")
def classifier(finished):
    return zoo.load(finished.run.path)


def test_it_knows_its_classes_and_card(classifier):
    assert classifier.classes == ("cat", "dog")
    assert classifier.card.name == "mnist_conv"
    assert classifier.input_shape == (28, 28, 1)


def test_paths_and_arrays_give_the_same(classifier, finished):
    paths = sorted(finished.data.rglob("*.png"))
    of_paths = classifier.predict(paths)
    of_pixels = classifier.predict(np.stack([np.asarray(Image.open(path)) for path in paths]))
    assert [one.path for one in of_paths] == [str(path) for path in paths]
    assert {one.path for one in of_pixels} == {None}
    assert [one.probabilities for one in of_paths] == [one.probabilities for one in of_pixels]
    assert classifier.predict(str(paths[0])) == classifier.predict(paths[0]) == classifier.predict(paths[:1])


def test_probabilities_are_the_models_and_sum_to_1(classifier):
    images, _ = pixels(5, seed=3)
    raw = np.asarray(classifier.model(images[..., None].astype("float32"), training=False))
    for one, row in zip(classifier.predict(images), raw, strict=True):
        assert list(one.probabilities) == ["cat", "dog"]
        assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-6)
        assert list(one.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-6)
        assert one.probability == max(one.probabilities.values()) == one.probabilities[one.label]
        assert one.to_json() == {
            "path": None,
            "label": one.label,
            "probability": one.probability,
            "probabilities": one.probabilities,
        }


def test_other_sizes_and_channels_are_brought_to_the_models(classifier):
    images, _ = pixels(2)
    large = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    coloured = np.repeat(large[..., None], 3, axis=3)
    grey = [one.probabilities for one in classifier.predict(large)]
    for one, expected in zip(classifier.predict(coloured), grey, strict=True):
        assert one.probabilities == pytest.approx(expected, abs=0.02)  # grey from RGB may round by 1


def test_the_best_model_gives_the_runs_figures(classifier, finished):
    from tests.training.test_run import validation_images

    images, labels = validation_images(finished)
    found = [classifier.classes.index(one.label) for one in classifier.predict(images)]
    assert np.mean(found == labels) == finished.run.metrics["accuracy"]


def test_nothing_gives_nothing(classifier):
    assert classifier.predict([]) == []
    assert classifier.predict(np.zeros((0, 28, 28), "uint8")) == []


def test_a_file_that_is_not_an_image_is_named(classifier, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(DataError, match=f"^{tmp_path}/notes.png: is a text, not an image"):
        classifier.predict([tmp_path / "notes.png"])
    with pytest.raises(DataError, match=rf"^{tmp_path}/gone.png: there is no such file; expected an image"):
        classifier.predict([tmp_path / "gone.png"])


@pytest.mark.parametrize("images", [np.zeros((5, 28, 28, 2), "uint8"), np.zeros((2, 28, 28), "float32")])
def test_an_array_of_another_shape_or_type_is_refused(classifier, images):
    with pytest.raises(DataError, match=r"expected uint8\[n, height, width\]"):
        classifier.predict(images)


def test_one_image_gives_one_prediction_the_same_in_every_form(classifier, finished):
    path = sorted(finished.data.rglob("*.png"))[0]
    (expected,) = classifier.predict(path)
    array = np.asarray(Image.open(path))
    colour = np.repeat(array[..., None], 3, axis=2)
    for given in (array, array[..., None], array[None], colour, [array], Image.open(path), path.read_bytes(), [colour]):
        (found,) = classifier.predict(given)
        assert found == replace(expected, path=None)
    assert classifier.predict(path.parent) == classifier.predict(sorted(path.parent.iterdir()))
    assert len(classifier.predict(finished.data)) == 40


def test_the_probabilities_are_a_matrix_in_the_order_of_the_classes(classifier, finished):
    paths = sorted(finished.data.rglob("*.png"))
    found = classifier.predict_proba(iter(paths))
    assert (found.shape, found.dtype) == ((40, 2), np.float32)
    assert found.tolist() == [list(one.probabilities.values()) for one in classifier.predict(paths)]
    assert classifier.predict_proba([]).shape == (0, 2)
    assert classifier.predict_proba(np.asarray(Image.open(paths[0]))).shape == (1, 2)


def test_what_is_not_an_image_is_refused_by_its_name(classifier):
    with pytest.raises(DataError, match="the images are a dict; expected a path, a folder, uint8"):
        classifier.predict({"path": "a.png"})
    with pytest.raises(DataError, match="the images are None; expected a path"):
        classifier.predict_proba(None)


def test_one_image_is_read_as_the_model_takes_it(classifier, finished):
    path = sorted(finished.data.rglob("*.png"))[0]
    expected = np.asarray(Image.open(path))[..., None]
    for given in (path, str(path), expected, expected[..., 0], Image.open(path), path.read_bytes(), [path]):
        np.testing.assert_array_equal(classifier.read(given), expected)
    with pytest.raises(DataError, match="read: expected one image; found several"):
        classifier.read([path, path])
    with pytest.raises(DataError, match="read: expected one image; found none"):
        classifier.read([])


@pytest.mark.parametrize(
    ("name", "shape"), [("conv1d_small", None), ("conv3d_small", None), ("efficientnet_lite0", (32, 32, 4))]
)
def test_a_model_of_signals_volumes_or_more_channels_reads_no_images(name, shape):
    classifier = Classifier(zoo.build(name, classes=2, weights=None, input_shape=shape))
    expected = rf"^model '{name}' takes input .*; expected a height, a width and 1 or 3 channels"
    for ask in (classifier.predict, classifier.read, lambda images: zoo.features(classifier.model, images)):
        with pytest.raises(DataError, match=expected):
            ask(np.zeros((9, 9), "uint8"))


def test_threads_predict_at_once(classifier):
    images, _ = pixels(40, seed=3)
    expected = classifier.predict_proba(images)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: classifier.predict_proba(images), range(16)):
            np.testing.assert_array_equal(found, expected)


def test_the_models_folder_alone_will_do(finished, tmp_path):
    shutil.copytree(finished.run.path / "model", tmp_path / "mine")
    image, _ = pixels(1)
    assert zoo.load(tmp_path / "mine").predict(image) == zoo.load(finished.run.path).predict(image)


def test_a_run_that_is_not_finished_says_how_to_finish_it(tmp_path):
    RunFolder(tmp_path).write_record(record("interrupted"))
    with pytest.raises(NotFoundError) as raised:
        zoo.load(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}: the run holds no finished model (status interrupted); "
        f"go on with it: zoo finetune --run {as_typed(tmp_path)} --resume"
    )


def test_what_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(NotFoundError, match="not a run folder"):
        zoo.load(tmp_path / "gone")


def test_damaged_weights_are_refused(finished, tmp_path):
    folder = shutil.copytree(finished.run.path / "model", tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(WeightsError) as raised:
        zoo.load(folder)
    assert str(raised.value) == f"{weights}: its SHA-256 is not the one in card.json; it is damaged"
    (folder / "card.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"card\.json: is damaged"):
        zoo.load(folder)


@pytest.fixture(scope="module")
def cropped(tmp_path_factory):
    """A run on photos of 60 x 40 that reads half of the shorter side, bicubic."""
    folder = tmp_path_factory.mktemp("cropped")
    data = folder / "photos"
    for number in range(16):
        name = "ab"[number % 2]
        (data / name).mkdir(parents=True, exist_ok=True)
        ground = np.random.default_rng(number).integers(0, 256, (40, 60))
        ground[10:30, 20:40] //= 1 + 3 * (number % 2)  # what tells them apart lies in the middle
        Image.fromarray(ground.astype("uint8")).save(data / name / f"{number}.png")
    wanted = recipe(phase("all", "all"), model="mnist_conv", data={"crop_share": 0.5, "interpolation": "bicubic"})
    return zoo.finetune(wanted, data, run=folder / "run"), sorted(data.rglob("*.png"))


def test_a_run_keeps_how_it_read_photos_and_predicts_so(cropped):
    run, paths = cropped
    card = json.loads((run.path / "model" / "card.json").read_text())
    kept = {"pixels": "pixels / 255", "resize": "crop", "crop_share": 0.5, "interpolation": "bicubic"}
    assert card["preprocessing"].items() >= kept.items()
    classifier = zoo.load(run.path)
    # Half of 40 pixels at the centre of 60 x 40, by Pillow alone.
    box = (20, 10, 40, 30)
    pixels = [
        np.asarray(Image.open(path).resize((28, 28), Image.Resampling.BICUBIC, box=box))[..., None] for path in paths
    ]
    for path, expected in zip(paths, pixels, strict=True):
        np.testing.assert_array_equal(classifier.read(path), expected)
    raw = np.asarray(classifier.model(np.stack(pixels).astype("float32"), training=False))
    found = [list(one.probabilities.values()) for one in classifier.predict(paths)]
    np.testing.assert_allclose(found, raw, atol=1e-6)
    features = zoo.features(classifier.model, paths)
    np.testing.assert_allclose(features, zoo.features(classifier.model, np.stack(pixels)), atol=1e-6)


def test_evaluation_and_preview_read_photos_as_the_run_did(cropped):
    run, paths = cropped
    classifier = zoo.load(run.path)
    labels = [classifier.classes.index(path.parent.name) for path in paths]
    found = [classifier.classes.index(one.label) for one in classifier.predict(paths)]
    with Display() as display:
        result = evaluate(run.path, paths[0].parents[1], display=display)
    assert result.metrics["accuracy"] == np.mean(np.equal(found, labels))
    with Display() as display:
        prepared = prepare(Recipe.load(run.path / "recipe.toml"), paths[0].parents[1])
        shown = preview(prepared, count=16, epochs=1, bar=display.bar)
    held = {classifier.read(path).tobytes() for path in paths}
    assert {image.tobytes() for image in shown.before} <= held


@pytest.mark.parametrize(
    "copied", [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
def test_a_copy_of_a_classifier_is_one(classifier, finished, copied):
    other = copied(classifier)
    paths = sorted(finished.data.rglob("*.png"))[:3]
    assert other.model is not classifier.model
    assert (other.classes, other.card, other.input_shape) == (
        classifier.classes,
        classifier.card,
        classifier.input_shape,
    )
    assert other.fit == classifier.fit
    assert other.predict(paths) == classifier.predict(paths)
