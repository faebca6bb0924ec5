"""Data sets in code that come in batches, of tf.data and of Keras: read into memory at once."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from zoo.backend.memory import available_bytes
from zoo.data.sources.objects.arrays_in_code import CHANNELS, Held, PixelReader
from zoo.data.sources.objects.labelling import class_names
from zoo.errors import DataError


def is_tf_dataset(source: object) -> bool:
    """Whether an object is a tf.data.Dataset, by what it has."""
    return hasattr(source, "element_spec") and hasattr(source, "cardinality")


def from_tf_dataset(source: Any, name: str) -> Held:
    """Reads a tf.data.Dataset into memory.

    Raises:
        DataError: It cannot be used as it is; the message says what to give.
    """
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


def is_keras_dataset(source: object) -> bool:
    """Whether an object is a PyDataset of Keras, by the names of its classes."""
    names = ("PyDataset", "Sequence")
    return any(kind.__name__ in names and "keras" in kind.__module__ for kind in type(source).__mro__)


def from_keras_dataset(source: Any, name: str) -> Held:
    """Reads a PyDataset of Keras into memory.

    Raises:
        DataError: It cannot be used as it is; the message says what to give.
    """
    count = source.num_batches if hasattr(source, "num_batches") else len(source)
    if count is None or not math.isfinite(count):
        raise DataError(f"{name}: the PyDataset has no length; expected a finite one. Give it __len__.")
    return _from_batches((source[index] for index in range(int(count))), name, class_names(source, name))


def _from_batches(batches: Iterable[Any], name: str, classes: tuple[str, ...] | None) -> Held:
    reader = PixelReader(name)
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
