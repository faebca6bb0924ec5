"""What the source of a plug-in has to give: a `Dataset` whose parts fit one another."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from zoo.data.dataset import Dataset, Split
from zoo.errors import DataError, shown

_PIXELS = "uint8[n, height, width] or uint8[n, height, width, channels] with 1, 3 or 4 channels"


def checked_source(given: object, place: str, *, measuring: bool) -> Dataset:
    """Makes sure of what a plug-in's source gave.

    Args:
        given: What its builder returned.
        place: The source and its path, for messages.
        measuring: Whether there need be no train.

    Returns:
        It, with the class names as a tuple.

    Raises:
        DataError: It is not a data set, has no images, or its parts do not fit one another.
    """
    if not isinstance(given, Dataset):
        raise DataError(f"{place}: its builder gave {shown(given)}; expected a zoo.data.Dataset")
    classes = cast("object", given.classes)
    names = [*cast("Sequence[object]", classes)] if isinstance(classes, tuple | list) else [classes]
    if not isinstance(classes, tuple | list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{place}: classes is {shown(classes)}; expected a tuple of texts")
    for name, split in given.splits().items():
        where = f"{place}: {name}"
        if not isinstance(cast("object", split), Split):
            raise DataError(f"{where} is {shown(split)}; expected a zoo.data.Split or None")
        if not measuring and (len(split.labels) == 0 or len(split.images) == 0):
            expected = "images to learn from" if name == "train" else "images, or None for no such split"
            raise DataError(f"{where} has no images; expected {expected}")
        _check_split(split, where)
    return replace(given, classes=tuple(str(name) for name in names))


def _check_split(split: Split, where: str) -> None:
    labels = cast("object", split.labels)
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{where}: labels are {_described(labels)}; expected int64[n], an index into classes for each")
    _check_images(cast("Any", split.images), where)
    number = len(split.images)
    if len(split) != number:
        raise DataError(f"{where} has {number} images and {len(split)} labels; expected one label for each image")
    if split.weights is not None:
        weights = np.asarray(split.weights)
        if weights.shape != (number,) or not (np.isfinite(weights) & (weights >= 0)).all():
            raise DataError(f"{where}: weights are {_described(weights)}; expected float32[{number}], finite and >= 0")
    if split.groups is not None and len(split.groups) != number:
        raise DataError(f"{where} has {number} images and {len(split.groups)} groups; expected a group for each image")


def _check_images(images: Any, where: str) -> None:
    if isinstance(images, np.ndarray):
        is_grey, has_channels = images.ndim == 3, images.ndim == 4 and images.shape[-1] in (1, 3, 4)
        if images.dtype != np.uint8 or not (is_grey or has_channels):
            raise DataError(
                f"{where}: images are {_described(images)}; expected {_PIXELS}. Images of several sizes are read one "
                "at a time: give an object with __len__, __getitem__ and identity"
            )
    elif isinstance(images, Sequence):
        for image in cast("Sequence[object]", images):
            if not isinstance(image, Path):
                raise DataError(
                    f"{where}: images are a list of {type(image).__name__}; expected pathlib.Path, {_PIXELS}, or an "
                    "object with __len__, __getitem__ and identity"
                )
    elif not isinstance(getattr(images, "identity", None), str) or not hasattr(images, "__getitem__"):
        raise DataError(
            f"{where}: images are {shown(images)}; expected __len__, __getitem__ and identity, a text that tells these "
            "images from any others, such as a hash of them"
        )


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    return f"a {type(value).__name__}"
