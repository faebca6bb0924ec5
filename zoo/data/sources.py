"""Opens the data a recipe names: `data.source` and the path given with `--data`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from zoo.data.arrays import Arrays, array_dataset, holds_idx, read_idx, read_npz
from zoo.data.dataset import Dataset, Split, check_dataset
from zoo.data.folders import read_class_folders
from zoo.errors import DataError, NotFoundError, did_you_mean

__all__ = ["Dataset", "Split", "open_dataset"]

# In the order of their labels, which is the order of the classes too.
_BUILTIN_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}
_BUILTINS = (*_BUILTIN_CLASSES, "fashion_sample")
_SAMPLE = Path(__file__).parents[1] / "assets" / "fashion_sample.npz"
_PLANNED = ("csv", "jsonl", "hf", "tfds")


def open_dataset(source: str, path: Path | None) -> Dataset:
    """Opens a source of labelled images; files are listed, not decoded.

    `folder`, the default source, also takes an `.npz` file and a folder of IDX files, because that is what
    `--data x.npz` means.

    Args:
        source: `folder`: class folders, with or without split folders (`zoo.data.folders`). `npz`: arrays
            under the keys x_train, y_train and so on. `idx`: a folder of MNIST's files.
            `builtin:mnist`, `builtin:fashion_mnist`: downloaded by Keras, or read from `path`.
            `builtin:fashion_sample`: 5,000 train and 1,000 validation images that ship with zoo.
        path: The folder or file; `None` where the source needs none.

    Returns:
        The classes and splits. Folders have their class names sorted, the builtins in the order of labels.

    Raises:
        NotFoundError: A source or a path that does not exist.
        DataError: Data that cannot be used as it is.
    """
    kind, _, name = source.partition(":")
    if kind == "builtin":
        dataset = _open_builtin(name, path)
    elif source in _READERS:
        if path is None:
            raise DataError(f"data.source '{source}' needs a path. Give it with --data PATH.")
        _check_exists(path)
        dataset = _READERS[source](path)
    elif kind in _PLANNED:
        raise DataError(
            f"data.source '{source}' is not yet supported; expected {_expected()}. "
            "Arrange the images in class folders and use 'folder'."
        )
    else:
        raise NotFoundError(
            f"Unknown data.source '{source}'.{did_you_mean(source, _source_names())} Expected {_expected()}."
        )
    return check_dataset(dataset, source if path is None else str(path))


def _open_folder(path: Path) -> Dataset:
    if path.suffix.lower() == ".npz" and path.is_file():
        return _open_npz(path)
    if not path.is_dir():
        raise DataError(
            f"{path}: is a file; expected a folder with one subfolder per class, or an .npz file. "
            "Unpack it if it is an archive, and point --data at the folder."
        )
    return _open_idx(path) if holds_idx(path) else read_class_folders(path)


def _open_npz(path: Path) -> Dataset:
    if not path.is_file():
        raise DataError(f"{path}: is a folder; expected an .npz file. Use data.source 'folder' for a folder.")
    return array_dataset(str(path), *read_npz(path))


def _open_idx(path: Path) -> Dataset:
    if not path.is_dir():
        raise DataError(
            f"{path}: is a file; expected the folder that holds train-images-idx3-ubyte. Point --data at {path.parent}."
        )
    return array_dataset(str(path), read_idx(path), None)


_READERS: dict[str, Callable[[Path], Dataset]] = {
    "folder": _open_folder,
    "npz": _open_npz,
    "idx": _open_idx,
}


def _open_builtin(name: str, path: Path | None) -> Dataset:
    if name not in _BUILTINS:
        raise NotFoundError(
            f"Unknown data.source 'builtin:{name}'.{did_you_mean(f'builtin:{name}', _source_names())} "
            f"Expected {_expected()}."
        )
    if name == "fashion_sample":
        if path is not None:
            raise DataError(
                f"{path}: builtin:fashion_sample ships with zoo and takes no path. "
                "Leave --data out, or set data.source to what the path holds, such as 'folder'."
            )
        return _open_npz(_SAMPLE)
    if path is None:
        arrays = _download(name)
    else:
        _check_exists(path)
        arrays = read_idx(path) if path.is_dir() else read_npz(path)[0]
    place = f"builtin:{name}" if path is None else str(path)
    return array_dataset(place, arrays, _BUILTIN_CLASSES[name])


def _download(name: str) -> Arrays:
    try:
        from keras import datasets  # loads a whole backend: only for those who need the download

        loaded: tuple[tuple[np.ndarray, np.ndarray], ...] = getattr(datasets, name).load_data()
    except Exception as fault:  # Keras raises a bare Exception when a download fails
        reason = " ".join(str(fault).split())
        raise DataError(
            f"builtin:{name}: the download failed ({reason}). Give a local copy with --data PATH: "
            "an .npz file with x_train, y_train, x_test, y_test, or a folder of MNIST-style IDX files."
        ) from fault
    return dict(zip(("train", "test"), loaded, strict=True))


def _check_exists(path: Path) -> None:
    try:
        path.stat()
    except PermissionError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}). Change its permissions.") from fault
    except OSError as fault:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise NotFoundError(
            f"{path}: no such file or folder.{did_you_mean(path.name, siblings)} "
            "Give a folder with one subfolder of images per class with --data PATH."
        ) from fault


def _source_names() -> list[str]:
    return [*_READERS, *(f"builtin:{name}" for name in _BUILTINS)]


def _expected() -> str:
    return "one of " + ", ".join(_source_names())
