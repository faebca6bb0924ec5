"""What `zoo.build` is asked for, checked: classes, the input's shape, the dropout rate, and names of options."""

import math
import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.errors import NotFoundError, ZooError, did_you_mean, shown
from zoo.registry import Card

MOST_CLASSES = 1_000_000
MOST_VALUES = 2**31
# What other libraries call it, and what to write here.
ELSEWHERE = {
    "num_classes": "classes=10",
    "n_classes": "classes=10",
    "nb_classes": "classes=10",
    "num_labels": "classes=10",
    "class_names": "classes=['cat', 'dog']",
    "pretrained": "weights='default', or weights=None for random ones",
    "checkpoint_path": "weights='path/of/file.safetensors'",
    "in_chans": "input_shape=(height, width, channels)",
    "in_channels": "input_shape=(height, width, channels)",
    "channels": "input_shape=(height, width, channels)",
    "img_size": "input_shape=(height, width, channels)",
    "image_size": "input_shape=(height, width, channels)",
    "input_size": "input_shape=(height, width, channels)",
    "input_tensor": "input_shape=(height, width, channels), and call the model on the tensor",
    "drop_rate": "dropout=0.2",
    "dropout_rate": "dropout=0.2",
    "dtype": "precision='float32'",
    "policy": "precision='float32'",
    "dtype_policy": "precision='float32'",
    "include_top": "classes= for a new head, or zoo.features(model, images) for what comes before it",
    "features_only": "zoo.features(model, images, at='stage3', pooling=None)",
    "pooling": "zoo.features(model, images, pooling='avg')",
    "global_pool": "zoo.features(model, images, pooling='avg')",
    "classifier_activation": "nothing: the model gives probabilities",
    "trainable": "zoo.freeze(model) after building",
}


def class_names(classes: object) -> tuple[str, ...]:
    """Returns the names of classes in the order of the probabilities.

    Args:
        classes: Their number; or their names as a list, a tuple, an array, or a dict from number to name.

    Raises:
        ZooError: It is something else, or has fewer than two classes or one of them twice.
    """
    number = _whole_number(classes)
    if number is not None:
        if not 2 <= number <= MOST_CLASSES:
            raise _unlike(classes, f"two or more different classes, at most {MOST_CLASSES:,}" if number > 2 else _TWO)
        return tuple(map(str, range(number)))
    names = _in_order(classes)
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise _unlike(classes, f"names as texts; {shown(wrong[0])} is not one")
    if len(names) < 2 or len(set(names)) != len(names):
        raise _unlike(classes, _TWO)
    return tuple(str(name) for name in names)


_TWO = "two or more different classes"


def _in_order(classes: object) -> list[Any]:
    if isinstance(classes, set | frozenset):
        raise ZooError(
            f"build: classes is {shown(classes)}; a set has another order in each process; "
            "expected a list, such as sorted(names)"
        )
    if isinstance(classes, Mapping):
        if sorted(classes, key=repr) != sorted(range(len(classes)), key=repr) or True in map(_is_bool, classes):
            raise _unlike(classes, "of a dict the numbers 0, 1, ... as keys and the names as values")
        return [classes[number] for number in range(len(classes))]
    listed = _plain(classes)
    if isinstance(listed, str) and not isinstance(classes, str):
        listed = None
    if isinstance(listed, str):
        raise _unlike(classes, _TWO)
    if not isinstance(listed, Sequence) or isinstance(listed, bytes | bytearray | memoryview):
        raise _unlike(classes, "a number of classes, or a list of their names in order")
    return list(listed)


def _plain(value: Any) -> Any:
    # Arrays of NumPy and columns of pandas are not sequences to Python.
    return value.tolist() if hasattr(value, "tolist") else value


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _unlike(classes: object, expected: str) -> ZooError:
    return ZooError(f"build: classes is {shown(classes)}; expected {expected}")


def _whole_number(value: object) -> int | None:
    """Reads an integer of Python or NumPy; a bool is none, though Python says so."""
    if isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type] # it raises for what is not an integer
    except (TypeError, ValueError):
        return None


def input_sizes(input_shape: object, card: Card) -> tuple[int, ...]:
    """Returns the input's height, width and channels as Python's integers.

    Args:
        input_shape: A tuple, list or array of whole numbers.
        card: Whose model is asked for.

    Raises:
        ZooError: It is something else, or the model cannot be built for it.
    """
    place = f"build: input_shape is {shown(input_shape)}"
    listed = _plain(input_shape)
    if not isinstance(listed, tuple | list):
        example = f"{(*[_whole_number(input_shape)] * (len(card.input_shape) - 1), card.input_shape[-1])}"
        hint = f"; write input_shape={example}" if _whole_number(input_shape) is not None else ""
        raise ZooError(f"{place}; expected {len(card.input_shape)} sizes as in {card.input_shape}{hint}")
    sizes = [_whole_number(size) for size in listed]
    whole = [size for size in sizes if size is not None and size > 0]
    if len(whole) != len(sizes) or len(sizes) != len(card.input_shape):
        is_open = any(size is None for size in listed)
        left_open = "; a size cannot be left open (None): photos are brought to one size" if is_open else ""
        raise ZooError(
            f"{place}; model '{card.name}' expects {len(card.input_shape)} positive sizes as in {card.input_shape}"
            f"{left_open}"
        )
    *sides, channels = whole
    if len(whole) == 3 and whole[0] in (1, 3) and whole[1] == whole[2] > 4:
        raise ZooError(
            f"{place}, channels first; model '{card.name}' expects height, width and channels; "
            f"write input_shape=({channels}, {channels}, {whole[0]})"
        )
    if math.prod(whole) >= MOST_VALUES:
        raise ZooError(f"{place}, {math.prod(whole):,} values an image; expected fewer than {MOST_VALUES:,}")
    if min(sides) < card.min_size:
        raise ZooError(
            f"{place}; the smallest input of model '{card.name}' is {'x'.join([str(card.min_size)] * len(sides))}"
        )
    if takes_rgb(card) and channels == 2:
        raise ZooError(f"{place}; model '{card.name}' expects 1 channel (grey), 3 (RGB) or more (RGB and others)")
    return tuple(whole)


def takes_rgb(card: Card) -> bool:
    """Returns whether a model is one of colour photos."""
    return len(card.input_shape) == 3 and card.input_shape[-1] == 3


def checked_options(options: Mapping[str, object], card: Card) -> dict[str, object]:
    """Returns a family's options as Python's own values.

    Raises:
        NotFoundError: The family does not have one; the message says what it is called here, or what is near.
        ZooError: One has a value of another kind than its default.
    """
    unknown = next((option for option in options if option not in card.options), None)
    if unknown is not None:
        known = ", ".join(card.options) or "none"
        arguments = ("classes", "input_shape", "weights", "precision", "dropout", *card.options)
        hint = f" Write {ELSEWHERE[unknown]}." if unknown in ELSEWHERE else did_you_mean(unknown, arguments)
        raise NotFoundError(f"Unknown option '{unknown}' for model '{card.name}'.{hint} It has: {known}.")
    return {name: _like(value, card.options[name], name, card) for name, value in options.items()}


def _like(value: Any, default: object, name: str, card: Card) -> object:
    """Reads an option's value, which has to be of the kind of its default; None as a default says no kind."""
    plain = value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
    if isinstance(default, bool):
        fits = isinstance(plain, bool)
    elif isinstance(default, int | float):
        fits = isinstance(plain, int | float) and not isinstance(plain, bool) and math.isfinite(plain)
    elif isinstance(default, str):
        plain = os.fspath(plain) if isinstance(plain, os.PathLike) else plain
        fits = isinstance(plain, str)
    else:
        fits = True
    if not fits:
        raise ZooError(
            f"build: option {name} of model '{card.name}' is {shown(value)}; expected a value such as its "
            f"default, {default!r}"
        )
    return plain


def check_dropout(dropout: object) -> None:
    """Refuses a rate that is none.

    Raises:
        ZooError: It is not a number in [0, 1).
    """
    if dropout is None:
        return
    number = dropout if isinstance(dropout, int | float) and not isinstance(dropout, bool) else None
    if hasattr(dropout, "item") and _is_scalar(dropout):
        number = float(dropout.item())  # type: ignore[attr-defined] # a number of NumPy
    if number is None or math.isnan(number) or not 0 <= number < 1:
        raise ZooError(f"build: dropout is {shown(dropout)}; expected a rate from 0 up to 1, or None")


def _is_scalar(value: Any) -> bool:
    return getattr(value, "shape", None) == () and getattr(getattr(value, "dtype", None), "kind", "") in "fiu"


def check_weights(weights: object) -> None:
    """Refuses what names no weights.

    Raises:
        ZooError: It is not a text, a path or None.
    """
    if weights is not None and not isinstance(weights, str | os.PathLike):
        raise ZooError(
            f"build: weights is {shown(weights)}; expected 'default', the name of a set, a file or folder, "
            "or None for random ones"
        )
