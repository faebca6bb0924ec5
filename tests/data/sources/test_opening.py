import gzip
import os
import shutil
import struct
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import as_typed
from zoo.data import open_dataset
from zoo.data.sources.opening import Dataset
from zoo.errors import DataError, NotFoundError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def listed(dataset: Dataset, split: str = "train") -> list[tuple[str, str]]:
    found = dataset.splits()[split]
    assert dataset.root is not None
    return [
        (path.relative_to(dataset.root).as_posix(), dataset.classes[label])
        for path, label in zip(found.images, found.labels, strict=True)
    ]


def fault(source: str, path: Path | None, kind: type[Exception] = DataError, **options: Any) -> str:
    with pytest.raises(kind) as raised:
        open_dataset(source, path, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# Folders


def test_class_folders_are_listed_in_order(tmp_path):
    touch(tmp_path, "dog/2.jpg", "dog/10.jpg", "cat/deep/er/b.PNG", "cat/a.jpg", "Ant/x")
    dataset = open_dataset("folder", tmp_path)
    assert dataset.classes == ("Ant", "cat", "dog")
    assert listed(dataset) == [
        ("Ant/x", "Ant"),
        ("cat/a.jpg", "cat"),
        ("cat/deep/er/b.PNG", "cat"),
        ("dog/10.jpg", "dog"),
        ("dog/2.jpg", "dog"),
    ]
    assert dataset.train.labels.dtype == np.int64
    assert dataset.validation is None
    assert dataset.test is None
    assert dataset.warnings == ()


def test_sound_and_video_are_passed_over_and_counted(tmp_path):
    for name in ("a/1.ogg", "a/2.OGG", "a/3.wav", "b/4.mp4", "a/x.png", "b/y.png", "notes.pdf", "b/about.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    dataset = open_dataset("folder", tmp_path)
    assert [path.name for path in dataset.train.images] == ["x.png", "y.png"]
    assert dataset.warnings == (f"{tmp_path}: passed over files that are not images: 2 .ogg, 1 .mp4, 1 .wav",)
    (tmp_path / "b" / "y.png").unlink()
    with pytest.raises(DataError, match=r"no images, only 1 \.mp4, in the class folders 'b'; expected one or more"):
        open_dataset("folder", tmp_path)


def test_what_is_plainly_no_image_is_ignored(tmp_path):
    touch(tmp_path, "cat/a.jpg", "cat/README.txt", "cat/Thumbs.db", "cat/.hidden.jpg", "cat/labels.XML")
    touch(tmp_path, "dog/b.jpg", "dog/.git/c.jpg", "dog/clip.xyz", "__MACOSX/x.jpg", ".cache/x.jpg", "notes.md")
    os.mkfifo(tmp_path / "dog" / "pipe.jpg")
    (tmp_path / "dog" / "lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "dog" / "loop").symlink_to(tmp_path)
    names = [name for name, _ in listed(open_dataset("folder", tmp_path))]
    assert names == ["cat/a.jpg", "dog/b.jpg", "dog/clip.xyz", "dog/lost.jpg"]


@pytest.mark.parametrize(("train", "validation"), [("train", "val"), ("Training", "VALID"), ("TRAIN", "validation")])
def test_split_folders(tmp_path, train, validation):
    touch(tmp_path, f"{train}/cat/1.jpg", f"{train}/dog/2.jpg", f"{validation}/dog/3.jpg", "Test/cat/4.jpg")
    dataset = open_dataset("folder", tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert listed(dataset) == [(f"{train}/cat/1.jpg", "cat"), (f"{train}/dog/2.jpg", "dog")]
    assert listed(dataset, "validation") == [(f"{validation}/dog/3.jpg", "dog")]
    assert listed(dataset, "test") == [("Test/cat/4.jpg", "cat")]
    assert dataset.warnings == (
        f"{tmp_path}: validation has no images of the classes 'cat'",
        f"{tmp_path}: test has no images of the classes 'dog'",
    )


def test_a_train_folder_without_subfolders_is_a_class(tmp_path):
    touch(tmp_path, "train/1.jpg", "plane/2.jpg")
    assert open_dataset("folder", tmp_path).classes == ("plane", "train")


def test_what_lies_beside_is_said(tmp_path):
    touch(tmp_path, "flat/a/1.jpg", "flat/b/2.jpg", "flat/cover.jpg")
    assert open_dataset("folder", tmp_path / "flat").warnings == (
        f"{tmp_path / 'flat'}: ignored images beside the class folders: 'cover.jpg'",
    )
    touch(tmp_path, "split/train/a/1.jpg", "split/train/b/2.jpg", "split/extra/a/3.jpg", "split/test/4.jpg")
    assert open_dataset("folder", tmp_path / "split").warnings == (
        f"{tmp_path / 'split'}: ignored folders beside the split folders: 'extra'",
        f"{tmp_path / 'split' / 'test'}: 1 files have no class folders; no test split is used",
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (
            [],
            "{root}: no images and no class folders; expected one subfolder of images per class. Point",
        ),
        (
            ["b.jpg", "a.jpg"],
            "{root}: 2 images lie directly in the folder; expected one subfolder per class, "
            "such as {root}/cat/a.jpg. Move each image",
        ),
        (
            ["cat/1.jpg", "dog/note.txt", "emu/.x"],
            "{root}: no images in the class folders 'dog', 'emu'; expected one or more in each. Add images",
        ),
        (
            ["cat/1.jpg"],
            "{root}: has one class only, 'cat'; expected two or more. Add the images of a second",
        ),
        (
            ["photos/cat/1.jpg", "photos/dog/2.jpg"],
            "{root}: has one class only, 'photos'; expected two or more. "
            "If its subfolders are the classes, type --data {photos}",
        ),
        (
            ["train/a/1.jpg", "train/b/2.jpg", "val/A/3.jpg", "val/zebra/4.jpg", "val/empty/.x"],
            "{root}: validation has classes that are not in train: 'A' (train has 'a'), 'zebra'; "
            "expected classes of train only. Rename",
        ),
        (
            ["train/a/1.jpg", "train/b/2.jpg", "test/c/3.jpg"],
            "{root}: test has classes that are not in train: 'c';",
        ),
        (
            ["train/a/1.jpg", "train/b/2.jpg", "val/3.jpg"],
            "{root}/val: 1 image lies directly in the folder; expected one subfolder per class",
        ),
        (
            ["train/a/1.jpg", "train/b/2.jpg", "val/a/.x"],
            "{root}: no images in the class folders of validation; expected one or more. Add images",
        ),
        (
            ["train/1.jpg", "val/2.jpg"],
            "{root}/train: 1 image lies directly in the folder; expected one subfolder",
        ),
        (
            ["val/a/1.jpg", "test/a/2.jpg"],
            "{root}: has the split folders 'test', 'val' and no 'train'; expected a train folder",
        ),
        (
            ["train/a/1.jpg", "val/a/2.jpg", "Valid/a/3.jpg"],
            "{root}: 'Valid' and 'val' are both the validation split; expected one folder for it. Merge",
        ),
    ],
)
def test_folder_faults(tmp_path, names, text):
    touch(tmp_path, *names)
    assert fault("folder", tmp_path).startswith(text.format(root=tmp_path, photos=as_typed(tmp_path / "photos")))


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    scandir = os.scandir

    def deny(path):
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    assert fault("folder", tmp_path) == (
        f"{tmp_path}/dog: the folder cannot be read (Permission denied). Change its permissions, or remove it."
    )


def test_paths_that_lead_nowhere(tmp_path):
    touch(tmp_path, "photos/cat/1.jpg", "photos.zip")
    assert fault("folder", tmp_path / "photo", NotFoundError) == (
        f"{tmp_path}/photo: no such file or folder. Did you mean 'photos'? "
        "Give a folder with one subfolder of images per class with --data PATH."
    )
    assert fault("folder", tmp_path / "photos.zip").startswith(
        f"{tmp_path}/photos.zip: is a file; expected a folder with one subfolder per class, or a file that ends in "
        ".csv, .tsv, .jsonl, .npz. Unpack"
    )
    for name, advice in (
        ("t.xlsx", "Save the table as .csv"),
        ("t.json", "Write a .csv with the columns path,label"),
        ("t.npy", "Save the arrays x_train, y_train with numpy.savez"),
        ("t.PNG", "It is one image: point --data at the folder of all."),
    ):
        touch(tmp_path, name)
        assert f".npz. {advice}" in fault("folder", tmp_path / name)
    assert fault("npz", tmp_path).startswith(f"{tmp_path}: is a folder; expected an .npz file.")
    assert fault("idx", tmp_path / "photos.zip").startswith(
        f"{tmp_path}/photos.zip: is a file; expected the folder that holds train-images-idx3-ubyte."
    )


# .npz


def pixels(n: int, *shape: int) -> np.ndarray:
    return np.arange(n * int(np.prod(shape)), dtype=np.uint8).reshape(n, *shape)


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **{key: np.asarray(value) for key, value in arrays.items()})
    return path


def test_npz_with_every_split(tmp_path):
    path = save(
        tmp_path / "x.npz",
        x_train=pixels(4, 2, 3),
        y_train=[1, 0, 1, 0],
        x_val=pixels(2, 2, 3),
        y_val=[[0], [1]],
        x_test=pixels(2, 2, 3, 3),
        y_test=[[0, 1], [1, 0]],
        classes=["no", "yes"],
    )
    for source in ("npz", "folder"):
        dataset = open_dataset(source, path)
        assert dataset.classes == ("no", "yes")
        np.testing.assert_array_equal(dataset.train.images, pixels(4, 2, 3))
        np.testing.assert_array_equal(dataset.train.labels, [1, 0, 1, 0])
        assert dataset.validation is not None
        np.testing.assert_array_equal(dataset.validation.labels, [0, 1])
        assert dataset.test is not None
        np.testing.assert_array_equal(dataset.test.labels, [1, 0])
        assert {split.labels.dtype for split in dataset.splits().values()} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("labels", "classes", "names", "indices"),
    [
        ([10, 2, 10], None, ("2", "10"), [1, 0, 1]),
        ([-1.0, 1.0, -1.0], None, ("-1", "1"), [0, 1, 0]),
        (["b", "a", "b"], None, ("a", "b"), [1, 0, 1]),
        (["b", "a", "b"], ["b", "a"], ("b", "a"), [0, 1, 0]),
        ([[False, True], [True, False], [False, True]], ["p", "q"], ("p", "q"), [1, 0, 1]),
        ([1, 0, 1], [3, 4], ("3", "4"), [1, 0, 1]),
    ],
)
def test_npz_labels(tmp_path, labels, classes, names, indices):
    extra = {} if classes is None else {"classes": classes}
    dataset = open_dataset("npz", save(tmp_path / "x.npz", x_train=pixels(3, 2, 2), y_train=labels, **extra))
    assert dataset.classes == names
    np.testing.assert_array_equal(dataset.train.labels, indices)


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_npz_whole_numbers_become_uint8(tmp_path, dtype):
    x = np.array([[[0, 255]], [[7, 8]]], dtype)
    images = open_dataset("npz", save(tmp_path / "x.npz", x_train=x, y_train=[0, 1])).train.images
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, x)


def test_a_class_that_train_lacks_is_a_warning(tmp_path):
    path = save(tmp_path / "x.npz", x_train=pixels(2, 2, 2), y_train=[0, 1], classes=["a", "b", "c"])
    assert open_dataset("npz", path).warnings == (f"{path}: train has no images of the classes 'c'",)


X, Y = pixels(2, 2, 2), [0, 1]


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        (
            {"images": X, "y_train": Y},
            "has no 'x_train'; it holds 'images', 'y_train'; expected x_train, y_train and",
        ),
        ({"x_train": X, "y_train": Y, "x_val": X}, "has no 'y_val'; it holds 'x_train', 'y_train', 'x_val';"),
        (
            {"x_train": X, "y_train": [0, 1, 1]},
            "x_train has 2 images and its y has 3 labels; expected as many.",
        ),
        (
            {"x_train": X, "y_train": [0, 2], "classes": ["a", "b"]},
            "y_train has the labels '2'; expected '0', '1'.",
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X, "y_test": [1, 7]},
            "y_test has the labels '7'; expected '0', '1'.",
        ),
        (
            {"x_train": X, "y_train": ["a", "?"], "classes": ["a", "b"]},
            "y_train has the labels '?'; expected 'a', 'b'.",
        ),
        (
            {"x_train": X / 255.0, "y_train": Y},
            "x_train is float64 in [0, 0.027451]; expected whole numbers in [0, 255].",
        ),
        ({"x_train": X * np.nan, "y_train": Y}, "x_train is float64 in [nan, nan]; expected whole numbers"),
        (
            {"x_train": X.astype(int) - 1, "y_train": Y},
            "x_train is int64 in [-1, 6]; expected whole numbers in [0, 255].",
        ),
        ({"x_train": X > 1, "y_train": Y}, "x_train is bool[2, 2, 2]; expected uint8."),
        (
            {"x_train": X.reshape(2, 4), "y_train": Y},
            "x_train is uint8[2, 4]; expected [n, height, width] or",
        ),
        (
            {"x_train": pixels(2, 3, 8, 8), "y_train": Y},
            "x_train is uint8[2, 3, 8, 8]; expected [n, height, width] or",
        ),
        ({"x_train": X[:0], "y_train": []}, "x_train is uint8[0, 2, 2]; expected one image or more."),
        (
            {"x_train": X, "y_train": [[1, 1], [0, 1]]},
            "y_train is int64[2, 2] and not one-hot; expected a single 1",
        ),
        (
            {"x_train": X, "y_train": [0.5, 1]},
            "y_train is float64[2]; expected integers or names [n] or [n, 1],",
        ),
        ({"x_train": X, "y_train": [np.inf, 1]}, "y_train is float64[2]; expected integers or names"),
        ({"x_train": X, "y_train": [3, 3]}, "has one class only, '3'; expected two or more. Add"),
        (
            {"x_train": X, "y_train": Y, "classes": ["a", "a"]},
            "has two classes of the name 'a'; expected each name once.",
        ),
        (
            {"x_train": X, "y_train": Y, "classes": [["a", "b"]]},
            "classes is <U1[1, 2]; expected a list of names.",
        ),
        (
            {"x_train": X, "y_train": np.array([{}, 1])},
            "cannot be read (its member 'y_train.npy' holds Python objects",
        ),
    ],
)
def test_npz_faults(tmp_path, arrays, text):
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    assert fault("npz", path).startswith(f"{path}: {text}")


@pytest.mark.parametrize(
    "keys", [("X_train", "y_train", "X_val", "y_val"), ("train_images", "train_labels", "val_images", "val_labels")]
)
def test_npz_keys_as_others_write_them(tmp_path, keys):
    np.savez(tmp_path / "x.npz", **dict(zip(keys, (X, [[0], [1]], X, [[1], [0]]), strict=True)))
    dataset = open_dataset("folder", tmp_path / "x.npz")
    assert dataset.train.labels.tolist() == [0, 1]
    assert dataset.validation.labels.tolist() == [1, 0]


def test_npz_arrays_that_would_be_passed_over_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=X, y_train=Y, x_dev=X, y_dev=Y)
    assert fault("npz", tmp_path / "x.npz") == (
        f"{tmp_path / 'x.npz'}: holds 'x_dev' and 'y_dev', which are not read; expected x_train, x_validation and "
        "x_test. Save it again under these names, or without them."
    )


def test_npz_that_is_none_or_damaged(tmp_path):
    path = tmp_path / "x.npz"
    np.save(path.with_suffix(".npy"), X)
    path.with_suffix(".npy").rename(path)
    assert fault("npz", path).startswith(f"{path}: is not an .npz archive; expected what numpy.savez writes")
    np.savez_compressed(path, x_train=np.random.default_rng(0).bytes(999), y_train=Y)
    damaged = bytearray(path.read_bytes())
    damaged[200:240] = bytes(40)
    path.write_bytes(damaged)
    assert fault("npz", path).startswith(f"{path}: cannot be read (")


def test_npz_that_outgrows_memory_is_refused_by_its_directory(tmp_path, monkeypatch):
    path = save(tmp_path / "x.npz", x_train=pixels(100, 8, 8), y_train=[0, 1] * 50)
    monkeypatch.setattr("zoo.data.sources.arrays.available_bytes", lambda: 1000)
    assert fault("npz", path).startswith(f"{path}: needs 0.0 GB of memory; 0.0 GB are free.")


# IDX


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, *, dot: bool = False, packed: bool = False, test: bool = True) -> Path:
    labels = np.array([3, 5, 3], np.uint8)
    for stem in ("train", "t10k") if test else ("train",):
        for kind, array in (("images", pixels(3, 2, 4)), ("labels", labels)):
            name = f"{stem}-{kind}{'.' if dot else '-'}idx{array.ndim}-ubyte{'.gz' if packed else ''}"
            content = idx_bytes(array)
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path, dot, packed):
    write_idx(tmp_path, dot=dot, packed=packed)
    for source in ("idx", "folder"):
        dataset = open_dataset(source, tmp_path)
        assert dataset.classes == ("3", "5")
        assert dataset.test is not None
        np.testing.assert_array_equal(dataset.test.images, pixels(3, 2, 4))
        np.testing.assert_array_equal(dataset.train.labels, [0, 1, 0])


def test_idx_faults(tmp_path):
    folder = write_idx(tmp_path, test=False)
    assert open_dataset("idx", folder).test is None
    images = folder / "train-images-idx3-ubyte"
    good = images.read_bytes()

    images.write_bytes(good[:-1])
    assert fault("idx", folder).startswith(
        f"{images}: the header says 3 x 2 x 4 bytes, but the file is too short for that; expected as many."
    )
    images.write_bytes(good + b"x")
    assert fault("idx", folder).startswith(f"{images}: the header says 3 x 2 x 4 bytes, but more follow it;")
    images.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12 + good[16:])
    assert "4294967295 x 4294967295 x 4294967295 bytes, but the file is too short" in fault("idx", folder)
    images.write_bytes(b"\x00\x00\x0d\x03" + good[4:])
    assert fault("idx", folder).startswith(f"{images}: begins with 00000d03; expected 00000803, an IDX file")
    images.write_bytes(b"")
    assert fault("idx", folder).startswith(f"{images}: begins with nothing; expected 00000803")

    packed = images.with_name(images.name + ".gz")
    images.unlink()
    packed.write_bytes(gzip.compress(good[:-1]))
    assert fault("idx", folder).startswith(f"{packed}: the header says 3 x 2 x 4 bytes, but 23 follow it;")
    packed.write_bytes(gzip.compress(good)[:-9])
    assert fault("idx", folder).startswith(f"{packed}: cannot be read (")
    packed.write_bytes(gzip.compress(bytes([0, 0, 8, 3]) + b"\xff" * 12))
    assert "bytes, but the file is too short for that" in fault("idx", folder)
    packed.write_bytes(good)
    assert fault("idx", folder).startswith(f"{packed}: cannot be read (is damaged (Error -3")

    (folder / "train-labels-idx1-ubyte").unlink()
    assert fault("idx", folder).startswith(
        f"{folder}: has no 'train-labels-idx1-ubyte', with or without .gz; expected MNIST's file names."
    )


# Sources that ship or are downloaded


def test_fashion_sample_ships(tmp_path):
    dataset = open_dataset("builtin:fashion_sample", None)
    assert dataset.classes[0] == "T-shirt/top"
    assert dataset.classes[9] == "Ankle boot"
    assert dataset.validation is not None
    assert dataset.train.images.shape == (5000, 28, 28)
    np.testing.assert_array_equal(np.bincount(dataset.train.labels), [500] * 10)
    np.testing.assert_array_equal(np.bincount(dataset.validation.labels), [100] * 10)
    assert dataset.test is None
    assert dataset.warnings == ()
    assert fault("builtin:fashion_sample", tmp_path).startswith(
        f"{tmp_path}: builtin:fashion_sample has its own images and takes no path. Leave --data out"
    )


def test_builtin_from_a_local_copy(tmp_path):
    names = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag")
    dataset = open_dataset("builtin:fashion_mnist", write_idx(tmp_path))
    assert dataset.classes == (*names, "Ankle boot")
    np.testing.assert_array_equal(dataset.train.labels, [3, 5, 3])
    assert dataset.validation is None
    path = save(tmp_path / "m.npz", x_train=X, y_train=[9, 0], x_test=X, y_test=[1, 2])
    dataset = open_dataset("builtin:mnist", path)
    assert dataset.classes == tuple("0123456789")
    np.testing.assert_array_equal(dataset.train.labels, [9, 0])
    assert fault("builtin:mnist", tmp_path / "x", NotFoundError).startswith(f"{tmp_path}/x: no such file or folder")


@pytest.fixture
def keras_datasets(monkeypatch):
    """A stand-in for keras.datasets, so that no backend is loaded and nothing is downloaded."""
    datasets = types.ModuleType("keras.datasets")
    keras = types.ModuleType("keras")
    keras.datasets = datasets
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setitem(sys.modules, "keras.datasets", datasets)
    return datasets


def test_builtin_is_downloaded_by_keras(keras_datasets):
    class Module:
        @staticmethod
        def load_data():
            return (X, np.array([4, 2], np.uint8)), (X, np.array([0, 1], np.uint8))

    keras_datasets.mnist = Module
    dataset = open_dataset("builtin:mnist", None)
    np.testing.assert_array_equal(dataset.train.labels, [4, 2])
    assert dataset.test is not None
    assert dataset.validation is None


def test_a_failed_download_names_the_alternative(keras_datasets):
    class Module:
        @staticmethod
        def load_data():
            raise Exception("URL fetch failure on https://x:\n None -- offline")

    keras_datasets.mnist = Module
    assert fault("builtin:mnist", None) == (
        "builtin:mnist: the download failed (URL fetch failure on https://x: None -- offline). "
        "Give a local copy with --data PATH: an .npz file with x_train, y_train, x_test, y_test, "
        "or a folder of MNIST-style IDX files."
    )
    keras_datasets.cifar10 = Module
    assert fault("builtin:cifar10", None) == (
        "builtin:cifar10: the download failed (URL fetch failure on https://x: None -- offline). "
        "Give a local copy with --data PATH: an .npz file with x_train, y_train, x_test, y_test."
    )


def test_colour_images_are_not_looked_for_in_a_folder_of_mnist_files(tmp_path):
    assert fault("builtin:cifar100", tmp_path) == (
        f"{tmp_path}: is a folder; builtin:cifar100 expects an .npz file with x_train, y_train, x_test, y_test. "
        "Point --data at the file."
    )


@pytest.mark.parametrize(("name", "first", "last"), [("cifar10", "airplane", "truck"), ("cifar100", "apple", "worm")])
def test_cifar_is_downloaded_by_keras_or_read_from_a_local_copy(tmp_path, keras_datasets, name, first, last):
    colored = pixels(2, 4, 4, 3)
    count = int(name.removeprefix("cifar"))

    class Module:
        @staticmethod
        def load_data():
            return (colored, np.array([[count - 1], [0]])), (colored, np.array([[0], [1]]))

    setattr(keras_datasets, name, Module)
    path = save(tmp_path / "c.npz", x_train=colored, y_train=[[count - 1], [0]], x_test=colored, y_test=[[0], [1]])
    downloaded, local = (open_dataset(f"builtin:{name}", where) for where in (None, path))
    for dataset in (downloaded, local):
        assert (len(dataset.classes), dataset.classes[0], dataset.classes[-1]) == (count, first, last)
        assert list(dataset.classes) == sorted(dataset.classes)
        np.testing.assert_array_equal(dataset.train.labels, [count - 1, 0])
        assert dataset.train.images.shape == (2, 4, 4, 3)
        assert dataset.test is not None
    assert downloaded.fingerprint() == local.fingerprint()


def test_source_faults(tmp_path):
    known = (
        "one of folder, csv, jsonl, npz, idx, builtin:mnist, builtin:fashion_mnist, builtin:cifar10, "
        "builtin:cifar100, builtin:fashion_sample, hf:NAME, tfds:NAME"
    )
    assert fault("foldr", tmp_path, NotFoundError) == (
        f"Unknown data.source 'foldr'. Did you mean 'folder'? Expected {known}."
    )
    assert fault("builtin:mnits", None, NotFoundError) == (
        f"Unknown data.source 'builtin:mnits'. Did you mean 'builtin:mnist'? Expected {known}."
    )
    assert fault("folder", None) == "data.source 'folder' needs a path. Give it with --data PATH."


# The fingerprint


def test_fingerprint_of_files(tmp_path):
    first = touch(tmp_path / "first", "a/1.jpg", "b/2.jpg")
    before = open_dataset("folder", first).fingerprint()
    assert len(before) == 64
    copy = tmp_path / "copy"
    shutil.copytree(first, copy)
    assert open_dataset("folder", copy).fingerprint() == before
    (copy / "a" / "1.jpg").write_bytes(b"another size")
    resized = open_dataset("folder", copy).fingerprint()
    (copy / "a" / "1.jpg").rename(copy / "a" / "3.jpg")
    renamed = open_dataset("folder", copy).fingerprint()
    (copy / "a").rename(copy / "c")
    relabelled = open_dataset("folder", copy).fingerprint()
    assert len({before, resized, renamed, relabelled}) == 4


def test_fingerprint_of_arrays(tmp_path):
    def of(**arrays):
        return open_dataset("npz", save(tmp_path / "x.npz", **arrays)).fingerprint()

    changed = X.copy()
    changed[1, 1, 1] += 1
    assert of(x_train=X, y_train=Y) == of(x_train=X, y_train=Y)
    fingerprints = {
        of(x_train=X, y_train=Y),
        of(x_train=changed, y_train=Y),
        of(x_train=X.reshape(2, 4, 1), y_train=Y),
        of(x_train=X, y_train=Y[::-1]),
        of(x_train=X, y_train=Y, classes=["a", "b"]),
        of(x_train=X, y_train=Y, x_val=X, y_val=Y),
        of(x_train=X, y_train=Y, x_test=X, y_test=Y),
    }
    assert len(fingerprints) == 7


def test_no_backend_is_imported():
    code = (
        "import sys, zoo.data; zoo.data.open_dataset('builtin:fashion_sample', None);"
        "assert not {'keras', 'tensorflow', 'jax'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_zip_without_arrays(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w"):
        pass
    assert fault("folder", path).startswith(f"{path}: has no 'x_train', 'y_train'; it holds nothing;")
