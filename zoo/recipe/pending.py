"""What the schema knows and this version does not do yet: refused, never ignored."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from zoo.recipe.overlays import KeyPath, tables

# Key -> what it may be now; a key that is not listed may be all that the schema allows.
# A text may hold a `*`. Delete a row once its feature is there.
AVAILABLE_NOW: dict[str, tuple[object, ...]] = {}


def pending_values(values: dict[str, Any]) -> Iterator[tuple[KeyPath, Any, tuple[object, ...]]]:
    """Yields the path, the value and what is available of every key that asks for a later feature."""
    for dotted, available in AVAILABLE_NOW.items():
        section, key = dotted.split(".")
        for path, table in tables(values, section):
            if key in table and not any(_is(table[key], choice) for choice in available):
                yield (*path, key), table[key], available


def _is(value: Any, choice: object) -> bool:
    if isinstance(choice, str) and isinstance(value, str):
        return fnmatchcase(value, choice)
    return value == choice
