"""Opens the data a recipe names: `data.source` and the path given with `--data`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from zoo.data.dataset import Dataset, Split, check_dataset
from zoo.data.sources import libraries
from zoo.data.sources.arrays import Arrays, array_dataset, holds_idx, read_idx, read_npz
from zoo.data.sources.grouping import group_by_name, no_groups, shared_groups
from zoo.data.sources.lists import listings
from zoo.data.sources.trees.folders import read_class_folders
from zoo.errors import DataError, NotFoundError, did_you_mean

__all__ = ["Dataset", "Split", "open_dataset"]

# The fine labels, as the data set's own meta file names them.
_CIFAR_100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
# In the order of their labels, which is the order of the classes too.
_BUILTIN_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": tuple(_CIFAR_100.split()),
}
# What `builtin:` can be followed by.
BUILTINS = (*_BUILTIN_CLASSES, "fashion_sample")
_SAMPLE = Path(__file__).parents[2] / "assets" / "fashion_sample.npz"


@dataclass(frozen=True, kw_only=True)
class _How:
    """How a source is to be read: see `open_dataset`."""

    group: str = ""
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    measuring: bool = False


def open_dataset(
    source: str,
    path: Path | None,
    *,
    group: str = "",
    columns: Mapping[str, str] | None = None,
    measuring: bool = False,
) -> Dataset:
    """Opens a source of labelled images; files are listed, not decoded.

    `folder`, the default source, also takes an `.npz`, `.csv`, `.tsv` or `.jsonl` file and a folder of IDX files,
    because that is what `--data x.npz` means.

    Args:
        source: `folder`: class folders, with or without split folders (see `folders`). `csv`, `jsonl`: a file
            that lists images (see `listings`). `npz`: arrays under the keys x_train, y_train and so on.
            `idx`: a folder of MNIST's files. `builtin:mnist`, `builtin:fashion_mnist`, `builtin:cifar10`,
            `builtin:cifar100`: downloaded by Keras, or read from `path`. `builtin:fashion_sample`: 5,000 train and
            1,000 validation images that ship with zoo. `hf:NAME`, `tfds:NAME`: a data set that a library downloads,
            or reads from `path` (`zoo.data.sources.libraries`).
        path: The folder or file; `None` where the source needs none.
        group: What images belong together: a regular expression for the paths in class folders, a column's name in
            files that list images and data sets of libraries. `""` is the column `group` of a file, where there is one.
        columns: What columns are called, in files that list images and data sets of libraries: their names by `path`
            (what holds the images), `label`, `split`, `weight` and `group`.
        measuring: Whether a finished classifier is to be measured: one class is enough, and there need be no train.

    Returns:
        The classes and splits. Folders and files that list images have their class names sorted, the others in the
        order of labels.

    Raises:
        NotFoundError: A source or a path that does not exist.
        DataError: Data that cannot be used as it is.
    """
    kind, _, name = source.partition(":")
    how = _How(group=group, columns=columns or {}, measuring=measuring)
    if path is not None:
        check_exists(path)
    if kind == "builtin":
        if group:
            raise no_groups(f"'{source}'")
        _refuse_columns(how, f"'{source}'")
        dataset = _open_builtin(name, path)
    elif kind in libraries.READERS and name:
        asked = libraries.Asked(group=group, columns=how.columns, measuring=measuring)
        dataset = libraries.READERS[kind](name, path, asked)
    elif source in _READERS:
        if path is None:
            raise DataError(f"data.source '{source}' needs a path. Give it with --data PATH.")
        dataset = _READERS[source](path, how)
    else:
        raise NotFoundError(
            f"Unknown data.source '{source}'.{did_you_mean(source, _source_names())} Expected {_expected()}."
        )
    place = source if path is None else str(path)
    dataset = check_dataset(dataset, place, measuring=measuring)
    return replace(dataset, warnings=(*dataset.warnings, *shared_groups(dataset, place)))


def _refuse_columns(how: _How, what: str) -> None:
    if how.columns:
        raise DataError(
            f"data.columns is set, and the data is {what}, which has no columns; expected a .csv or .jsonl file, or "
            "hf: or tfds:. Leave data.columns out."
        )


def _open_folder(path: Path, how: _How) -> Dataset:
    if path.is_file():
        by_suffix = _FILES.get(path.suffix.lower())
        if by_suffix is None:
            raise DataError(
                f"{path}: is a file; expected a folder with one subfolder per class, or a file that ends in "
                f"{', '.join(_FILES)}. {_ADVICE.get(path.suffix.lower(), _UNPACK)}"
            )
        return by_suffix(path, how)
    if holds_idx(path):
        return _open_idx(path, how)
    _refuse_columns(how, f"{path}, a folder")
    dataset = read_class_folders(path, measuring=how.measuring)
    return group_by_name(dataset, how.group) if how.group else dataset


_UNPACK = "Unpack it if it is an archive, and point --data at the folder."
# What to do about a file of another kind.
_ADVICE = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the table as .csv, with the columns path,label."),
    **dict.fromkeys((".json", ".parquet", ".txt"), "Write a .csv with the columns path,label, a row for each image."),
    **dict.fromkeys((".npy", ".mat", ".h5", ".pkl"), "Save the arrays x_train, y_train with numpy.savez as .npz."),
    **dict.fromkeys(
        (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"), "It is one image: point --data at the folder of all."
    ),
}


def _open_npz(path: Path, how: _How) -> Dataset:
    if not path.is_file():
        raise DataError(f"{path}: is a folder; expected an .npz file. Use data.source 'folder' for a folder.")
    if how.group:
        raise no_groups(f"{path}, an archive of arrays")
    _refuse_columns(how, f"{path}, an archive of arrays")
    return array_dataset(str(path), *read_npz(path, measuring=how.measuring), measuring=how.measuring)


def _open_idx(path: Path, how: _How) -> Dataset:
    if not path.is_dir():
        raise DataError(
            f"{path}: is a file; expected the folder that holds train-images-idx3-ubyte. Point --data at {path.parent}."
        )
    if how.group:
        raise no_groups(f"{path}, a folder of IDX files")
    _refuse_columns(how, f"{path}, a folder of IDX files")
    return array_dataset(str(path), read_idx(path), None, measuring=how.measuring)


def _open_csv(path: Path, how: _How) -> Dataset:
    return listings.read_csv(_listing(path, "csv"), group=how.group, columns=how.columns, measuring=how.measuring)


def _open_jsonl(path: Path, how: _How) -> Dataset:
    return listings.read_jsonl(_listing(path, "jsonl"), group=how.group, columns=how.columns, measuring=how.measuring)


def _listing(path: Path, source: str) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: is a folder; expected a .{source} file. Use data.source 'folder' for a folder.")
    return path


_Reader = Callable[[Path, _How], Dataset]
_READERS: dict[str, _Reader] = {
    "folder": _open_folder,
    "csv": _open_csv,
    "jsonl": _open_jsonl,
    "npz": _open_npz,
    "idx": _open_idx,
}
# What --data FILE means, without a source.
_FILES: dict[str, _Reader] = {
    ".npz": _open_npz,
    ".csv": _open_csv,
    ".tsv": _open_csv,
    ".jsonl": _open_jsonl,
}


def _open_builtin(name: str, path: Path | None) -> Dataset:
    if name not in BUILTINS:
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
        return _open_npz(_SAMPLE, _How())
    if path is None:
        return array_dataset(f"builtin:{name}", _download(name), _BUILTIN_CLASSES[name])
    if path.is_dir() and not name.startswith("cifar"):
        return array_dataset(str(path), read_idx(path), _BUILTIN_CLASSES[name])
    if path.is_dir():
        raise DataError(f"{path}: is a folder; builtin:{name} expects {_local_copy(name)}. Point --data at the file.")
    return array_dataset(str(path), read_npz(path)[0], _BUILTIN_CLASSES[name])


def _local_copy(name: str) -> str:
    """Says what a local copy may be: colour images do not come as IDX files."""
    archive = "an .npz file with x_train, y_train, x_test, y_test"
    return archive if name.startswith("cifar") else f"{archive}, or a folder of MNIST-style IDX files"


def _download(name: str) -> Arrays:
    try:
        from keras import datasets  # loads a whole backend: only for those who need the download

        loaded: tuple[tuple[np.ndarray, np.ndarray], ...] = getattr(datasets, name).load_data()
    except Exception as fault:  # Keras raises a bare Exception when a download fails
        reason = " ".join(str(fault).split())
        raise DataError(
            f"builtin:{name}: the download failed ({reason}). Give a local copy with --data PATH: {_local_copy(name)}."
        ) from fault
    return dict(zip(("train", "test"), loaded, strict=True))


def check_exists(path: Path) -> None:
    """Looks whether a path leads to something.

    Raises:
        NotFoundError: There is nothing.
        DataError: Its permissions keep it from being seen.
    """
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
    return [*_READERS, *(f"builtin:{name}" for name in BUILTINS), *(f"{kind}:NAME" for kind in libraries.READERS)]


def _expected() -> str:
    return "one of " + ", ".join(_source_names())
