"""Recipe values before validation, each with the place that it came from.

An overlay is what one file says. A child lies over its parents and an override over both; the place of a
value travels with it, so a fault always names the file and line, or the `--set`, that is to be changed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import LONGEST_LINE, RecipeError, printable

KeyPath = tuple[str | int, ...]
"""Where a value sits: `("phases", 1, "learning_rate")`."""


@dataclass(frozen=True, order=True)
class SourceLocation:
    """Where a value was written: a file and a line counted from 1, or an override without a line.

    Attributes:
        source: The file as it is typed, or `--set KEY`.
        line: In a file, else 0.
        typed: Which of the overrides that were typed it is, counted from 1; 0 for a file.
        key: The dotted key of an override, also of one in a file's `[set]`, in which a phase may go by its name.
    """

    source: str
    line: int = 0
    typed: int = field(default=0, compare=False)
    key: str = field(default="", compare=False)

    def __str__(self) -> str:
        source = printable(self.source)
        return f"{source}:{self.line}" if self.line else source


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong with a recipe."""

    location: SourceLocation
    text: str

    def __str__(self) -> str:
        return f"{self.location}: {self._as_typed()}"

    def _as_typed(self) -> str:
        """Returns the text with the phase called as in the key of the override at fault."""
        section, _, rest = self.location.key.partition(".")
        name = rest.partition(".")[0]
        if section != "phases" or not name or name.isdecimal():
            return self.text
        return re.sub(r"\bphases\[\d+\]", lambda _: f"phases.{name}", self.text, count=1)


# More are counted.
FAULTS_LISTED = 20


def recipe_error(faults: list[Fault], *, unlisted: int = 0) -> RecipeError:
    """Returns the error that lists the first faults, one a line: of overrides as they were typed, then as in the file.

    Args:
        faults: What is wrong.
        unlisted: How many more there are.
    """
    in_order = sorted(faults, key=lambda fault: (as_typed(fault.location), fault))
    lines = [printable(fault, at_most=LONGEST_LINE) for fault in in_order[:FAULTS_LISTED]]
    if more := len(in_order) - len(lines) + unlisted:
        lines.append(f"{more:,} more faults are not listed; correct these first")
    return RecipeError("\n".join(lines))


def as_typed(location: SourceLocation) -> tuple[bool, int]:
    """Returns what puts overrides before files, in the order in which they were typed."""
    return not location.typed, location.typed


@dataclass(frozen=True)
class Overlay:
    """Raw values and their locations; the empty path is the location of the whole."""

    values: dict[str, Any]
    locations: dict[KeyPath, SourceLocation]

    def location(self, path: KeyPath) -> SourceLocation:
        """Returns the location of a value, or of the nearest table around it."""
        while path not in self.locations:
            path = path[:-1]
        return self.locations[path]

    def over(self, base: "Overlay") -> "Overlay":
        """Lays this overlay over another: tables merge key by key, everything else replaces."""
        kept = {path: location for path, location in base.locations.items() if not _hides(self.values, path)}
        return Overlay(_merged(base.values, self.values), {**kept, **self.locations})

    def without(self, *keys: str) -> "Overlay":
        """Returns the overlay less some of its top-level keys."""
        return Overlay(
            {key: value for key, value in self.values.items() if key not in keys},
            {path: location for path, location in self.locations.items() if not path or path[0] not in keys},
        )

    def with_value(self, path: KeyPath, value: Any, location: SourceLocation) -> "Overlay":
        """Returns the overlay with one value replaced; tables that are missing on the way are made."""
        kept = {known: place for known, place in self.locations.items() if known[: len(path)] != path}
        made = {path[:depth]: location for depth in range(1, len(path) + 1)}
        return Overlay(_replaced(self.values, path, value), {**made, **kept})


def tables(values: dict[str, Any], section: str) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yields the table of a section, or each table of a list such as `phases`, with its path."""
    found = values.get(section)
    if isinstance(found, dict):
        yield (section,), found
    elif isinstance(found, list):
        for index, table in enumerate(found):
            if isinstance(table, dict):
                yield (section, index), table


def _merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = {**base, **top}
    for key in base.keys() & top.keys():
        if isinstance(base[key], dict) and isinstance(top[key], dict):
            merged[key] = _merged(base[key], top[key])
    return merged


def _hides(values: Any, path: KeyPath) -> bool:
    for key in path:
        if not isinstance(values, dict):
            return True
        if key not in values:
            return False
        values = values[key]
    return True


def _replaced(container: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(container, list):
        return [_replaced(item, rest, value) if at == key else item for at, item in enumerate(container)]
    return {**container, key: _replaced(container.get(key, {}), rest, value)}
