"""What people do to folders and labels: each is read as it is meant, said, or refused; none goes by in silence."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.data.sources.test_opening import touch
from zoo.data import Dataset, open_dataset, read_in_code
from zoo.errors import DataError


@dataclass(frozen=True)
class Case:
    """A layout, and what comes of it.

    Attributes:
        make: Writes it, and gives what is opened.
        refused: How the error begins, after the path; None where it is read.
        classes: The classes that are read.
        counts: Images by split.
        said: How each warning begins, after the path.
    """

    make: Callable[[Path], object]
    refused: str | None = None
    classes: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    said: tuple[str, ...] = ()


def files(*names: str) -> Callable[[Path], Path]:
    return lambda root: touch(root, *names)


def below(folder: str, *names: str) -> Callable[[Path], Path]:
    return lambda root: touch(root, *(f"{folder}/{name}" for name in names))


def listing(text: str, name: str = "list.csv") -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        touch(root, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
        (root / name).write_text(text)
        return root / name

    return make


def archive(**arrays: object) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        np.savez(root / "x.npz", **{name: np.asarray(values) for name, values in arrays.items()})
        return root / "x.npz"

    return make


def linked(*names: str, link: str, to: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        touch(root, *names)
        (root / link).symlink_to(root / to)
        return root

    return make


def not_utf8(root: Path) -> Path:
    touch(root, "dog/1.jpg")
    folder = os.fsencode(root) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 - a name that pathlib cannot spell
    with open(folder + b"/2.jpg", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    return root


class Labelled(list):
    def __init__(self, *labels: int, classes: list[str]) -> None:
        super().__init__((np.zeros((2, 2), np.uint8), label) for label in labels)
        self.classes = classes


X = np.zeros((2, 4, 4), np.uint8)
TRAIN = ("train/cat/1.jpg", "train/dog/2.jpg")

CASES = {
    "validation has a class that train lacks": Case(
        files(*TRAIN, "val/cat/3.jpg", "val/emu/4.jpg"),
        refused=": validation has classes that train has not: 'emu'; expected classes of train only. Rename",
    ),
    "a class folder is empty": Case(
        files("cat/1.jpg", "dog/2.jpg", "emu/.gitkeep"),
        refused=": no images in the class folders 'emu'; expected one or more in each. Add images",
    ),
    "classes differ in case between splits": Case(
        files(*TRAIN, "val/Cat/3.jpg", "val/dog/4.jpg"),
        refused=": validation has classes that train has not: 'Cat' (train has 'cat'); expected",
    ),
    "classes differ in case within train": Case(
        files("cat/1.jpg", "Cat/2.jpg", "dog/3.jpg"),
        classes=("Cat", "cat", "dog"),
        counts=(("train", 3),),
        said=(": 'Cat', 'cat' are classes of their own, though they differ in spelling only",),
    ),
    "a split named twice": Case(
        files(*TRAIN, "val/cat/3.jpg", "valid/cat/4.jpg"),
        refused=": 'val' and 'valid' are both the validation split; expected one folder for it. Merge",
    ),
    "images beside class folders": Case(
        files("cat/1.jpg", "dog/2.jpg", "3.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": ignored images beside the class folders: '3.jpg'",),
    ),
    "a test folder without classes": Case(
        files(*TRAIN, "test/3.jpg", "test/4.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=("/test: 2 files have no class folders; no test split is used",),
    ),
    "a validation folder without classes": Case(
        files(*TRAIN, "val/3.jpg"),
        refused="/val: 1 images lie directly in the folder; expected one subfolder per class",
    ),
    "one level too deep": Case(
        below("photos", "cat/1.jpg", "dog/2.jpg"),
        refused=": has one class only, 'photos'; expected two or more. If its subfolders are the classes, type --data",
    ),
    "one level too deep, with splits": Case(
        below("photos", *TRAIN),
        refused=": has one class only, 'photos'; expected two or more.",
    ),
    "a folder of images alone": Case(
        files("1.jpg", "2.jpg"),
        refused=": 2 images lie directly in the folder; expected one subfolder per class",
    ),
    "a class of one's own for other folders": Case(
        files(*TRAIN, "old/cat/3.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": ignored folders beside the split folders: 'old'",),
    ),
    "a class name that is no text": Case(
        not_utf8,
        refused=": the class folder b'caf\\xe9' has a name that is no UTF-8 text; expected one that can be shown",
    ),
    "a link to the folder above": Case(
        linked("cat/1.jpg", "dog/2.jpg", link="dog/all", to="."),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": passed over links to folders: 'dog/all'",),
    ),
    "a class that is all of them again": Case(
        linked("cat/1.jpg", "dog/2.jpg", link="all", to="."),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": passed over links to folders: 'all'",),
    ),
    "a link to itself": Case(
        linked("cat/1.jpg", "dog/2.jpg", link="dog/3.jpg", to="dog/3.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 3),),
    ),
    "a link to an image that is gone": Case(
        linked("cat/1.jpg", "dog/2.jpg", link="dog/3.jpg", to="gone.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 3),),
    ),
    "one class only": Case(
        files("cat/1.jpg", "cat/2.jpg"), refused=": has one class only, 'cat'; expected two or more."
    ),
    "train is missing": Case(
        files("val/cat/1.jpg", "test/cat/2.jpg"),
        refused=": has the split folders 'test', 'val' and no 'train'; expected a train folder",
    ),
    "labels out of range": Case(
        archive(x_train=X, y_train=[0, 2], classes=["cat", "dog"]),
        refused=": y_train has the labels '2'; expected '0', '1'.",
    ),
    "labels of another number than images": Case(
        archive(x_train=X, y_train=[0, 1, 1]),
        refused=": x_train has 2 images and its y has 3 labels; expected as many.",
    ),
    "labels that count from 1 in one split": Case(
        archive(x_train=X, y_train=[0, 1], x_val=X, y_val=[1, 2]),
        refused=": y_validation has the labels '2'; expected '0', '1'.",
    ),
    "a typing error in a label of validation": Case(
        listing("path,label,split\n1.jpg,cat,\n2.jpg,dog,\n3.jpg,dgo,val\n"),
        refused=":4: validation has classes that train has not: 'dgo' (train has 'dog'); expected",
    ),
    "01 and 1": Case(
        listing("path,label\n1.jpg,01\n2.jpg,1\n3.jpg,2\n"),
        classes=("01", "1", "2"),
        counts=(("train", 3),),
        said=(": '01', '1' are classes of their own, though they differ in spelling only",),
    ),
    "a number and text": Case(
        listing(
            '{"path": "1.jpg", "label": 1}\n{"path": "2.jpg", "label": "1"}\n{"path": "3.jpg", "label": 2}\n', "x.jsonl"
        ),
        classes=("1", "2"),
        counts=(("train", 3),),
    ),
    "one image under two labels": Case(
        listing("path,label\n1.jpg,cat\n2.jpg,dog\n1.jpg,dog\n"),
        refused=":4: '1.jpg' is 'dog', and 'cat' in line 2; expected each image once. Remove one row.",
    ),
    "one image in two splits": Case(
        listing("path,label,split\n1.jpg,cat,\n2.jpg,dog,\n./1.jpg,cat,val\n"),
        refused=":4: './1.jpg' is in validation, and in train in line 2; expected each image once.",
    ),
    "a space after the comma": Case(
        listing("path, label\n1.jpg, cat\n2.jpg, dog\n3.jpg,cat\n"), classes=("cat", "dog"), counts=(("train", 3),)
    ),
    "a row without a label": Case(
        listing("path,label\n1.jpg,cat\n2.jpg,\n"), refused=":3: label is empty; expected a class, such as cat."
    ),
    "classes in another order in validation": Case(
        lambda root: {
            "train": Labelled(0, 1, classes=["cat", "dog"]),
            "validation": Labelled(0, classes=["dog", "cat"]),
        },
        classes=("cat", "dog"),
        counts=(("train", 2), ("validation", 1)),
        said=(": validation has no images of the classes 'cat'",),
    ),
    "an index beyond the classes": Case(
        lambda root: Labelled(0, 2, classes=["cat", "dog"]),
        refused="data: has the labels '2'; expected 0 to 1, one for each of its classes.",
    ),
}


def opened(data: object) -> Dataset:
    return open_dataset("folder", data) if isinstance(data, Path) else read_in_code(data)


def told(text: str, data: object) -> str:
    return text.removeprefix(str(data)).removeprefix("the data given in code")


@pytest.mark.parametrize("name", CASES)
def test_no_fault_is_silent(tmp_path, name):
    case = CASES[name]
    data = case.make(tmp_path)
    if case.refused is not None:
        with pytest.raises(DataError) as raised:
            opened(data)
        assert told(str(raised.value), data).startswith(case.refused)
        assert "\n" not in str(raised.value)
        return
    dataset = opened(data)
    assert dataset.classes == case.classes
    assert tuple((split, len(found)) for split, found in dataset.splits().items()) == case.counts
    assert len(dataset.warnings) == len(case.said)
    for warning, begins in zip(dataset.warnings, case.said, strict=True):
        assert told(warning, data).startswith(begins)


def test_there_are_enough_of_them():
    assert len(CASES) >= 12
    assert sum(case.refused is not None for case in CASES.values()) >= 12
