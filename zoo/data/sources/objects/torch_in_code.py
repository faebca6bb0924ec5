"""Data sets in code as PyTorch has them: loaders, subsets and parts put together. Of each its items are taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.sources.objects.labelling import LabelledImages, class_names, labels_of, listed_labels, named
from zoo.errors import DataError

# Turns an object of any known kind into one that gives (image, label) for an index.
AsItems = Callable[[object, str], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class ChosenItems:
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


_TAKES_ALL = ("SequentialSampler", "RandomSampler")


def is_loader(source: object) -> bool:
    """Whether an object is a DataLoader of PyTorch, by what it has."""
    return all(hasattr(source, name) for name in ("dataset", "batch_size", "collate_fn"))


def from_loader(source: Any, name: str, *, as_items: AsItems) -> object:
    """Takes the data set of a loader, since order and batches are ours.

    Raises:
        DataError: It cannot be used as it is; the message says what to give.
    """
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


def _with_warning(source: Any, warning: str) -> ChosenItems:
    name = "data"
    return ChosenItems(
        items=[(source, index) for index in range(len(source))],
        targets=listed_labels(source, name),
        classes=class_names(source, name),
        warnings=(*getattr(source, "warnings", ()), warning),
    )


def is_subset(source: object) -> bool:
    """Whether an object is a Subset of PyTorch, by what it has."""
    return hasattr(source, "dataset") and hasattr(source, "indices")


def from_subset(source: Any, name: str, *, as_items: AsItems) -> ChosenItems:
    """Takes the items that a subset chooses.

    Raises:
        DataError: It cannot be used as it is; the message says what to give.
    """
    base: Any = as_items(source.dataset, f"{name}.dataset")
    rows = [int(index) for index in source.indices]
    labels = listed_labels(base, f"{name}.dataset")
    return ChosenItems(
        items=[(base, row) for row in rows],
        targets=None if labels is None else labels[rows],
        classes=class_names(base, f"{name}.dataset"),
        warnings=_warnings_of(base, name),
    )


def _warnings_of(base: object, name: str) -> tuple[str, ...]:
    if getattr(base, "target_transform", None) is not None and getattr(base, "classes", None) is not None:
        return (f"{name}: a target_transform changes its labels, so that .classes is left out",)
    return tuple(getattr(base, "warnings", ()))


def is_joined(source: object) -> bool:
    """Whether an object is a ConcatDataset of PyTorch, by what it has."""
    return hasattr(source, "datasets") and hasattr(source, "cumulative_sizes")


def from_joined(source: Any, name: str, *, as_items: AsItems) -> ChosenItems:
    """Takes the items of all parts, whose classes are brought together by name.

    Raises:
        DataError: It cannot be used as it is; the message says what to give.
    """
    parts: list[Any] = [as_items(part, f"{name}.datasets[{number}]") for number, part in enumerate(source.datasets)]
    places = [f"{name}.datasets[{number}]" for number in range(len(parts))]
    names = [class_names(part, place) for part, place in zip(parts, places, strict=True)]
    items = [(part, index) for part in parts for index in range(len(part))]
    warnings = tuple(warning for part in parts for warning in _warnings_of(part, name))
    if len(set(names)) == 1:
        listed = [listed_labels(part, place) for part, place in zip(parts, places, strict=True)]
        known = [labels for labels in listed if labels is not None]
        targets = np.concatenate(known) if len(known) == len(parts) else None
        return ChosenItems(items=items, targets=targets, classes=names[0], warnings=warnings)
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
    return ChosenItems(items=items, targets=np.concatenate(labels), classes=None, warnings=warnings)
