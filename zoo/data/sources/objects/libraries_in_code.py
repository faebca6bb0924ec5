"""Data sets of other libraries as objects in code: arrays, tf.data, Keras, PyTorch, Hugging Face, data frames.

No library is imported for it: an object is known by what it has. What comes in batches is read into memory at once;
of a loader its data set is taken, since order and batches are ours.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from zoo.backend.memory import available_bytes
from zoo.data.sources.objects.labelling import LabelledImages, class_names, labels_of, listed_labels, named
from zoo.errors import DataError

CHANNELS = (1, 3, 4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """Images in memory with their labels.

    Attributes:
        images: uint8[n, height, width] or uint8[n, height, width, channels] in [0, 255]; or images of several sizes,
            Pillow images or paths.
        targets: int[n], str[n] or one-hot rows.
        classes: Names in the order of the labels, or None.
        warnings: What the user should know, one line each.
    """

    images: Sequence[Any] | np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], self.targets[index]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """Items of other objects, one at a time, as PyTorch's Subset and ConcatDataset are.

    Attributes:
        items: Where each is: an object, and a number in it.
        targets: The label of each, or None where only the items know them.
        classes: Names in the order of the labels, or None.
        warnings: What the user should know, one line each.
    """

    items: Sequence[tuple[LabelledImages, int]]
    targets: np.ndarray | None
    classes: tuple[str, ...] | None
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        source, number = self.items[index]
        return source[number]


def as_splits(data: object, place: str) -> Mapping[str, object]:
    """Takes splits out of an object that holds several; others are what trains.

    Raises:
        DataError: Two objects whose meaning is not known.
    """
    if isinstance(data, Mapping):
        return cast("Mapping[str, object]", data)
    if isinstance(data, tuple) and len(cast("tuple[object, ...]", data)) in (2, 3):
        parts = cast("tuple[object, ...]", data)
        if all(_is_arrays(part) for part in parts):  # as keras.datasets give them
            names = ("train", "test") if len(parts) == 2 else ("train", "validation", "test")
            return dict(zip(names, parts, strict=True))
        if all(any(is_kind(part) for is_kind, _ in DATA_SETS) for part in parts):
            raise DataError(
                f"{place} is {len(parts)} data sets; expected their names. Give a dict: "
                "{'train': ..., 'validation': ...}, with 'test' where there is one."
            )
    return {"train": data}


def as_items(source: object, name: str) -> object:
    """Turns an object of a known kind into one that gives (image, label) for an index; leaves others as they are.

    Raises:
        DataError: It cannot be used as it is; the message says what to give.
    """
    for is_kind, convert in KINDS:
        if is_kind(source):
            return convert(source, name)
    return source


# (x, y)


def _is_arrays(source: object) -> bool:
    if not isinstance(source, tuple | list) or len(cast("Sequence[object]", source)) != 2:
        return False
    x, y = cast("Sequence[Any]", source)
    if isinstance(x, tuple | str | bytes | Path) or isinstance(y, str | bytes) or not hasattr(x, "__len__"):
        return False
    if isinstance(source, list) and not hasattr(x, "shape"):
        return False  # a list of two items
    return len(getattr(y, "shape", (0,))) > 0 and hasattr(y, "__len__")


def _from_arrays(source: Any, name: str) -> Held:
    x, y = source
    images = _images(x, name)
    targets = np.asarray(y)
    if len(images) != len(targets):
        raise DataError(f"{name}: x has {len(images)} images and y has {len(targets)} labels; expected as many.")
    if isinstance(images, np.ndarray):
        reader = _Pixels(name)
        return Held(images=reader.checked(reader.take(images)), targets=_texts(targets), warnings=reader.warnings())
    return Held(images=images, targets=_texts(targets))


def _images(x: Any, name: str) -> Sequence[Any] | np.ndarray:
    if isinstance(x, list) and not all(isinstance(one, int | float) for one in x):
        return cast("list[Any]", x)
    images = np.asarray(x)
    if images.dtype.kind in "OU" and images.ndim == 1:
        return images.tolist()
    if images.ndim not in (3, 4):
        raise DataError(
            f"{name}: x is {images.dtype}{list(images.shape)}; expected [n, height, width] or "
            "[n, height, width, channels], or a list of paths. Reshape it."
        )
    return images


def _texts(labels: np.ndarray) -> np.ndarray:
    """Makes text of objects that all are, as data frames hold them."""
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.ravel()):
        return labels.astype(str)
    return labels


class _Pixels:
    """Brings arrays to uint8, and remembers what speaks against it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._largest = 0.0
        self._is_float = False
        self._is_rounded = False

    def take(self, images: np.ndarray) -> np.ndarray:
        """Returns a batch as uint8.

        Args:
            images: [n, height, width] or [n, height, width, channels].
        """
        check_axes(images.shape[1:], images.dtype, self._name)
        if images.dtype == np.uint8:
            return images
        if images.dtype.kind not in "iuf":
            raise DataError(f"{self._name}: images are {images.dtype}; expected uint8 in [0, 255]. Convert them.")
        low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
        if not (low >= 0 and high <= 255):  # NaN compares false
            raise DataError(
                f"{self._name}: images are {images.dtype} in [{low:.3g}, {high:.3g}]; expected pixels in [0, 255]. "
                "Leave out what scales or normalises them: the model does that itself."
            )
        self._largest = max(self._largest, high)
        self._is_float = self._is_float or images.dtype.kind == "f"
        whole = np.rint(images).astype(np.uint8)
        self._is_rounded = self._is_rounded or bool(np.any(whole != images))
        return whole

    def checked(self, images: np.ndarray) -> np.ndarray:
        """Returns all images, once all are taken; refuses those in [0, 1]."""
        if self._is_float and self._largest <= 1:
            raise DataError(
                f"{self._name}: images are numbers in [0, {self._largest:.3g}]; expected pixels in [0, 255]. "
                "Leave out what scales them (a Rescaling(1/255), ToTensor or / 255): the model does that itself."
            )
        return images

    def warnings(self) -> tuple[str, ...]:
        """Says what was done to the pixels."""
        return (f"{self._name}: pixels are rounded to whole numbers",) if self._is_rounded else ()


def as_pixels(images: np.ndarray, name: str) -> np.ndarray:
    """Returns images as uint8, which may be whole numbers in [0, 255] of another type.

    Raises:
        DataError: They are something else; see `check_axes`.
    """
    return _Pixels(name).take(images)


def check_axes(shape: tuple[int, ...], dtype: object, name: str) -> None:
    """Refuses the shape of an image that is neither [height, width] nor [height, width, channels] of 1, 3 or 4.

    Raises:
        DataError: It says which axes to move, or which channels to take.
    """
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in CHANNELS):
        return
    found = f"{name}: an image is {dtype}{list(shape)}"
    if len(shape) == 3 and shape[0] in CHANNELS:
        raise DataError(
            f"{found}, channels first; expected [height, width, channels]. Move the axis: "
            "numpy.moveaxis(image, 0, -1), or leave out what makes it a tensor."
        )
    if len(shape) == 3:
        raise DataError(f"{found}, {shape[-1]} channels; expected 1 (grey), 3 (RGB) or 4 (RGBA). Choose three of them.")
    raise DataError(f"{found}; expected [height, width] or [height, width, channels]. Reshape it.")


# Batches: tf.data and Keras


def _is_tf_dataset(source: object) -> bool:
    return hasattr(source, "element_spec") and hasattr(source, "cardinality")


def _from_tf_dataset(source: Any, name: str) -> Held:
    if int(source.cardinality()) == -1:
        raise DataError(f"{name}: the tf.data.Dataset does not end; expected a finite one. Leave out .repeat().")
    held = _from_batches(source.as_numpy_iterator(), name, class_names(source, name))
    # A dataset that shuffles gives another order each time: sorted by what they are, the images are the same data.
    keys = [hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest() for image in held.images]
    order = sorted(range(len(held)), key=lambda row: (keys[row], str(held.targets[row])))
    images = held.images[order] if isinstance(held.images, np.ndarray) else [held.images[row] for row in order]
    warnings = list(held.warnings)
    if held.classes is None and held.targets.dtype.kind != "U":
        warnings.append(f"{name}: has no .class_names; its classes are named by their numbers")
    return Held(images=images, targets=held.targets[order], classes=held.classes, warnings=tuple(warnings))


def _is_keras_dataset(source: object) -> bool:
    names = ("PyDataset", "Sequence")
    return any(kind.__name__ in names and "keras" in kind.__module__ for kind in type(source).__mro__)


def _from_keras_dataset(source: Any, name: str) -> Held:
    count = source.num_batches if hasattr(source, "num_batches") else len(source)
    if count is None or not math.isfinite(count):
        raise DataError(f"{name}: the PyDataset has no length; expected a finite one. Give it __len__.")
    return _from_batches((source[index] for index in range(int(count))), name, class_names(source, name))


def _from_batches(batches: Iterable[Any], name: str, classes: tuple[str, ...] | None) -> Held:
    reader = _Pixels(name)
    images: list[np.ndarray] = []
    labels: list[Any] = []
    size, free = 0, available_bytes()
    for number, batch in enumerate(batches):
        some, their_labels = _batch(batch, f"{name}, batch {number}")
        pixels = reader.take(some)
        images.extend(pixels)
        labels.extend(their_labels)
        size += pixels.nbytes
        if free is not None and 2 * size > free:
            raise DataError(
                f"{name}: {len(images):,} images so far, more than fit into memory; expected a data set that ends. "
                "Leave out .repeat(), or save the images as files."
            )
    if not images:
        raise DataError(f"{name} has no items; expected one or more.")
    targets = np.asarray(labels)
    if targets.dtype.kind == "S" or (targets.dtype.kind == "O" and isinstance(labels[0], bytes)):
        targets = np.asarray([label.decode() for label in labels])
    is_even = len({image.shape for image in images}) == 1
    stacked = reader.checked(np.stack(images)) if is_even else images
    if not is_even:
        reader.checked(images[0])
    return Held(images=stacked, targets=targets, classes=classes, warnings=reader.warnings())


def _batch(batch: Any, place: str) -> tuple[np.ndarray, Sequence[Any]]:
    """Returns images [n, height, width(, channels)] and their n labels; of a single image and its label, n is 1."""
    if not isinstance(batch, tuple | list) or len(cast("Sequence[Any]", batch)) != 2:
        held = f"{len(batch)} parts" if isinstance(batch, tuple | list) else f"a {type(batch).__name__}"
        raise DataError(f"{place}: gives {held}; expected (images, labels). Map it: .map(lambda ...: (image, label)).")
    images, labels = (np.asarray(part) for part in batch)
    if images.ndim == 2 or (images.ndim == 3 and (labels.ndim == 0 or len(labels) != len(images))):
        return images[np.newaxis], [labels[()]]
    if images.ndim == 3 and images.shape[-1] in CHANNELS:
        raise DataError(
            f"{place}: images of {list(images.shape)} and labels of {list(labels.shape)} can be read as one image and "
            "as several; expected [n, height, width, channels] and [n]. Batch it, or give labels as numbers."
        )
    if images.ndim not in (3, 4) or labels.ndim == 0 or len(labels) != len(images):
        raise DataError(
            f"{place}: gives images of {list(images.shape)} and labels of {list(labels.shape)}; expected "
            "[n, height, width, channels] and [n], or [n, classes]."
        )
    return images, list(labels)


# PyTorch

_TAKES_ALL = ("SequentialSampler", "RandomSampler")


def _is_loader(source: object) -> bool:
    return all(hasattr(source, name) for name in ("dataset", "batch_size", "collate_fn"))


def _from_loader(source: Any, name: str) -> object:
    sampler = type(source.sampler).__name__
    chosen = getattr(source.sampler, "indices", None)
    if source.batch_size is None and getattr(source, "batch_sampler", None) is not None:
        sampler = type(source.batch_sampler).__name__
        chosen = None
    if chosen is None and sampler not in _TAKES_ALL and sampler != "NoneType":
        raise DataError(
            f"{name}: the loader draws its images by a {sampler}, which is not known here; expected all of them. Give "
            f"loader.dataset, and set data.balance in the recipe where classes are to be evened out."
        )
    items = as_items(source.dataset if chosen is None else _Indexed(source.dataset, list(chosen)), f"{name}.dataset")
    collate = getattr(source.collate_fn, "__name__", type(source.collate_fn).__name__)
    if collate in ("default_collate", "default_convert"):
        return items
    return _with_warning(items, f"{name}: its collate_fn '{collate}' is not called; images are taken from its dataset")


@dataclass(frozen=True)
class _Indexed:
    dataset: Any
    indices: Sequence[int]


def _with_warning(source: Any, warning: str) -> Chosen:
    name = "data"
    return Chosen(
        items=[(source, index) for index in range(len(source))],
        targets=listed_labels(source, name),
        classes=class_names(source, name),
        warnings=(*getattr(source, "warnings", ()), warning),
    )


def _is_subset(source: object) -> bool:
    return hasattr(source, "dataset") and hasattr(source, "indices")


def _from_subset(source: Any, name: str) -> Chosen:
    base: Any = as_items(source.dataset, f"{name}.dataset")
    rows = [int(index) for index in source.indices]
    labels = listed_labels(base, f"{name}.dataset")
    return Chosen(
        items=[(base, row) for row in rows],
        targets=None if labels is None else labels[rows],
        classes=class_names(base, f"{name}.dataset"),
        warnings=_warnings_of(base, name),
    )


def _warnings_of(base: object, name: str) -> tuple[str, ...]:
    if getattr(base, "target_transform", None) is not None and getattr(base, "classes", None) is not None:
        return (f"{name}: a target_transform changes its labels, so that .classes is left out",)
    return tuple(getattr(base, "warnings", ()))


def _is_joined(source: object) -> bool:
    return hasattr(source, "datasets") and hasattr(source, "cumulative_sizes")


def _from_joined(source: Any, name: str) -> Chosen:
    parts: list[Any] = [as_items(part, f"{name}.datasets[{number}]") for number, part in enumerate(source.datasets)]
    places = [f"{name}.datasets[{number}]" for number in range(len(parts))]
    names = [class_names(part, place) for part, place in zip(parts, places, strict=True)]
    items = [(part, index) for part in parts for index in range(len(part))]
    warnings = tuple(warning for part in parts for warning in _warnings_of(part, name))
    if len(set(names)) == 1:
        listed = [listed_labels(part, place) for part, place in zip(parts, places, strict=True)]
        known = [labels for labels in listed if labels is not None]
        targets = np.concatenate(known) if len(known) == len(parts) else None
        return Chosen(items=items, targets=targets, classes=names[0], warnings=warnings)
    if None in names:
        lacking = places[names.index(None)]
        raise DataError(
            f"{lacking} has no .classes, and another part has; expected the names in all or none, since the same "
            "number may be another class."
        )
    # Each part numbers classes in its own way: brought together by name.
    labels = [named(labels_of(part, place), own, place) for part, place, own in zip(parts, places, names, strict=True)]
    if any(part.dtype.kind != "U" for part in labels):
        raise DataError(f"{name}: its parts have other .classes and one-hot labels; expected an index or a name.")
    return Chosen(items=items, targets=np.concatenate(labels), classes=None, warnings=warnings)


# Everything else that is known, to be refused by name


def _is_without_index(source: object) -> bool:
    return isinstance(source, Iterable) and not hasattr(source, "__getitem__")


def _refuse_without_index(source: object, name: str) -> object:
    raise DataError(
        f"{name} is of type {type(source).__name__}, which gives its items in a row only; expected an object with "
        f"len() that gives (image, label) for an index. Make a list of it: list(...), or give (x, y)."
    )


def _is_array(source: object) -> bool:
    return isinstance(source, np.ndarray) or (hasattr(source, "shape") and hasattr(source, "dtype"))


def _refuse_array(source: Any, name: str) -> object:
    raise DataError(f"{name} is an array {list(source.shape)} without labels; expected (x, y). Give both in a tuple.")


Kind = tuple[Callable[[object], bool], Callable[[Any, str], object]]
DATA_SETS: tuple[Kind, ...] = (
    (_is_tf_dataset, _from_tf_dataset),
    (_is_keras_dataset, _from_keras_dataset),
    (_is_loader, _from_loader),
    (_is_subset, _from_subset),
    (_is_joined, _from_joined),
)
KINDS: tuple[Kind, ...] = (
    (_is_arrays, _from_arrays),
    *DATA_SETS,
    (_is_array, _refuse_array),
    (_is_without_index, _refuse_without_index),
)
