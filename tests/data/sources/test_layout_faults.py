"""What people do to folders and labels: each is read as it is meant, said, or refused; none goes by in silence."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.data.sources.test_opening import touch
from tests.tiny import as_typed
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
        refused=": validation has classes that are not in train: 'emu'; expected classes of train only. Rename",
    ),
    "a class folder is empty": Case(
        files("cat/1.jpg", "dog/2.jpg", "emu/.gitkeep"),
        refused=": no images in the class folders 'emu'; expected one or more in each. Add images",
    ),
    "classes differ in case between splits": Case(
        files(*TRAIN, "val/Cat/3.jpg", "val/dog/4.jpg"),
        refused=": validation has classes that are not in train: 'Cat' (train has 'cat'); expected",
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
        refused="/val: 1 image lies directly in the folder; expected one subfolder per class",
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
    "a class name that is not text": Case(
        not_utf8,
        refused=": the class folder b'caf\\xe9' has a name that is not UTF-8 text; expected one that can be shown",
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
    "a class that is a link to another class": Case(
        linked("cat/1.jpg", "dog/2.jpg", link="hund", to="dog"),
        refused=": 'dog' and 'hund' are one folder, by a link; expected other images in each. Remove the link.",
    ),
    "a validation split that is a link to train": Case(
        linked(*TRAIN, link="val", to="train"),
        refused=": 'train/cat' and 'val/cat' are one folder, by a link; expected other images in each.",
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
        refused=":4: validation has classes that are not in train: 'dgo' (train has 'dog'); expected",
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
    "splits of longer names": Case(
        files("training_set/cat/1.jpg", "training_set/dog/2.jpg", "test_set/cat/3.jpg", "test_set/dog/4.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 2), ("test", 2)),
        said=(": reads 'training_set' as train, 'test_set' as test; if they are not that, rename them",),
    ),
    "splits as one word in capitals": Case(
        files("TrainImages/cat/1.jpg", "TrainImages/dog/2.jpg", "ValImages/cat/3.jpg", "ValImages/dog/4.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 2), ("validation", 2)),
        said=(": reads 'TrainImages' as train, 'ValImages' as validation;",),
    ),
    "splits with numbers and spaces": Case(
        files("01 train/cat/1.jpg", "01 train/dog/2.jpg", "02 testset/cat/3.jpg", "02 testset/dog/4.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 2), ("test", 2)),
        said=(": reads '01 train' as train, '02 testset' as test;",),
    ),
    "training and testing": Case(
        files("Training/cat/1.jpg", "Training/dog/2.jpg", "Testing/cat/3.jpg", "Testing/dog/4.jpg"),
        classes=("cat", "dog"),
        counts=(("train", 2), ("test", 2)),
    ),
    "splits of a common word, each wrapped once more": Case(
        files(*(f"seg_{split}/seg_{split}/{name}/1.jpg" for split in ("train", "test") for name in ("ice", "sea"))),
        classes=("ice", "sea"),
        counts=(("train", 2), ("test", 2)),
        said=(
            ": reads 'seg_train' as train, 'seg_test' as test;",
            ": the class folders of train are those in seg_train/seg_train",
            ": the class folders of test are those in seg_test/seg_test",
        ),
    ),
    "a split whose name means different things": Case(
        files(*TRAIN, "dev/cat/3.jpg", "dev/dog/4.jpg"),
        refused=": 'dev' holds the same class folders as 'train', and its name does not say which split it is;",
    ),
    "a split of another name": Case(
        files(*TRAIN, "quiz/cat/3.jpg", "quiz/dog/4.jpg"),
        refused=": 'quiz' holds the same class folders as 'train', and its name does not say which split it is;",
    ),
    "folds": Case(
        files(*(f"fold{fold}/{name}/1.jpg" for fold in (1, 2, 3) for name in ("cat", "dog"))),
        refused=": has the split folders 'fold1', 'fold2', 'fold3' and no 'train'; expected a train folder",
    ),
    "a split that is misspelled": Case(
        files(*TRAIN, "tset/cat/3.jpg"),
        refused=": 'tset' holds the same class folders as 'train', and its name does not say which split it is;",
    ),
    "splits in another language": Case(
        files(*(f"{split}/{name}/1.jpg" for split in ("entrenamiento", "prueba") for name in ("gato", "perro"))),
        refused=": has the split folders 'entrenamiento', 'prueba' and no 'train'; expected a train folder",
    ),
    "images and masks": Case(
        files("images/1.jpg", "masks/1.png"),
        refused=": 'images', 'masks' look like images and what is marked in them, as for detection or segmentation;",
    ),
    "images and labels in each split": Case(
        files("train/images/1.jpg", "train/labels/1.txt", "val/images/2.jpg", "val/labels/2.txt"),
        refused="/train: 'images', 'labels' look like images and what is marked in them,",
    ),
    "a run itself": Case(
        files("run.json", "recipe.toml", "history.png"),
        refused=": is a run, or another folder that zoo has written; expected images. Point --data",
    ),
    "a run that was killed before its recipe was written": Case(
        lambda root: (
            (touch(root, "cat/1.jpg", "dog/2.jpg", "r/x.png") / "r" / "run.json").write_text('{"kind": "run"}') and root
        ),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": passed over what zoo or Python's tools have written, such as runs: 'r'",),
    ),
    "parts of the data": Case(
        files(*(f"set{part}/{name}/1.jpg" for part in (1, 2) for name in ("cat", "dog"))),
        refused=": 'set1', 'set2' hold no images but all the same folders ('cat', 'dog'), and their names look like",
    ),
    "three versions of one data set": Case(
        files(*(f"{kind}/{name}/1.jpg" for kind in ("color", "gray") for name in ("leaf", "rust"))),
        classes=("color", "gray"),
        counts=(("train", 4),),
        said=(": 'color', 'gray' hold no images but all the same folders ('leaf', 'rust'): they are read as the",),
    ),
    "splits inside classes": Case(
        files(*(f"{name}/{split}/1.jpg" for name in ("cat", "dog") for split in ("train", "test"))),
        refused=": the class folder 'cat' holds split folders, 'test', 'train'; expected classes inside splits. Move",
    ),
    "a test folder inside a class": Case(
        files("cat/1.jpg", "cat/test/2.jpg", "dog/3.jpg"),
        refused=": the class folder 'cat' holds split folders, 'test'; expected classes inside splits.",
    ),
    "names of split and class": Case(
        files("cats_train/1.jpg", "dogs_train/2.jpg", "cats_val/3.jpg", "dogs_val/4.jpg"),
        refused=": the names of 'cats_train', 'cats_val' hold a split and a class; expected a folder for each split",
    ),
    "a test split beside the class folders": Case(
        files("cat/1.jpg", "dog/2.jpg", "test/cat/3.jpg", "test/dog/4.jpg"),
        refused=": 'test' holds folders of the same names as the class folders beside it; expected splits or classes.",
    ),
    "a class called test": Case(
        files("cat/1.jpg", "dog/2.jpg", "Test/3.jpg"),
        classes=("Test", "cat", "dog"),
        counts=(("train", 3),),
        said=(": 'Test' is read as a class, though named like a split.",),
    ),
    "a class called train that holds folders": Case(
        files("train/steam/1.jpg", "train/diesel/2.jpg", "car/3.jpg", "bus/4.jpg"),
        refused=": 'train' holds folders, and 'bus', 'car' beside it hold images: it may be the train split",
    ),
    "train and test without classes, and more": Case(
        files("train/1.jpg", "test/2.jpg", "extra/3.jpg"),
        refused="/train: 1 image lies directly in the folder; expected one subfolder per class",
    ),
    "a class that holds folders only": Case(
        files("Dataset/0/1.jpg", "Dataset/1/2.jpg", "Examples/3.jpg"),
        classes=("Dataset", "Examples"),
        counts=(("train", 3),),
        said=(": the class folders 'Dataset' hold no images but folders ('0', '1'), whose images are put together.",),
    ),
    "three levels too deep": Case(
        below("photos/photos/photos", "cat/1.jpg", "dog/2.jpg"),
        refused=": has one class only, 'photos'; expected two or more. If its subfolders are the classes, type --data",
    ),
    "what Windows, Linux and a NAS leave": Case(
        files(
            *("cat/1.jpg", "dog/2.jpg", "$RECYCLE.BIN/S-1/3.jpg", "System Volume Information/4", "lost+found/5"),
            *("@eaDir/cat/6.jpg", ".Trash-1000/files/7.jpg", "found.000/8", "#recycle/9.jpg", "cat/@eaDir/1.jpg"),
        ),
        classes=("cat", "dog"),
        counts=(("train", 2),),
    ),
    "a run and a run in a class": Case(
        files(
            *("cat/1.jpg", "dog/2.jpg", "r0/run.json", "r0/recipe.toml", "r0/history.png"),
            *("cat/r1/run.json", "cat/r1/recipe.toml", "cat/r1/history.png"),
        ),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": passed over what zoo or Python's tools have written, such as runs: 'cat/r1', 'r0'",),
    ),
    "a folder of runs, of seeds, and a plot": Case(
        files(
            *("cat/1.jpg", "dog/2.jpg", "runs/a/seed-0/run.json", "runs/a/seed-0/recipe.toml", "runs/lr-find.png"),
            *("trials/b/run.json", "trials/b/recipe.toml"),
        ),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": passed over what zoo or Python's tools have written, such as runs: 'runs', 'trials'",),
    ),
    "a folder of runs that a refused start left": Case(
        lambda root: (touch(root, "cat/1.jpg", "dog/2.jpg") / "runs" / "x").mkdir(parents=True) or root,
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": passed over what zoo or Python's tools have written, such as runs: 'runs'",),
    ),
    "runs that are about to begin": Case(
        files("cat/1.jpg", "dog/2.jpg", "here/.claim", "new/deep/run/.claim", "dog/run1/.claim"),
        classes=("cat", "dog"),
        counts=(("train", 2),),
    ),
    "a class with a file called as a claim": Case(
        files("cat/1.jpg", "cat/.claim", "dog/2.jpg"), classes=("cat", "dog"), counts=(("train", 2),)
    ),
    "a cache, a pack, a model and an environment": Case(
        files(
            *("cat/1.jpg", "dog/2.jpg", "cache/zoo/files/index.sqlite", "cache/zoo/packs/1-x/images.npy"),
            *("pack/images.npy", "pack/manifest.json", "model/card.json", "model/model.safetensors"),
            *("venv/pyvenv.cfg", "venv/lib/logo.png"),
        ),
        classes=("cat", "dog"),
        counts=(("train", 2),),
        said=(": passed over what zoo or Python's tools have written, such as runs: 'cache', 'model', 'pack', 'venv'",),
    ),
    "one word in two Unicode forms": Case(
        files("caf\u00e9/1.jpg", "cafe\u0301/2.jpg", "tea/3.jpg"),
        classes=("cafe\u0301", "caf\u00e9", "tea"),
        counts=(("train", 3),),
        said=(
            ": 'cafe\u0301', 'caf\u00e9' are classes of their own, though they differ only in the Unicode form of "
            "their letters (decomposed, composed)",
        ),
    ),
    "one word in two Unicode forms in two splits": Case(
        files("train/caf\u00e9/1.jpg", "train/tea/2.jpg", "val/cafe\u0301/3.jpg"),
        refused=": validation has classes that are not in train: 'cafe\u0301' (train has 'caf\u00e9', which differ",
    ),
    "a space that does not break": Case(
        files("red fox/1.jpg", "red\xa0fox/2.jpg"),
        classes=("red fox", "red\xa0fox"),
        counts=(("train", 2),),
        said=(": 'red fox', 'red\\xa0fox' are classes of their own, though they look the same ('red fox',",),
    ),
    "letters of another alphabet": Case(
        files("cop/1.jpg", "\u0441\u043e\u0440/2.jpg"),
        classes=("cop", "\u0441\u043e\u0440"),
        counts=(("train", 2),),
        said=(": 'cop', '\u0441\u043e\u0440' are classes of their own, though they look the same ('cop', '\\u0441",),
    ),
    **{
        f"{what} in a class's name, in {where}": Case(
            make, refused=f": the class 'a{shown}b' has a {what} in its name ('{shown}'); expected a text"
        )
        for what, sign, shown in (
            ("control character", "\n", "\\n"),
            ("control character", "\x1b", "\\x1b"),
            ("sign that cannot be seen", "\u202e", "\\u202e"),
            ("sign that cannot be seen", "\u200b", "\\u200b"),
        )
        for where, make in (
            (f"folders {shown}", files(f"a{sign}b/1.jpg", "c/2.jpg")),
            (f"an archive {shown}", archive(x_train=X, y_train=[0, 1], classes=[f"a{sign}b", "c"])),
            (f"labels {shown}", archive(x_train=X, y_train=[f"a{sign}b", "c"])),
            (f"code {shown}", lambda root, sign=sign: Labelled(0, 1, classes=[f"a{sign}b", "c"])),
        )
    },
    "an empty name": Case(
        archive(x_train=X, y_train=[0, 1], classes=["", "cat"]), refused=": the class '' has an empty name; expected"
    ),
    "a sign that cannot be seen in a list": Case(
        listing("path,label\n1.jpg,cat\n2.jpg,c\u200bat\n"),
        refused=":3: label is 'c\\u200bat', with a sign that cannot be seen ('\\u200b'); expected a text",
    ),
    "a label that is missing among numbers": Case(
        archive(x_train=np.zeros((3, 4, 4), np.uint8), y_train=[0, -1, 1]),
        refused=": y_train has no label in 1 rows, such as 1 (-1); expected one for each image.",
    ),
    "a label that is not a number": Case(
        archive(x_train=np.zeros((3, 4, 4), np.uint8), y_train=[0, np.nan, 1]),
        refused=": y_train has no label in 1 rows, such as 1 (nan); expected one for each image.",
    ),
    "two classes that are called -1 and 1": Case(
        archive(x_train=X, y_train=[-1, 1]), classes=("-1", "1"), counts=(("train", 2),)
    ),
    "whole numbers as floats that count from 1": Case(
        archive(x_train=X, y_train=[1.0, 2.0]), classes=("1", "2"), counts=(("train", 2),)
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


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (("cat/1.jpg",), {"train": 1}),
        (("cat/1.jpg", "dog/.keep"), {"train": 1}),
        (("test/cat/1.jpg", "test/dog/2.jpg"), {"train": 0, "test": 2}),
        (("test_set/cat/1.jpg",), {"train": 0, "test": 1}),
        (("dev/cat/1.jpg", "dev/dog/2.jpg"), {"train": 0, "test": 2}),
        (("val/cat/1.jpg", "test/dog/2.jpg"), {"train": 0, "validation": 1, "test": 1}),
        (("train/cat/1.jpg", "test/emu/2.jpg"), {"train": 1, "test": 1}),
    ],
)
def test_what_is_measured_need_not_be_fit_to_train(tmp_path, names, counts):
    dataset = open_dataset("folder", touch(tmp_path, *names), measuring=True)
    assert {name: len(split) for name, split in dataset.splits().items()} == counts
    found = [dataset.classes[label] for split in dataset.splits().values() for label in split.labels]
    assert found == [name.split("/")[-2] for name in names if name.endswith(".jpg")]


@pytest.mark.parametrize("names", [("1.jpg",), ("test/1.jpg", "test/2.jpg"), ("cat/.keep", "dog/.keep")])
def test_what_is_measured_has_labels_and_images(tmp_path, names):
    with pytest.raises(DataError, match=r"lies? directly in the folder|no images in the class folders"):
        open_dataset("folder", touch(tmp_path, *names), measuring=True)


def test_one_of_the_class_folders_is_reported_with_all(tmp_path):
    touch(tmp_path, "photos/cat/1.jpg", "photos/dog/2.jpg")
    with pytest.raises(DataError) as raised:
        open_dataset("folder", tmp_path / "photos" / "cat")
    assert str(raised.value).endswith(f"or type --data {as_typed(tmp_path / 'photos')} if 'cat' is a class")
