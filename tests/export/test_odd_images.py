"""Odd images through zoo's reader and Keras, and through each export's call.py: equal pixels, equal classes."""

import numpy as np
import pytest

import zoo
from tests.odd_images import write_no_images, write_odd_images
from tests.tiny import phase, recipe, write_photos
from zoo.errors import DataError
from zoo.export.proof import TOLERANCE
from zoo.export.proving.calling import answers, look_inside
from zoo.export.writing import described, write_export
from zoo.registry.exports import EXPORTS
from zoo.runs.folder import RunFolder

# Some of them take seconds to start.
SLOW = ("keras", "openvino", "saved_model")
FORMATS = ["litert", "onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a net for colour images."""
    folder = tmp_path_factory.mktemp("colour")
    data = {"interpolation": "bicubic", "crop_share": 0.875}
    one = recipe(phase("all", "all", learning_rate=0.01), model="conv2d_small", data=data)
    return RunFolder(zoo.finetune(one, write_photos(folder / "photos", count=8), run=folder / "run", verbose=0).path)


@pytest.fixture(scope="module")
def classifier(run):
    return zoo.load(run.path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    return write_odd_images(folder / "odd"), write_no_images(folder / "none")


@pytest.fixture(scope="module")
def by_zoo(classifier, files):
    odd, none = files
    return [found for _, found in classifier.predict_each([*odd, *none])]


@pytest.mark.parametrize("name", FORMATS)
def test_each_export_gives_odd_images_the_pixels_and_the_class_that_zoo_gives(
    run, classifier, files, by_zoo, tmp_path, name
):
    row = EXPORTS.lookup(name)
    write_export(tmp_path, row, classifier.model, described(run, classifier.model, row))
    odd, none = files
    with answers(tmp_path, [*odd, *none]) as answered:
        by_call = list(answered)
    for file, expected, answer in zip([*odd, *none], by_zoo, by_call, strict=True):
        assert answer["path"] == str(file)
        if isinstance(expected, DataError):
            assert file in none
            assert list(answer) == ["path", "error"]
            continue
        assert file in odd
        assert answer["label"] == expected.label, file.name
        assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=TOLERANCE), file.name
    assert len({answer.get("label") for answer in by_call}) == 3  # both classes, and none
    read, _ = look_inside(tmp_path, odd, np.zeros((1, 32, 32, 3), np.uint8))
    for file, pixels in zip(odd, read, strict=True):
        assert np.array_equal(pixels, classifier.read(file)), file.name
