"""What objects of other libraries know of their labels: the classes' names, and the label of each item."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from zoo.data.dataset import quoted
from zoo.errors import DataError


@runtime_checkable
class LabelledImages(Protocol):
    """What `zoo.finetune(..., data=...)` takes besides a path, as the datasets of PyTorch are.

    An item is (image, label). An image is uint8[height, width] or uint8[height, width, channels] in [0, 255], a Pillow
    image, or the path of a file. A label is a class's name, its index, or a one-hot row: into `.classes` where the
    object has that list of names. Where it has `.targets` or `.labels`, one for each item, labels are taken from there.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any:
        """Returns (image, label)."""
        ...


def class_names(source: object, name: str) -> tuple[str, ...] | None:
    """Returns the names in the order of the labels that an object says: `.classes`, `.class_names`, `.class_to_idx`.

    Raises:
        DataError: Something else than names is there.
    """
    if _relabels(source):
        return None
    for attribute in ("classes", "class_names"):
        classes = getattr(source, attribute, None)
        if classes is not None:
            if isinstance(classes, str) or not all(isinstance(one, str) for one in classes):
                raise DataError(
                    f"{name}.{attribute} is {classes!r:.60}; expected the names of the classes, such as ['cat', 'dog']."
                )
            return tuple(str(one) for one in classes)
    numbered = getattr(source, "class_to_idx", None)
    if isinstance(numbered, Mapping):
        by_name = cast("Mapping[str, int]", numbered)
        return tuple(sorted(by_name, key=lambda one: by_name[one]))
    return None


def _relabels(source: object) -> bool:
    """Whether an object, as those of torchvision, changes its labels when an item is asked for."""
    return getattr(source, "target_transform", None) is not None


def listed_labels(source: object, name: str) -> np.ndarray | None:
    """Returns the labels that an object lists in `.targets` or `.labels`; None where only its items know them.

    Raises:
        DataError: There are more or fewer than items.
    """
    if _relabels(source):
        return None
    count = len(cast("LabelledImages", source))
    for attribute in ("targets", "labels"):
        listed = getattr(source, attribute, None)
        if listed is not None:
            labels = np.asarray(listed)
            if labels.ndim == 0 or len(labels) != count:
                raise DataError(
                    f"{name}.{attribute} has {labels.size} labels, and {name} has {count} items; "
                    "expected as many. Take both from one place."
                )
            return labels
    return None


def labels_of(source: LabelledImages, name: str) -> np.ndarray:
    """Returns the label of each item; looks at each once where no list says them.

    Returns:
        int[n] or str[n] as they are, or one-hot rows [n, classes].

    Raises:
        DataError: Items that are not (image, label), or labels that are neither names nor indices.
    """
    listed = listed_labels(source, name)
    if listed is not None:
        return listed
    labels = [_plain(pair_of(source, index, name)[1]) for index in range(len(source))]
    if all(isinstance(label, np.ndarray) for label in labels):
        widths = {label.shape for label in labels}
        if len(widths) == 1:
            return np.stack(labels)
        raise DataError(f"{name}: labels have the shapes {quoted(sorted(widths))}; expected one, such as one-hot rows.")
    for index, label in enumerate(labels):
        if type(label) not in (int, str):
            raise DataError(f"{name}[{index}]: the label is {label!r:.60}; expected a class's name or its index.")
    at = next((index for index, label in enumerate(labels) if type(label) is not type(labels[0])), None)
    if at is not None:
        raise DataError(
            f"{name}[{at}]: the label is {labels[at]!r}, and that of {name}[0] is {labels[0]!r}; expected names or "
            "numbers throughout."
        )
    return np.asarray(labels)


def _plain(label: Any) -> Any:
    """Takes a number out of an array or a tensor of one; makes a row an array."""
    if isinstance(label, str | bytes | int | float) or label is None:
        return label
    if isinstance(label, list | tuple) or getattr(label, "ndim", 0):
        array = np.asarray(cast("Any", label))
        is_row = array.size > 1 and array.ndim == 1 and array.dtype.kind in "biuf"
        return array if is_row else array.item() if array.size == 1 else cast("Any", label)
    return label.item() if hasattr(label, "item") and getattr(label, "size", 1) == 1 else label


def named(labels: np.ndarray, classes: Sequence[str] | None, name: str) -> np.ndarray:
    """Turns indices into an object's own classes, or one-hot rows of them, into their names.

    Raises:
        DataError: An index or a row that names no class.
    """
    if classes is None:
        return labels
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf":
        if labels.shape[1] != len(classes):
            raise DataError(
                f"{name}: has one-hot labels of {labels.shape[1]} classes, and {len(classes)} names; expected as many."
            )
        # Other rows than one-hot ones are refused by whoever reads the labels.
        is_one_hot = bool(np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis=1) == 1))
        return np.array(classes)[labels.argmax(axis=1)] if is_one_hot else labels
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "f" and bool(np.all(labels == np.rint(labels))):
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        return labels
    if outside := sorted({int(label) for label in labels if not 0 <= label < len(classes)}):
        raise DataError(
            f"{name}: has the labels {quoted(outside)}; expected 0 to {len(classes) - 1}, one for each of its classes."
        )
    return np.array(classes)[labels]


def pair_of(source: LabelledImages, index: int, name: str) -> tuple[Any, Any]:
    """Returns an item's image and label.

    Raises:
        DataError: It is something else.
    """
    item = source[index]
    if not isinstance(item, tuple | list) or len(cast("Sequence[Any]", item)) != 2:
        raise DataError(f"{name}[{index}] is of type {type(item).__name__}; expected (image, label).")
    image, label = cast("Sequence[Any]", item)
    return image, label
