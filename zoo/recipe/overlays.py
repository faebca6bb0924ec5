"""Recipe values before validation, each with the place that it came from.

An overlay is what one file says. A child lies over its parents and an override over both; the place of a
value travels with it, so a fault always names the file and line, or the `--set`, that is to be changed.
"""

import re
from collections.abc import Iterator, Sequence
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
    """One thing that is wrong with a recipe.

    Attributes:
        location: Where it was written.
        found: What is wrong there.
        advice: What is expected, or what to type: a sentence of its own where it begins with a capital; may be empty.
        path: The value at fault; empty where it is the file or what an override says.
    """

    location: SourceLocation
    found: str
    advice: str = ""
    path: KeyPath = field(default=(), compare=False)

    @classmethod
    def of_message(cls, location: SourceLocation, message: str, path: KeyPath = ()) -> "Fault":
        """Makes a fault of a message in which the advice stands last."""
        found = _ADVICE.search(message)
        if found is None:
            return cls(location, message, path=path)
        return cls(location, message[: found.start()], message[found.end() :], path=path)

    @property
    def text(self) -> str:
        """The whole sentence, with a phase called as in the key of the override at fault."""
        if not self.advice:
            return self._as_typed(self.found)
        return f"{self._as_typed(self.found)}{'.' if self.advice[0].isupper() else ';'} {self.advice}"

    def __str__(self) -> str:
        return f"{self.location}: {self.text}"

    def _as_typed(self, text: str) -> str:
        section, _, rest = self.location.key.partition(".")
        name = rest.partition(".")[0]
        if section != "phases" or not name or name.isdecimal():
            return text
        return re.sub(r"\bphases\[\d+\]", lambda _: f"phases.{name}", text, count=1)


# Where the advice of a message begins: with a capital after a full stop, else after a semicolon.
_ADVICE = re.compile(
    r"\. (?=Did you mean |It has: |It is left out|There are: |The |See |Known)|; (?=expected |leave |write )"
)


class FaultsError(RecipeError):
    """A recipe with faults of which each is known by itself.

    Attributes:
        faults: Those that the message lists.
    """

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


# More are counted.
FAULTS_LISTED = 20


def recipe_error(faults: Sequence[Fault], *, unlisted: int = 0) -> FaultsError:
    """Returns the error that lists the first faults, one a line: of overrides as they were typed, then as in the file.

    Args:
        faults: What is wrong.
        unlisted: How many more there are.
    """
    in_order = sorted(faults, key=lambda fault: (as_typed(fault.location), fault))
    listed = in_order[:FAULTS_LISTED]
    lines = [printable(fault, at_most=LONGEST_LINE) for fault in listed]
    if more := len(in_order) - len(lines) + unlisted:
        lines.append(f"{more:,} more faults are not listed; correct these first")
    return FaultsError("\n".join(lines), listed)


def as_typed(location: SourceLocation) -> tuple[bool, int]:
    """Returns what puts overrides before files, in the order in which they were typed."""
    return not location.typed, location.typed


@dataclass(frozen=True)
class Overlay:
    """Raw values and their locations; the empty path is the location of the whole.

    Attributes:
        unread: Places whose values could not be read, and that nothing is missing from for that: the empty path where
            a whole file, or the rest of one, could not.
        faults: What is wrong with the lines of a file that was read.
    """

    values: dict[str, Any]
    locations: dict[KeyPath, SourceLocation]
    unread: frozenset[KeyPath] = frozenset()
    faults: tuple[Fault, ...] = ()

    def may_hold(self, path: KeyPath) -> bool:
        """Whether a value that is not there may stand in what could not be read."""
        return any(path[: len(place)] == place for place in self.unread)

    def location(self, path: KeyPath) -> SourceLocation:
        """Returns the location of a value, or of the nearest table around it."""
        while path not in self.locations:
            path = path[:-1]
        return self.locations[path]

    def over(self, base: "Overlay") -> "Overlay":
        """Lays this overlay over another: tables merge key by key, everything else replaces."""
        kept = {path: location for path, location in base.locations.items() if not _hides(self.values, path)}
        return Overlay(_merged(base.values, self.values), {**kept, **self.locations}, base.unread | self.unread)

    def without(self, *keys: str) -> "Overlay":
        """Returns the overlay less some of its top-level keys."""
        return Overlay(
            {key: value for key, value in self.values.items() if key not in keys},
            {path: location for path, location in self.locations.items() if not path or path[0] not in keys},
            self.unread,
        )

    def without_value(self, path: KeyPath) -> "Overlay":
        """Returns the overlay less one value, which could not be read."""
        return Overlay(_removed(self.values, path), self.locations, self.unread | {path})

    def with_value(self, path: KeyPath, value: Any, location: SourceLocation) -> "Overlay":
        """Returns the overlay with one value replaced; tables that are missing on the way are made."""
        kept = {known: place for known, place in self.locations.items() if known[: len(path)] != path}
        made = {path[:depth]: location for depth in range(1, len(path) + 1)}
        return Overlay(_replaced(self.values, path, value), {**made, **kept}, self.unread)


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


def _removed(container: Any, path: KeyPath) -> Any:
    if isinstance(container, list):
        return [_removed(item, path[1:]) if at == path[0] else item for at, item in enumerate(container)]
    if len(path) == 1:
        return {key: value for key, value in container.items() if key != path[0]}
    return {key: _removed(value, path[1:]) if key == path[0] else value for key, value in container.items()}


def _replaced(container: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(container, list):
        return [_replaced(item, rest, value) if at == key else item for at, item in enumerate(container)]
    return {**container, key: _replaced(container.get(key, {}), rest, value)}
