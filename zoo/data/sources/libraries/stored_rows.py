"""Rows of data sets that come through another library: images as they are stored, read one at a time."""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.data.dataset import SPLIT_NAMES, Dataset, Split, of_splits, quoted
from zoo.data.images.decoding import open_image
from zoo.data.sources.arrays import labels_as_indices
from zoo.data.sources.trees.split_names import split_of
from zoo.errors import DataError


@dataclass(frozen=True, kw_only=True)
class StoredImages:
    """The images of a split, opened one at a time.

    Attributes:
        identity: What tells them from any others.
        read: Gives the stored file of a row: its bytes, or its path.
        count: How many rows there are.
    """

    identity: str
    read: Callable[[int], bytes | str]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Image.Image:
        """Returns the image of a row; Pillow reads its pixels when they are asked for."""
        stored = self.read(index)
        return open_image(stored if isinstance(stored, bytes) else Path(stored))


@dataclass(frozen=True, kw_only=True)
class StoredSplit:
    """A split as a library has it: its images, and columns of values as they are."""

    images: StoredImages
    labels: np.ndarray
    groups: Sequence[object] | None


def library(module: str, extra: str) -> Any:
    """Imports a library.

    Raises:
        DataError: It is not installed; the message says what to type.
    """
    try:
        return importlib.import_module(module)
    except ImportError as fault:
        raise DataError(
            f"data.source '{extra}:' needs the package {module.replace('_', '-')}, which cannot be imported ({fault}). "
            f"Type: pip install 'zoo[{extra}]'"
        ) from fault


def tried(place: str, ask: Callable[[], Any]) -> Any:
    """Asks a library, whose errors may be any.

    Raises:
        DataError: It fails.
    """
    try:
        return ask()
    except Exception as fault:  # downloads, archives, formats: each library has errors of its own
        reason = next((line for line in str(fault).splitlines() if line.strip()), type(fault).__name__)
        raise DataError(
            f"{place}: cannot be opened ({' '.join(reason.split())[:300]}). Check the name and the network, or give a "
            "local copy with --data PATH."
        ) from fault


def by_our_names(place: str, tables: Mapping[str, Any], *, measuring: bool) -> tuple[dict[str, Any], list[str]]:
    """Returns the tables of train, validation and test, and what to say of their names.

    Raises:
        DataError: None is train, or two are the same split.
    """
    splits: dict[str, Any] = {}
    ignored: list[str] = []
    said: list[str] = []
    exact = {SPLIT_NAMES.get(name.casefold()) for name in tables}
    for name, table in tables.items():
        split = SPLIT_NAMES.get(name.casefold())
        if split is None and split_of(name) not in exact:
            split = split_of(name)
            said.append(f"{place}: reads the split '{name}' as {split}")
        if split is None:
            ignored.append(name)
        elif split in splits:
            raise DataError(f"{place}: has two splits that are {split}: {quoted(tables)}; expected one. Rename one.")
        else:
            splits[split] = table
    if "train" not in splits and not (measuring and splits):
        raise DataError(f"{place}: has no split 'train'; it has {quoted(tables) or 'none'}. Rename one of them.")
    ordered = {name: splits[name] for name in ("train", "validation", "test") if name in splits}
    return ordered, [*said, *([f"{place}: ignored the splits {quoted(ignored)}"] if ignored else [])]


def dataset_of(
    place: str,
    rows: Mapping[str, StoredSplit],
    *,
    classes: Sequence[str] | None,
    warnings: Sequence[str],
    measuring: bool,
) -> Dataset:
    """Makes a dataset of the splits that a library gave; those without any label are left out.

    Args:
        place: For messages.
        rows: The splits by our names.
        classes: The class names in the order of the labels; None where the labels say them.
        warnings: What was found before.
        measuring: Whether a finished classifier is to be measured.

    Raises:
        DataError: Labels that cannot be used.
    """
    # The splits of competitions come without labels: -1 by the custom of both libraries.
    unlabelled = [
        name
        for name, split in rows.items()
        if name != "train" and split.labels.dtype.kind in "iu" and bool(np.all(split.labels == -1))
    ]
    rows = {name: split for name, split in rows.items() if name not in unlabelled}
    names, labels = labels_as_indices(
        {f"{place}: the label column of {name}": rows[name].labels for name in rows},
        classes,
        measuring=measuring,
    )
    splits = {
        name: Split(
            images=split.images,
            labels=indices,
            # No value is a number in front of a zero byte: a row without one is a group of its own.
            groups=None
            if split.groups is None
            else tuple(f"\0{name}:{row}" if value is None else str(value) for row, value in enumerate(split.groups)),
        )
        for (name, split), indices in zip(rows.items(), labels, strict=True)
    }
    left_out = [f"{place}: {quoted(unlabelled)} has no labels and is not used"] if unlabelled else []
    return of_splits(names, splits, warnings=(*warnings, *left_out))


def as_array(place: str, labels: Sequence[object]) -> np.ndarray:
    """Returns labels as an array.

    Raises:
        DataError: They are lists of different lengths.
    """
    try:
        return np.asarray(labels)
    except ValueError as fault:  # lists of different lengths
        raise DataError(
            f"{place}: the labels are lists of different lengths, as of images of several classes; expected one class "
            "for each image. Choose another column with --set data.columns.label=COLUMN"
        ) from fault


def split_identity(place: str, known_by: object, count: int) -> str:
    """Hashes what tells a split from any other."""
    return hashlib.sha256(json.dumps([place, known_by, count], default=str).encode()).hexdigest()


def text_of(value: object) -> object:
    """Returns bytes as text, and anything else as it is."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
