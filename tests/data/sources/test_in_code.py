import json
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import phase, pixels, recipe, write_photos
from zoo.data import read_in_code
from zoo.errors import DataError
from zoo.evaluation.measuring import evaluate
from zoo.report.progress import Display
from zoo.training.preparation.hyperrule import typical_area

GREY = np.zeros((4, 5), np.uint8)


class Images:
    """As a dataset of PyTorch is: items are made when asked for, and counted."""

    def __init__(self, items, **attributes):
        self.items = items
        self.asked = []
        vars(self).update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.items[index]


def tiny(count=32, seed=0, **attributes):
    images, labels = pixels(count, seed=seed)
    return Images([(image, int(label)) for image, label in zip(images, labels, strict=True)], **attributes)


def fault(data, **options):
    with pytest.raises(DataError) as raised:
        read_in_code(data, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("labels", "attributes", "classes", "indices"),
    [
        ([1, 0, 1], {}, ("0", "1"), [1, 0, 1]),
        ([10, 9, 10], {}, ("9", "10"), [1, 0, 1]),
        (["dog", "cat", "dog"], {}, ("cat", "dog"), [1, 0, 1]),
        ([np.int64(1), np.array(0), np.array([1])], {}, ("0", "1"), [1, 0, 1]),
        ([1, 0, 1], {"classes": ["dog", "cat"]}, ("dog", "cat"), [1, 0, 1]),
        (["cat", "dog", "cat"], {"classes": ["dog", "cat"]}, ("dog", "cat"), [1, 0, 1]),
        ([0, 0, 0], {"targets": [1, 0, 1]}, ("0", "1"), [1, 0, 1]),
        ([0, 0, 0], {"labels": np.array([1, 0, 1]), "classes": ("dog", "cat")}, ("dog", "cat"), [1, 0, 1]),
    ],
)
def test_labels(labels, attributes, classes, indices):
    data = Images([(GREY + number, label) for number, label in enumerate(labels)], **attributes)
    dataset = read_in_code(data)
    assert dataset.classes == classes
    assert dataset.train.labels.tolist() == indices
    assert dataset.train.labels.dtype == np.int64
    # Where labels are known, no image is read for them but the first, to see what it is.
    assert set(data.asked) == ({0} if {"targets", "labels"} & set(attributes) else {0, 1, 2})


def test_a_list_of_pairs_is_enough():
    dataset = read_in_code([(GREY, "a"), (GREY, "b")])
    assert (dataset.classes, len(dataset.train), dataset.validation) == (("a", "b"), 2, None)


def test_images_of_any_kind(tmp_path):
    photos = write_photos(tmp_path / "photos", count=1)
    kinds = [GREY, np.zeros((4, 5, 3), np.uint8), Image.new("RGB", (5, 4)), str(photos / "cat" / "000.png")]
    images = read_in_code([(image, number % 2) for number, image in enumerate(kinds)]).train.images
    assert [np.asarray(images[number]).shape for number in range(4)] == [(4, 5), (4, 5, 3), (4, 5, 3), (28, 28)]
    assert typical_area(images) == 20
    files = read_in_code([(path, path.parent.name) for path in sorted(photos.rglob("*.png"))]).train.images
    assert all(isinstance(path, Path) for path in files)


def test_splits_and_classes_that_are_ordered_otherwise():
    one = Images([(GREY, 0), (GREY, 1)], classes=["cat", "dog"])
    other = Images([(GREY, 0), (GREY, 1)], classes=["dog", "cat"])
    bare = Images([(GREY, 1), (GREY, 0)])
    dataset = read_in_code({"train": one, "validation": other, "test": bare})
    assert dataset.validation.labels.tolist() == [1, 0]
    assert dataset.test.labels.tolist() == [1, 0]
    assert fault({"train": one, "test": Images([(GREY, 0)], classes=["emu"])}) == (
        "data['test'] has the labels 'emu'; expected 'cat', 'dog'. "
        "Correct the labels, or save the names of all classes under the key 'classes'."
    )


def test_the_identity_is_that_of_the_pixels():
    def of(data):
        return read_in_code(data).fingerprint()

    same, changed, relabelled = tiny(), tiny(), tiny(targets=[0, 1, 1, 0] * 8)
    changed.items[7] = (changed.items[7][0] + np.uint8(1), changed.items[7][1])
    assert of(tiny()) == of(same)
    assert len({of(same), of(changed), of(relabelled), of(tiny(31))}) == 4
    as_images = Images([(Image.fromarray(image), label) for image, label in tiny().items])
    assert of(as_images) == of(Images([(Image.fromarray(image), label) for image, label in tiny().items]))
    palettes = [Image.new("P", (2, 2)) for _ in range(4)]
    palettes[3].putpalette([255, 0, 0])
    assert of([(palettes[0], 0), (palettes[1], 1)]) != of([(palettes[0], 0), (palettes[3], 1)])


def test_images_that_change_are_said():
    class Changing(Images):
        def __getitem__(self, index):
            return np.random.default_rng().integers(0, 255, (8, 8)).astype(np.uint8), index % 2

    assert read_in_code(Changing([0] * 4)).warnings == (
        "data: an image is another each time that it is read; it is read once, and kept. Let [augment] change it",
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            7,
            "the data given in code is of type int for train; expected an object with len() that gives",
        ),
        (types.SimpleNamespace(), "the data given in code is of type SimpleNamespace for train; expected an object"),
        (np.zeros((3, 4, 4), np.uint8), "data is an array [3, 4, 4] without labels; expected (x, y). Give both"),
        ([], "the data given in code has no items for train; expected one or more."),
        ({"training": [1]}, "the data given in code has 'training'; expected only train, validation and test. Did you"),
        ({"test": [(GREY, 0)]}, "the data given in code has no 'train'; it has 'test'. Add what trains."),
        ([(GREY, 0), {"image": GREY}], "data[1] is of type dict; expected (image, label)."),
        ([(GREY, 0), (GREY, "b")], "data[1]: the label is 'b', and that of data[0] is 0; expected names or numbers"),
        ([(GREY, 0), (GREY, None)], "data[1]: the label is None; expected a class's name or its index."),
        (Images([(GREY, 0)] * 2, targets=[0]), "data.targets has 1 labels, and data has 2 items; expected as many."),
        (Images([(GREY, 2)], classes=["a", "b"]), "data: has the labels '2'; expected 0 to 1, one for each of its"),
        (Images([(GREY, 0)], classes=[1, 2]), "data.classes is [1, 2]; expected the names of the classes, such as"),
        ([(GREY, 0), (GREY, 0)], "the data given in code: has one class only, '0'; expected two or more."),
    ],
)
def test_faults(data, text):
    assert fault(data).startswith(text)


def test_data_in_code_has_no_groups():
    assert fault(tiny(), group="x").startswith("data.group is set, and the data is given in code, which has no groups;")


def test_an_image_of_another_kind_is_named():
    images = read_in_code([(GREY, 0), (GREY / 255.0, 1)]).train.images
    with pytest.raises(DataError) as raised:
        images[1]
    assert str(raised.value).startswith("data[1]: the image is float64[4, 5]; expected uint8[height, width, channels]")


def test_a_run_on_them_is_that_on_files_of_the_same_pixels(tmp_path):
    plan = recipe(phase("all", "all", epochs=6, learning_rate=5e-3))
    images, labels = pixels(32)
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, classes=["cat", "dog"])
    ours = zoo.finetune(plan, tiny(classes=["cat", "dog"]), run=tmp_path / "ours")
    files = zoo.finetune(plan, tmp_path / "data.npz", run=tmp_path / "files")
    assert ours.metrics == files.metrics
    assert ours.metrics["accuracy"] == 1
    assert ours.classifier.classes == ("cat", "dog")
    inputs = json.loads((ours.path / "run.json").read_text())["inputs"]
    assert inputs == {"data": None, "in_code": "tests.data.sources.test_in_code.Images"}

    with pytest.raises(DataError) as raised:
        zoo.finetune(ours.path, run=tmp_path / "again")
    assert str(raised.value) == (
        f"{ours.path}: its images were given in code (tests.data.sources.test_in_code.Images), and a run does not keep "
        "them; give them again: zoo.finetune(..., data=...)"
    )
    again = zoo.finetune(ours.path, tiny(classes=["cat", "dog"]), run=tmp_path / "again")
    assert again.metrics == ours.metrics
    with pytest.raises(DataError, match="and a run does not keep them; give them again"), Display() as it:
        evaluate(ours.path, display=it)
    with Display() as it:
        assert evaluate(ours.path, tmp_path / "data.npz", display=it).metrics["accuracy"] == 1


def test_a_run_on_them_goes_on_with_the_same_ones_only(tmp_path):
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    def data(count=24):
        return {"train": tiny(count), "validation": tiny(8, seed=1)}

    plan = recipe(phase("all", "all", epochs=2))
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, data(), run=tmp_path / "run", callbacks=[Stop()])
    with pytest.raises(DataError, match="its images were given in code"):
        zoo.finetune(None, run=tmp_path / "run", resume=True)
    with pytest.raises(zoo.ZooError, match=r"the data is not what .* was trained on"):
        zoo.finetune(None, data(23), run=tmp_path / "run", resume=True)
    run = zoo.finetune(None, data(), run=tmp_path / "run", resume=True)
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert run.record["data"]["validation"] == 8
