"""What can be read of a text that is TOML but for some lines, and what is wrong with those.

`tomllib` stops at the first fault. Where that is in the value of one line, the line is passed over and the rest is
read; so it is where brackets of a table's header are missing, as if they were there. Else what stands before is read.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import printable
from zoo.recipe.overlays import KeyPath

# Each is a reading of the whole text; who writes a longer one gets the first fault alone.
MOST_READINGS, MOST_LETTERS = 20, 100_000
# Stands for a value that cannot be read; of private use, so that no text holds it.
_UNREADABLE = "\ue000unreadable"
_LINE_OF_A_KEY = re.compile(r"\s*([A-Za-z0-9_.\-]+|\"[^\"\\]+\"|'[^']+')\s*=(.*)", re.DOTALL)

# The only list of tables in a recipe.
LIST_OF_TABLES = "phases"
_LIKE_A_HEADER = re.compile(r"\s*(\[{0,2})\s*([A-Za-z0-9_.\-]+)\s*(\]{0,2})\s*(?:#.*)?")


@dataclass(frozen=True, kw_only=True)
class SyntaxFault:
    """What is not TOML.

    Attributes:
        line: Where, counted from 1.
        found: What is wrong.
        advice: What to write; may be empty.
        has_place: Whether it is known where.
    """

    line: int
    found: str
    advice: str = ""
    has_place: bool = True


@dataclass(kw_only=True)
class PartlyRead:
    """What was read of a text.

    Attributes:
        text: The lines that were read, each where it stood.
        values: None where nothing could be.
        faults: What could not be read.
        unread: The keys of those lines; the empty path where all that follows a line could not be read.
    """

    text: str
    values: dict[str, Any] | None = None
    faults: list[SyntaxFault] = field(default_factory=list[SyntaxFault])
    unread: list[KeyPath] = field(default_factory=list[KeyPath])


def parse_what_can_be_read(text: str) -> PartlyRead:
    """Reads a text of TOML.

    Raises:
        RecursionError: It nests too deeply.
    """
    read = PartlyRead(text=text)
    for _ in range(MOST_READINGS if len(text) <= MOST_LETTERS else 1):
        try:
            values = tomllib.loads(read.text)
        except ValueError as error:  # TOML errors, and Python's for integers of too many digits
            fault = _fault(read.text, str(error))
            is_known = any(one.line == fault.line for one in read.faults)
            if not is_known:
                read.faults.append(fault)
            if not fault.has_place or len(text) > MOST_LETTERS:
                return read
            without = _without_line(read.text, fault.line, again=is_known)
            if without is None:
                return _before(read, fault.line)
            read.text = without
        else:
            read.unread += list(_places_of_unreadable(values))
            read.values = _readable(values)
            return read
    return read


def _before(read: PartlyRead, line: int) -> PartlyRead:
    """Reads the lines before one, or before the value that it stands in; of the rest nothing is known."""
    lines = read.text.split("\n")
    for end in range(line - 1, max(line - MOST_READINGS, 0), -1):
        values = _parsed(lines[:end])
        if values is not None:
            read.text = "\n".join(lines[:end])
            read.unread += [*_places_of_unreadable(values), ()]
            read.values = _readable(values)
            break
    return read


def _parsed(lines: list[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines))
    except ValueError:
        return None


def _without_line(text: str, number: int, *, again: bool) -> str | None:
    """Returns the text with a line made readable: its value, or the brackets of a header; or the line left out.

    Returns None where the fault is not one of the line's own value.
    """
    lines = text.split("\n")
    line = lines[number - 1]
    if (header := _header(line)) is not None:
        lines[number - 1] = header
        return None if again else "\n".join(lines)
    found = _LINE_OF_A_KEY.match(line)
    if found is None or not _stands_alone(found[2]) or (again and not line.endswith(f'"{_UNREADABLE}"')):
        return None
    if not again and _parsed(lines[: number - 1]) is None:
        return None  # it is inside a value that began before
    lines[number - 1] = "" if again else f'{found[1]} = "{_UNREADABLE}"'
    return "\n".join(lines)


def _header(line: str) -> str | None:
    """Returns the header of a table that a line would be with the right brackets; None where it is not nearly one."""
    found = _LIKE_A_HEADER.fullmatch(line)
    if found is None or len(found[1]) == len(found[3]):
        return None
    brackets = 2 if found[2] == LIST_OF_TABLES else 1
    return f"{'[' * brackets}{found[2]}{']' * brackets}"


def _stands_alone(value: str) -> bool:
    """Whether a value begins and ends on its line, as far as brackets and quotes show."""
    if '"""' in value or "'''" in value:
        return False
    return all(value.count(begin) == value.count(end) for begin, end in ("[]", "{}"))


def _places_of_unreadable(values: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    inside = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inside:
        if value == _UNREADABLE:
            yield (*path, key)
        else:
            yield from _places_of_unreadable(value, (*path, key))


def _readable(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _readable(value) for key, value in values.items() if value != _UNREADABLE}
    return [_readable(one) for one in values] if isinstance(values, list) else values


def _fault(text: str, message: str) -> SyntaxFault:
    """Takes the line out of tomllib's `... (at line 3, column 7)`."""
    what, _, place = message.partition(" (at ")
    found = re.match(r"line (\d+), (column \d+)", place)
    line = int(found[1]) if found else text.count("\n") + 1
    where = f" at {found[2]}" if found else " at the end of the file" if place else ""
    advice = _advice(text.split("\n")[line - 1] if found else text.rstrip("\n").rpartition("\n")[2])
    if "overwrite" in what or "twice" in what:
        advice = "expected each key and each [SECTION] once"
    return SyntaxFault(line=line, found=f"not TOML{where}: {printable(what)}", advice=advice, has_place=bool(place))


# What other languages write -> TOML.
_WORDS = {"True": "true", "False": "false", "yes": "true", "no": "false", "None": '"none"', "null": '"none"'}


def _advice(line: str) -> str:
    """Says what could stand on a line that is not TOML."""
    if (header := _header(line)) is not None:
        return f"write {header}"
    found = _LINE_OF_A_KEY.match(line)
    if found is None:
        return "expected [SECTION], [[phases]] or KEY = VALUE"
    word = re.fullmatch(r"\s*([A-Za-z_][A-Za-z0-9_./+:-]*)\s*(?:#.*)?", found[2])
    if word is None:
        return "expected a number, true, false, a list, or a text in quotes"
    return f"write {found[1]} = {_WORDS.get(word[1]) or chr(34) + word[1] + chr(34)}"
