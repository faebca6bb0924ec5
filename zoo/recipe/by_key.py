"""The values of a recipe by their dotted keys, defaults included: what each is, where it was written, what differs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from zoo.foreign.toml_documents import read_toml
from zoo.recipe.overlays import KeyPath, Overlay, SourceLocation


@dataclass(frozen=True, kw_only=True)
class RecipeValue:
    """A key of a resolved recipe.

    Attributes:
        key: As `--set` takes it: `phases.head.epochs`.
        value: Its value; an empty table is one too.
        location: Where it was written; None where it is the default.
    """

    key: str
    value: Any
    location: SourceLocation | None


@dataclass(frozen=True, kw_only=True)
class ValueDifference:
    """A key whose value two recipes have not in common.

    Attributes:
        key: As `--set` takes it.
        values: The value of each; `ABSENT` in a recipe that does not have the key.
    """

    key: str
    values: tuple[Any, Any]


class _Absent:
    def __repr__(self) -> str:
        return "not there"


ABSENT = _Absent()


def located_values(values: Mapping[str, Any], overlay: Overlay) -> list[RecipeValue]:
    """Lists the keys of a resolved recipe with the place that each value came from.

    Args:
        values: The recipe, as `Recipe.to_dict` gives it.
        overlay: What it was made of.
    """
    listed = [
        RecipeValue(key=key, value=value, location=overlay.location(path) if _holds(overlay.values, path) else None)
        for key, path, value in _walk(values)
    ]
    # What nothing is said of has no keys of its own: nothing is expected.
    return listed if "expect" in values else [*listed, RecipeValue(key="expect", value=None, location=None)]


def values_by_key(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a resolved recipe by dotted keys, in which phases go by their names."""
    return {key: value for key, _, value in _walk(values)}


def values_of_text(resolved: str) -> dict[str, Any]:
    """Reads the text of a resolved recipe, whatever keys another zoo knows.

    Raises:
        ValueError: It is not TOML, beyond the limits of a recipe, or a phase in it has no name.
    """
    values = read_toml(resolved)
    phases = values.get("phases", [])
    if not (isinstance(phases, list) and all(map(_has_name, cast("list[object]", phases)))):
        raise ValueError("phases are not tables with a name")
    return values


def _has_name(phase: object) -> bool:
    return isinstance(phase, dict) and isinstance(cast("dict[str, Any]", phase).get("name"), str)


def value_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[ValueDifference]:
    """Yields the keys in which two resolved recipes differ, phase by phase of the same name."""
    before, after = values_by_key(first), values_by_key(second)
    for key in dict.fromkeys((*before, *after)):
        values = (before.get(key, ABSENT), after.get(key, ABSENT))
        if values[0] != values[1] and not ({} in values and ABSENT in values):  # a table's keys say it
            yield ValueDifference(key=key, values=values)


def _walk(values: Mapping[str, Any], place: str = "", path: KeyPath = ()) -> Iterator[tuple[str, KeyPath, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _walk(cast("dict[str, Any]", value), f"{place}{name}.", (*path, name))
        elif name == "phases" and not path:
            for number, phase in enumerate(value):
                yield from _walk(phase, f"phases.{phase['name']}.", ("phases", number))
        else:
            yield f"{place}{name}", (*path, name), value


def _holds(values: Any, path: KeyPath) -> bool:
    for key in path:
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            return False
    return True
