"""What the schema knows and this version does not do yet: refused, never ignored."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from zoo.recipe.layers import KeyPath, tables

# Key -> what it may be now; a key that is not listed may be all that the schema allows.
# A text may hold a `*`, and a type stands for all of its values. Delete a row once its feature is there.
AVAILABLE_NOW: dict[str, tuple[object, ...]] = {
    "data.source": ("folder", "npz", "idx", "builtin:*"),
    "data.group": ("",),
    "augment.crop": (0.0,),
    "augment.color": (0.0,),
    "augment.erasing": (0.0,),
    "augment.policy": ("none",),
    "augment.views": (0,),
    "train.batch_size": (int,),
    "train.deterministic": (False,),
    "train.on_save_error": ("stop",),
    "checkpoint.every": ("epoch",),
}

TYPE_WORDS: dict[type, str] = {int: "a whole number"}
"""What a type in the table is, for messages."""


def pending_values(values: dict[str, Any]) -> Iterator[tuple[KeyPath, Any, tuple[object, ...]]]:
    """Yields the path, the value and what is available of every key that asks for a later feature."""
    for dotted, available in AVAILABLE_NOW.items():
        section, key = dotted.split(".")
        for path, table in tables(values, section):
            if key in table and not any(_is(table[key], choice) for choice in available):
                yield (*path, key), table[key], available


def _is(value: Any, choice: object) -> bool:
    if isinstance(choice, type):
        return isinstance(value, choice)
    if isinstance(choice, str) and isinstance(value, str):
        return fnmatchcase(value, choice)
    return value == choice
