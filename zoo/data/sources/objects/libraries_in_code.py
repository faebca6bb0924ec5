"""Data sets of other libraries as objects in code: arrays, tf.data, Keras, PyTorch.

No library is imported for it: an object is known by what it has. What comes in batches is read into memory at once;
of a loader its data set is taken, since order and batches are ours.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np

from zoo.data.sources.objects.arrays_in_code import from_arrays, is_arrays
from zoo.data.sources.objects.batches_in_code import (
    from_keras_dataset,
    from_tf_dataset,
    is_keras_dataset,
    is_tf_dataset,
)
from zoo.data.sources.objects.torch_in_code import (
    from_joined,
    from_loader,
    from_subset,
    is_joined,
    is_loader,
    is_subset,
)
from zoo.errors import DataError


def as_splits(data: object, place: str) -> Mapping[str, object]:
    """Takes splits out of an object that holds several; others are what trains.

    Raises:
        DataError: Two objects whose meaning is not known.
    """
    if isinstance(data, Mapping):
        return cast("Mapping[str, object]", data)
    if isinstance(data, tuple) and len(cast("tuple[object, ...]", data)) in (2, 3):
        parts = cast("tuple[object, ...]", data)
        if all(is_arrays(part) for part in parts):  # as keras.datasets give them
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


# Everything else that is known, to be refused by name


def _is_without_index(source: object) -> bool:
    return isinstance(source, Iterable) and not hasattr(source, "__getitem__")


def _refuse_without_index(source: object, name: str) -> object:
    raise DataError(
        f"{name} is of type {type(source).__name__}, which only streams its items; expected an object with "
        f"len() that gives (image, label) for an index. Make a list of it: list(...), or give (x, y)."
    )


def _is_array(source: object) -> bool:
    return isinstance(source, np.ndarray) or (hasattr(source, "shape") and hasattr(source, "dtype"))


def _refuse_array(source: Any, name: str) -> object:
    raise DataError(f"{name} is an array {list(source.shape)} without labels; expected (x, y). Give both in a tuple.")


Kind = tuple[Callable[[object], bool], Callable[[Any, str], object]]
DATA_SETS: tuple[Kind, ...] = (
    (is_tf_dataset, from_tf_dataset),
    (is_keras_dataset, from_keras_dataset),
    (is_loader, lambda source, name: from_loader(source, name, as_items=as_items)),
    (is_subset, lambda source, name: from_subset(source, name, as_items=as_items)),
    (is_joined, lambda source, name: from_joined(source, name, as_items=as_items)),
)
KINDS: tuple[Kind, ...] = (
    (is_arrays, from_arrays),
    *DATA_SETS,
    (_is_array, _refuse_array),
    (_is_without_index, _refuse_without_index),
)
