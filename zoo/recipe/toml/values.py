"""What TOML can hold: the values of a text on the command line, and those that a caller gives in place of one."""

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.foreign.toml_documents import DEEPEST, read_toml
from zoo.recipe.overlays import KeyPath

# TOML's whole numbers have 64 bits; tomllib reads longer ones, which nothing here can write down.
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def toml_value(text: str) -> Any:
    """Reads a text as a TOML value, or as a bare string where it is none, or one that no recipe may hold."""
    document = f"value = {text}"
    try:
        read = read_toml(document)
    except ValueError:  # also Python's own, of integers of too many digits
        return text
    return read["value"] if len(read) == 1 else text


def unfit_values(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yields the path of each value that no recipe can hold, and a sentence that says why."""
    if len(path) > 2 * DEEPEST:
        yield path[:1], f"more than {DEEPEST} values are nested in one another; expected fewer"
    elif isinstance(value, Mapping):
        for key, inside in value.items():
            yield from unfit_values(inside, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inside in enumerate(value):
            yield from unfit_values(inside, (*path, index))
    elif isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        yield path, f"a whole number has {value.bit_length():,} bits; expected at most 64"
