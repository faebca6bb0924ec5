"""Images that come as arrays: `.npz` archives and the IDX files of MNIST."""

import itertools
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from zoo.backend.memory import available_bytes
from zoo.data.dataset import Dataset, Split, of_splits, quoted
from zoo.errors import DataError
from zoo.foreign import gzip_stream, npz_archives
from zoo.foreign.zip_archives import NoZipError, ZipError
from zoo.registry.sources import SourceRequest
from zoo.system.regular_files import NotRegularError, open_regular

Arrays = Mapping[str, tuple[np.ndarray, np.ndarray]]

_NPZ_SUFFIXES = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
_IDX_STEMS = {"train": "train", "test": "t10k"}
_IDX_DIMENSIONS = {"images": 3, "labels": 1}
# Deflate cannot pack tighter (RFC 1951: 258 bytes from 2 bits), so a header that claims more is false.
_RATIO = 1032
_CHUNK = 1 << 20


def open_npz(request: SourceRequest) -> Dataset:
    """Opens an archive of arrays; see `read_npz` and `array_dataset`."""
    path = request.path
    assert path is not None  # the table says that it needs one
    arrays, classes = read_npz(path, measuring=request.measuring)
    return array_dataset(str(path), arrays, classes, measuring=request.measuring)


def open_idx(request: SourceRequest) -> Dataset:
    """Opens a folder of MNIST's files; see `read_idx` and `array_dataset`."""
    path = request.path
    assert path is not None  # the table says that it needs one
    if not path.is_dir():
        raise DataError(
            f"{path}: is a file; expected the folder that holds train-images-idx3-ubyte. Point --data at {path.parent}."
        )
    return array_dataset(str(path), read_idx(path), None, measuring=request.measuring)


def read_npz(path: Path, *, measuring: bool = False) -> tuple[Arrays, tuple[str, ...] | None]:
    """Reads x_train, y_train and, where there, x_val or x_validation, x_test, their y and classes.

    Keys are read in any case; train_images and train_labels, val_images and so on are read too.

    Args:
        path: A file that holds NumPy arrays; pickled objects in it are refused.
        measuring: Whether a finished classifier is to be measured: there need be no train.

    Returns:
        Images and labels by split, as they are in the file, and the class names or `None`.

    Raises:
        DataError: No `.npz` archive, keys that are missing, or more data than memory.
    """
    try:
        with npz_archives.open_npz(path) as archive:
            _check_fits(path, archive.total_bytes)
            return _npz_splits(path, archive, measuring=measuring), _npz_classes(path, archive)
    except NotRegularError as fault:
        raise DataError(f"{path}: {fault.strerror}. Check --data.") from fault
    except NoZipError as fault:
        raise DataError(
            f"{path}: is not an .npz archive; expected what numpy.savez writes, with x_train and y_train. "
            "Save it again with numpy.savez."
        ) from fault
    except (OSError, ZipError, MemoryError) as fault:
        raise _unreadable(path, fault) from fault


def holds_idx(folder: Path) -> bool:
    """Whether a folder has the training images of MNIST under one of their names."""
    return _idx_file(folder, "train", "images") is not None


def read_idx(folder: Path) -> Arrays:
    """Reads `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and, where there, the `t10k-` pair.

    The format is on the MNIST page (http://yann.lecun.com/exdb/mnist). Each file may end in `.gz`, and
    a dot may stand before `idx`, as some mirrors spell it.

    Args:
        folder: The folder that holds the files.

    Returns:
        Images uint8[n, height, width] and labels uint8[n] by split.

    Raises:
        DataError: A file that is missing, truncated, or no IDX file.
    """
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for split, stem in _IDX_STEMS.items():
        pair = {kind: _idx_file(folder, stem, kind) for kind in _IDX_DIMENSIONS}
        missing = [f"{stem}-{kind}-idx{_IDX_DIMENSIONS[kind]}-ubyte" for kind in pair if pair[kind] is None]
        if missing and (split == "train" or len(missing) == 1):
            raise DataError(
                f"{folder}: has no {quoted(missing)}, with or without .gz; expected MNIST's file names. "
                "Add the file, or point --data at the folder that holds it."
            )
        if not missing:
            arrays[split] = (
                _read_idx_file(cast(Path, pair["images"]), 3),
                _read_idx_file(cast(Path, pair["labels"]), 1),
            )
    return arrays


def array_dataset(place: str, arrays: Arrays, classes: Sequence[str] | None, *, measuring: bool = False) -> Dataset:
    """Checks pixels and labels, and makes labels indices into the classes.

    Args:
        place: The file or source, for messages.
        arrays: Images and labels by split. Images are uint8[n, height, width] or with 1, 3 or 4 channels
            last; another type is taken when every value is a whole number in [0, 255]. Labels are integers
            or names [n] or [n, 1], or one-hot [n, classes].
        classes: The class names; labels are then names of them or indices into them. `None`: the sorted
            distinct labels of train, as text.
        measuring: As for `labels_as_indices`; there need be no train then.

    Returns:
        The dataset, with uint8 images and int64 labels.

    Raises:
        DataError: Pixels or labels of another kind, or another number of labels than images.
    """
    names, labels = labels_as_indices(
        {f"{place}: y_{split}": y for split, (_, y) in arrays.items()}, classes, measuring=measuring
    )
    splits = {
        split: Split(images=_pixels(f"{place}: x_{split}", x, len(indices)), labels=indices)
        for (split, (x, _)), indices in zip(arrays.items(), labels, strict=True)
    }
    return of_splits(names, splits)


def labels_as_indices(
    labels: Mapping[str, np.ndarray], classes: Sequence[str] | None, *, measuring: bool = False
) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Names the classes, and makes labels indices into them.

    Args:
        labels: By the place where they are, for messages, those of train first: see `array_dataset`.
        classes: The class names; `None`: the sorted distinct labels of train, as text.
        measuring: Whether a finished classifier is to be measured: the labels of any split are classes then.

    Returns:
        The class names, and int64[n] for each of the labels.

    Raises:
        DataError: Labels of another kind, or that are not in train.
    """
    plain = {place: _plain_labels(place, values) for place, values in labels.items()}
    first, *others = plain.values()
    known = np.unique(np.concatenate([first, *others]) if measuring else first)
    if classes is None:
        names = tuple(str(label) for label in known)
    else:
        names = tuple(classes)
        known = np.array(names) if known.dtype.kind == "U" else np.arange(len(names))
    return names, [_indices(place, values, known) for place, values in plain.items()]


def _npz_splits(path: Path, archive: Mapping[str, np.ndarray], *, measuring: bool) -> Arrays:
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    keys = {key.casefold(): key for key in archive}
    found = {split: _npz_keys(keys, suffixes) for split, suffixes in _NPZ_SUFFIXES.items()}
    # What is measured may be a test split alone.
    others = measuring and any(key in keys for split in ("validation", "test") for key in found[split])
    for split, pair in found.items():
        missing = [key for key in pair if key not in keys]
        if missing and ((split == "train" and not others) or len(missing) == 1):
            raise DataError(
                f"{path}: has no {quoted(missing)}; it holds {quoted(archive) or 'nothing'}; expected "
                "x_train, y_train and optional x_validation, y_validation, x_test, y_test, classes. "
                "Save it again under these names."
            )
        if not missing:
            arrays[split] = (archive[keys[pair[0]]], archive[keys[pair[1]]])
    known = {key for pair in found.values() for key in pair}
    for key in keys:
        other = f"y_{key[2:]}"
        if key.startswith("x_") and other in keys and key not in known:
            raise DataError(
                f"{path}: holds '{keys[key]}' and '{keys[other]}', which are not read; expected x_train, x_validation "
                "and x_test. Save it again under these names, or without them."
            )
    return arrays


def _npz_keys(keys: Collection[str], suffixes: Sequence[str]) -> tuple[str, str]:
    """Returns what the images and labels of a split are called: x_val and y_val, or val_images and val_labels."""
    pairs = [
        pair
        for suffix in suffixes
        for pair in ((f"x_{suffix}", f"y_{suffix}"), (f"{suffix}_images", f"{suffix}_labels"))
    ]
    return next((pair for pair in pairs if pair[0] in keys or pair[1] in keys), pairs[0])


def _npz_classes(path: Path, archive: Mapping[str, np.ndarray]) -> tuple[str, ...] | None:
    if "classes" not in archive:
        return None
    names = archive["classes"]
    if names.ndim != 1 or names.dtype.kind not in "Uiu":
        raise DataError(
            f"{path}: classes is {_described(names)}; expected a list of names. Save it as numpy.array(['cat', 'dog'])."
        )
    return tuple(str(name) for name in names)


def _idx_file(folder: Path, stem: str, kind: str) -> Path | None:
    names = [
        f"{stem}-{kind}{separator}idx{_IDX_DIMENSIONS[kind]}-ubyte{suffix}"
        for separator in "-."
        for suffix in ("", ".gz")
    ]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_idx_file(path: Path, dimensions: int) -> np.ndarray:
    try:
        with open_regular(path) as file:
            held = os.fstat(file.fileno()).st_size
            if path.suffix != ".gz":
                return _idx_array(path, dimensions, iter(lambda: file.read(_CHUNK), b""), held)
            limit = max(npz_archives.MAX_BYTES_PER_BYTE * held, npz_archives.ALWAYS_BYTES)
            return _idx_array(path, dimensions, gzip_stream.unpacked(file, limit=limit), min(held * _RATIO, limit))
    except NotRegularError as fault:
        raise DataError(f"{path}: {fault.strerror}. Check --data.") from fault
    except (OSError, gzip_stream.GzipError) as fault:
        raise _unreadable(path, fault) from fault


def _idx_array(path: Path, dimensions: int, pieces: Iterator[bytes], held: int) -> np.ndarray:
    """Reads an array, and what the file holds behind it.

    Args:
        path: The file, for messages.
        dimensions: How many sides the array has.
        pieces: What the file holds.
        held: Most bytes that these can be.
    """
    head = b""
    size_of_header = 4 + 4 * dimensions
    for piece in pieces:
        head += piece
        if len(head) >= size_of_header:
            break
    header = head[:size_of_header]
    if len(header) < size_of_header or header[:4] != bytes((0, 0, 8, dimensions)):
        raise DataError(
            f"{path}: begins with {header[:4].hex() or 'nothing'}; expected 000008{dimensions:02x}, "
            f"an IDX file of bytes in {dimensions} dimensions. Fetch the file again."
        )
    shape = tuple(int(side) for side in np.frombuffer(header, ">u4", offset=4))
    size = math.prod(shape)
    # NumPy takes no sides so large, also where another is 0.
    if size > held - size_of_header or math.prod(max(side, 1) for side in shape) > np.iinfo(np.intp).max:
        raise _wrong_size(path, shape, "the file is too short for that")
    _check_fits(path, size)
    array, place = np.empty(size, np.uint8), 0
    for piece in itertools.chain([head[size_of_header:]], pieces):
        if place + len(piece) > size:
            raise _wrong_size(path, shape, "more follow it")
        array[place : place + len(piece)] = np.frombuffer(piece, np.uint8)
        place += len(piece)
    if place < size:
        raise _wrong_size(path, shape, f"{place} follow it")
    return array.reshape(shape)


def _wrong_size(path: Path, shape: tuple[int, ...], found: str) -> DataError:
    sides = " x ".join(str(side) for side in shape)
    return DataError(f"{path}: the header says {sides} bytes, but {found}; expected as many. Fetch the file again.")


def _check_fits(path: Path, size: int) -> None:
    available = available_bytes()
    if available is not None and size > available:
        raise DataError(
            f"{path}: needs {size / 1e9:.1f} GB of memory; {available / 1e9:.1f} GB are free. "
            "Use fewer images, or a folder of image files, which are packed on disk."
        )


def _unreadable(path: Path, fault: BaseException) -> DataError:
    reason = " ".join(str(fault).split()) or type(fault).__name__
    return DataError(f"{path}: cannot be read ({reason}). Fetch or save the file again.")


def _pixels(place: str, images: np.ndarray, labels: int) -> np.ndarray:
    """Returns uint8[n, height, width(, channels)], the array itself where it is that already."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3, 4)):
        raise DataError(
            f"{place} is {_described(images)}; expected [n, height, width] or [n, height, width, channels] "
            "with 1, 3 or 4 channels. Move the axes with numpy.moveaxis."
        )
    if len(images) != labels:
        raise DataError(
            f"{place} has {len(images)} images and its y has {labels} labels; expected as many. "
            "Save the two from the same rows."
        )
    if not images.size:
        raise DataError(f"{place} is {_described(images)}; expected one image or more. Leave the split out.")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "iuf":
        raise DataError(f"{place} is {_described(images)}; expected uint8. Save it as uint8 in [0, 255].")
    low, high = images.min(), images.max()
    rows = max(_CHUNK // max(images[0].size, 1), 1)
    parts = (images[start : start + rows] for start in range(0, len(images), rows))
    is_whole = images.dtype.kind != "f" or all(bool(np.all(part == np.rint(part))) for part in parts)
    if not (low >= 0 and high <= 255 and is_whole):
        raise DataError(
            f"{place} is {images.dtype} in [{low:g}, {high:g}]; expected whole numbers in [0, 255]. "
            "Undo the scaling and save it as uint8."
        )
    return images.astype(np.uint8)


def _plain_labels(place: str, labels: np.ndarray) -> np.ndarray:
    """Returns int64[n] or str[n] from integers, whole floats, names or one-hot rows."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf":
        hot = labels != 0
        if np.array_equal(hot, labels) and bool(np.all(hot.sum(axis=1) == 1)):
            return np.argmax(hot, axis=1).astype(np.int64)
        raise DataError(
            f"{place} is {_described(labels)} and not one-hot; expected a single 1 in each row. "
            "Save the index of the class for each image."
        )
    if labels.ndim == 1 and labels.dtype.kind == "U":
        return labels
    if missing := _missing(labels):
        raise DataError(
            f"{place} has no label in {len(missing):,} rows, such as {missing[0]} ({labels[missing[0]]}); expected one "
            "for each image. Fill them in, or leave these images out."
        )
    whole = labels.dtype.kind in "iu" or (
        labels.dtype.kind == "f" and bool(np.all(np.isfinite(labels) & (labels == np.rint(labels))))
    )
    if labels.ndim != 1 or not whole:
        raise DataError(
            f"{place} is {_described(labels)}; expected integers or names [n] or [n, 1], or one-hot rows. "
            "Save the index of the class for each image."
        )
    return labels.astype(np.int64)


def _missing(labels: np.ndarray) -> list[int]:
    """Returns the rows without a label: None, not a number, or a negative one beside more than one other class."""
    if labels.ndim != 1 or labels.dtype.kind not in "Oif":
        return []
    if labels.dtype.kind == "O":
        return [row for row, label in enumerate(labels.tolist()) if label is None or label != label]
    unlabelled = np.isnan(labels) if labels.dtype.kind == "f" else np.zeros(len(labels), bool)
    # -1 is the custom for a label that is missing; -1 and 1 are two classes.
    negative = labels < 0
    if not np.array_equal(np.unique(labels[~unlabelled]), [-1, 1]):
        unlabelled = unlabelled | negative
    return np.flatnonzero(unlabelled).tolist()


def _indices(place: str, labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns int64[n], the position in `known` of each label."""
    if unknown := sorted(set(labels.tolist()) - set(known.tolist())):
        raise DataError(
            f"{place} has the labels {quoted(unknown)}; expected {quoted(known.tolist())}. "
            "Correct the labels, or save the names of all classes under the key 'classes'."
        )
    order = np.argsort(known, kind="stable")
    return order[np.searchsorted(known[order], labels)].astype(np.int64)


def _described(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"
