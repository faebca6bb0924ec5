"""What the sources of plug-ins are refused for, each in one line that names what is wrong."""

import re
from pathlib import Path

import numpy as np
import pytest

from zoo.data import Dataset, Split
from zoo.data.augmentation.plug_ins import check_layer
from zoo.data.sources.opening import open_dataset
from zoo.data.sources.plug_ins import checked_source
from zoo.errors import DataError
from zoo.registry.augmentations import AUGMENTATIONS
from zoo.registry.sources import SOURCES

IMAGES = np.zeros((4, 8, 8), np.uint8)
LABELS = np.array([0, 1, 0, 1])


def dataset(images=IMAGES, labels=LABELS, classes=("a", "b"), validation=None, **more):
    train = Split(images=images, labels=labels, **more)
    return Dataset(classes=classes, train=train, validation=validation, test=None)


class Items:
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return IMAGES[index]


class Known(Items):
    identity = "four"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "mine: its builder gave None; expected a zoo.data.Dataset"),
        ((IMAGES, LABELS), "mine: its builder gave (array("),
        (dataset(classes=(0, 1)), "mine: classes is (0, 1); expected a tuple of texts"),
        (dataset(classes="ab"), "mine: classes is 'ab'; expected a tuple of texts"),
        (dataset(IMAGES[:0], LABELS[:0]), "mine: train has no images; expected images to learn from"),
        (
            dataset(validation=Split(images=IMAGES[:0], labels=LABELS[:0])),
            "mine: validation has no images; expected images, or None for no such split",
        ),
        (dataset(labels=[0, 1, 0, 1]), "mine: train: labels are a list; expected int64[n], an index into classes"),
        (dataset(labels=np.eye(2)[LABELS]), "mine: train: labels are float64[4, 2]; expected int64[n]"),
        (dataset(IMAGES[:3]), "mine: train has 3 images and 4 labels; expected one label for each image"),
        (dataset(IMAGES / 255), "mine: train: images are float64[4, 8, 8]; expected uint8[n, height, width] or "),
        (dataset(list(IMAGES)), "mine: train: images are a list of ndarray; expected pathlib.Path, "),
        (dataset(["a.png"] * 4), "mine: train: images are a list of str; expected pathlib.Path, "),
        (dataset(Items()), "mine: train: images are <"),
        (dataset(weights=np.ones(3)), "mine: train: weights are float64[3]; expected float32[4], finite and >= 0"),
        (dataset(weights=-np.ones(4)), "mine: train: weights are float64[4]; expected float32[4], finite and >= 0"),
        (dataset(groups=("a",)), "mine: train has 4 images and 1 groups; expected a group for each image"),
    ],
)
def test_parts_of_a_data_set_that_do_not_fit_are_refused(given, text):
    with pytest.raises(DataError) as raised:
        checked_source(given, "mine", measuring=False)
    assert str(raised.value).startswith(text)
    assert "\n" not in str(raised.value)


def test_arrays_paths_and_items_are_taken_and_classes_become_a_tuple():
    for images in (IMAGES, [Path("a.png")] * 4, Known()):
        found = checked_source(dataset(images, classes=["a", "b"]), "mine", measuring=False)
        assert found.classes == ("a", "b")
        assert found.train.images is images


def test_train_may_be_empty_where_a_classifier_is_measured():
    given = dataset((), LABELS[:0], validation=Split(images=IMAGES, labels=LABELS))
    assert checked_source(given, "mine", measuring=True).validation is given.validation


def test_the_source_and_the_augmentation_of_the_page_do_what_it_says(tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "new-source.md").read_text(encoding="utf-8")
    (module,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    for name in ("cub-1", "lion-1", "lion-2"):
        np.save(tmp_path / f"{name}.npy", np.full((8, 8), len(name), np.uint8))
    before = [(table, dict(table._rows)) for table in (SOURCES, AUGMENTATIONS)]
    try:
        exec(compile(module, "lions", "exec"), {"__name__": "lions"})
        dataset = open_dataset("npy", tmp_path, options={"separator": "-"})
        row = AUGMENTATIONS.lookup("speckle")
        check_layer(row, row.build(channels=1, name="mine", strength=0.05), channels=1, name="mine")
    finally:
        for table, rows in before:
            table._rows.clear()
            table._rows.update(rows)
    assert dataset.classes == ("cub", "lion")
    assert dataset.train.labels.tolist() == [0, 1, 1]
    assert [int(image[0, 0]) for image in dataset.train.images] == [5, 6, 6]
