"""card.json, checked value by value before anything is built from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from zoo.errors import DataError, ZooError, shown
from zoo.models.blueprint import Blueprint
from zoo.registry.arguments import MOST_CLASSES, check_dropout
from zoo.registry.fitting import ImageFit
from zoo.system.text_tables import hidden_sign

SCHEMA = 1
# As in recipes.
LONGEST_SIDE = 8192
# Of an image, all channels together: 256 MB as float32.
MOST_VALUES = 2**26
LONGEST_NAME = 1000


class CardError(ValueError):
    """A card that no zoo wrote; the message says which key, what was found and what is expected."""


@dataclass(frozen=True)
class SavedCard:
    """What card.json says.

    Attributes:
        blueprint: What rebuilds the graph.
        precision: The dtype policy it was saved in; empty in folders of versions that did not keep it.
        sha256: Of the file of numbers, in hex.
    """

    blueprint: Blueprint
    precision: str
    sha256: str


def parse_card(document: Mapping[str, Any]) -> SavedCard:
    """Reads a card from plain data.

    Raises:
        CardError: A key is missing, of another type, or out of range.
    """
    if document.get("schema", SCHEMA) != SCHEMA:
        raise CardError(f"schema is {shown(document['schema'])}; expected {SCHEMA}; use a newer zoo")
    licence = _value(document, "licence", dict, default={}).get("initial_weights")
    blueprint = Blueprint(
        architecture=read_name(document, "architecture"),
        input_shape=read_input_shape(document),
        classes=read_classes(document),
        weights=read_name(document, "weights"),
        dropout=_dropout(document),
        options=_value(document, "options", dict),
    )
    return SavedCard(
        replace(
            blueprint,
            own_fit=read_fit(_value(document, "preprocessing", dict)),
            own_licence=licence if isinstance(licence, str) else None,
        ),
        precision=_value(document, "precision", str, default=""),
        sha256=_value(document, "sha256", str, default=""),
    )


_WORDS = {str: "a text", dict: "an object", list: "a list"}


def _value(document: Mapping[str, Any], key: str, kind: type, default: Any = None) -> Any:
    if key not in document and default is None:
        raise CardError(f"{key} is missing; expected {_WORDS[kind]}")
    value = document.get(key, default)
    if not isinstance(value, kind):
        raise CardError(f"{key} is {shown(value)}; expected {_WORDS[kind]}")
    return value


def read_name(document: Mapping[str, Any], key: str) -> str:
    """Reads a name that a line can show.

    Raises:
        CardError: It is missing, or not a name.
    """
    name = _value(document, key, str)
    if not name or len(name) > LONGEST_NAME or hidden_sign(name):
        raise CardError(f"{key} is {shown(name)}; expected a name")
    return name


def read_input_shape(document: Mapping[str, Any]) -> tuple[int, ...]:
    """Reads `input_shape`.

    Raises:
        CardError: It is missing, not a shape, or larger than any image.
    """
    sizes = cast("list[Any]", _value(document, "input_shape", list))
    if not sizes or any(type(size) is not int or size < 1 for size in sizes):
        raise CardError(f"input_shape is {shown(sizes)}; expected positive whole numbers")
    if max(sizes) > LONGEST_SIDE or math.prod(sizes) > MOST_VALUES:
        limits = f"at most {LONGEST_SIDE} a side and {MOST_VALUES:,} values"
        raise CardError(f"input_shape is {shown(sizes)}; expected {limits}")
    return tuple(sizes)


def read_classes(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Reads `classes`.

    Raises:
        CardError: They are missing, too many, or not names that differ and that a line can show.
    """
    names = cast("list[Any]", _value(document, "classes", list))
    if not 2 <= len(names) <= MOST_CLASSES:
        raise CardError(f"classes has {len(names):,} names; expected 2 to {MOST_CLASSES:,}")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise CardError(f"classes holds {shown(name)}; expected texts")
        if hidden_sign(name) is not None:
            raise CardError(f"classes holds {shown(name)}; expected names that any line can show")
        if name in seen:
            raise CardError(f"classes holds {shown(name)} twice; expected different names")
        seen.add(name)
    return tuple(names)


def _dropout(document: Mapping[str, Any]) -> float | None:
    dropout = document.get("dropout")
    try:
        check_dropout(dropout)
    except ZooError:
        raise CardError(f"dropout is {shown(dropout)}; expected a number in [0, 1) or null") from None
    return dropout


def read_fit(preprocessing: Mapping[str, Any]) -> ImageFit:
    """Reads what a card says; one that is older than share, interpolation and white means the whole, bilinear.

    Raises:
        CardError: A value is of another type, or out of range.
    """
    share, white = preprocessing.get("crop_share", 1.0), preprocessing.get("white", 0)
    if not isinstance(share, int | float) or isinstance(share, bool):
        raise CardError(f"preprocessing.crop_share is {shown(share)}; expected a number")
    if type(white) is not int:
        raise CardError(f"preprocessing.white is {shown(white)}; expected a whole number")
    interpolation: Any = _value(preprocessing, "interpolation", str, default="bilinear")
    resize: Any = _value(preprocessing, "resize", str)
    try:
        return ImageFit(resize=resize, crop_share=share, interpolation=interpolation, white=white)
    except DataError as fault:
        raise CardError(f"preprocessing: {fault}".rstrip(".")) from None
