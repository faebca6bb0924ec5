"""Objects of a JSON document as frozen dataclasses: read with every fault named by its key, and written back whole."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from zoo.errors import shown

# Of a field that stands in the document only where it has a value.
LEFT_OUT = {"if_none": "left_out"}
# Of a field whose own keys stand in the document around it.
FLAT = {"keys": "flat", **LEFT_OUT}

_EXPECTED = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """An object of a JSON document; a key is a field's name.

    Attributes:
        unknown: What it holds beside the fields, as a newer zoo wrote it.
    """

    unknown: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def to_json(self) -> dict[str, Any]:
        """Returns the object as plain data, in the order of the fields."""
        document: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "unknown" or (value is None and one.metadata.get("if_none")):
                continue
            document |= _plain(value) if one.metadata.get("keys") else {one.name: _plain(value)}
        return document | dict(self.unknown)


def _plain(value: Any) -> Any:
    if isinstance(value, JsonObject):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in cast("Mapping[str, Any]", value).items()}
    return [_plain(one) for one in cast("tuple[Any, ...]", value)] if isinstance(value, tuple) else value


class JsonObjectError(Exception):
    """A key that is missing or of another type: says which, what was found and what is expected."""


_O = TypeVar("_O", bound=JsonObject)


@cache
def _types_of(kind: type[JsonObject]) -> dict[str, Any]:
    return get_type_hints(kind)


def read_object(document: Mapping[str, Any], kind: type[_O], place: str = "") -> _O:
    """Makes an object from plain data.

    Args:
        document: The data, as `json.loads` gives it.
        kind: What it is to be. Fields with a default may be missing.
        place: Where in the whole document it stands.

    Raises:
        JsonObjectError: A key is missing, or of another type.
    """
    left, values = dict(document), dict[str, Any]()
    flat: dict[str, Any] = {}
    for one in fields(kind):
        hint, at = _types_of(kind)[one.name], f"{place}.{one.name}".lstrip(".")
        if one.metadata.get("keys"):
            flat[one.name] = hint
        elif one.name in left:
            values[one.name] = _value(left.pop(one.name), hint, at)
        elif one.default is MISSING and one.default_factory is MISSING:
            raise JsonObjectError(f"{at} is missing; expected {_words(hint)}")
    for name, hint in flat.items():
        values[name], left = _flat(left, hint, place)
    return kind(**values, unknown=left)


def _flat(left: dict[str, Any], hint: Any, place: str) -> tuple[Any, dict[str, Any]]:
    """Makes a field whose keys stand in the object around it; returns it, and the keys that are not its own."""
    own_kind = _without_none(hint)
    if not is_dataclass(own_kind):
        numbers = {key: value for key, value in left.items() if value is None or isinstance(value, int | float)}
        return numbers, {key: value for key, value in left.items() if key not in numbers}
    own = {one.name: left[one.name] for one in fields(own_kind) if one.name in left}
    left = {key: value for key, value in left.items() if key not in own}
    return (read_object(own, cast("type[JsonObject]", own_kind), place) if own else None), left


def _value(value: Any, hint: Any, place: str) -> Any:
    """Checks a value against the type of its field, and makes the objects in it."""
    kind = _without_none(hint)
    if value is None and kind is not hint:
        return None
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(value, list):
        items = cast("list[Any]", value)
        return tuple(_value(one, inner[0], f"{place}[{number}]") for number, one in enumerate(items))
    if origin is Mapping and isinstance(value, dict):
        return {key: _value(one, inner[1], f"{place}.{key}") for key, one in cast("dict[str, Any]", value).items()}
    if origin is Literal and value in inner:
        return value
    if is_dataclass(kind) and isinstance(value, dict):
        return read_object(cast("dict[str, Any]", value), cast("type[JsonObject]", kind), place)
    # A truth value is a number to Python, and a whole number is a number to JSON.
    fits = kind in _EXPECTED and isinstance(value, (int, float) if kind is float else kind)
    if fits and isinstance(value, bool) == (kind is bool):
        return value
    raise JsonObjectError(f"{place} is {shown(value)}; expected {_words(hint)}")


def _without_none(hint: Any) -> Any:
    """Returns the type of a field where it has a value."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    return next(one for one in get_args(hint) if one is not types.NoneType)


def _words(hint: Any) -> str:
    """Says in words what a field takes."""
    kind = _without_none(hint)
    if kind is not hint:
        return f"{_words(kind)} or null"
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    return _EXPECTED.get(kind, "a list" if get_origin(kind) is tuple else "an object")
