"""How values and the lines of recipes are written on the pages."""

import math
import re
from dataclasses import dataclass

from zoo.errors import printable

# Beyond, a text is cut in its middle; a recipe is shorter.
LONGEST_TEXT = 100_000
# Figures of which less is better; they are not shares either.
_LESS_IS_BETTER = re.compile(r"(^|_)(loss|error|ece|brier|nll)(_|$)")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(:\d{2}(\.\d+)?)?(Z|\+00:00)")
# Lines of a recipe that are told apart by colour: a table's header, and a dotted or quoted key before its value.
_HEADER = re.compile(r"\s*\[.*\]\s*")
_KEY = re.compile(r"""((?:[\w.-]|"[^"]*"|'[^']*')+\s*)(=.*)""")


def less_is_better(metric: str) -> bool:
    """Returns whether a metric is the better the lower it is, by its name."""
    return bool(_LESS_IS_BETTER.search(metric))


def figure(value: float | None, metric: str = "accuracy") -> str:
    """Writes a metric's value: a share as `91.2 %`, another with four digits, and `–` where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.4g}" if less_is_better(metric) else f"{100 * value:.1f} %"


def interval(bounds: tuple[float, float] | None, metric: str = "accuracy") -> str:
    """Writes a 95 % interval as `89.6 % to 92.5 %`, and `–` where there is none."""
    return "–" if bounds is None else f"{figure(bounds[0], metric)} to {figure(bounds[1], metric)}"


def duration(seconds: float | None) -> str:
    """Writes a time as `42 s`, `12 min 5 s` or `3 h 20 min`."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s" if minutes else f"{left} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def moment(text: str) -> str:
    """Writes a time in UTC as `2026-11-27 09:30 UTC`; of another text the beginning."""
    found = _TIME.fullmatch(text)
    return f"{found[1]} {found[2]} UTC" if found else brief(text, 24)


def whole(number: int | None) -> str:
    """Writes a whole number with separators, and `–` where there is none."""
    return "–" if number is None else f"{number:,}"


def size(count: int) -> str:
    """Writes bytes as `17.3 MB`."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count} bytes"


def shown(text: str) -> str:
    """Writes what others wrote for a page: marks that turn a text's direction are shown, and obeyed nowhere."""
    # A name may hold bytes that are not UTF-8.
    return printable(text, at_most=LONGEST_TEXT).encode("utf-8", "backslashreplace").decode("utf-8")


def brief(text: str, at_most: int) -> str:
    """Cuts a text at a length, with `…` at its end."""
    return text if len(text) <= at_most else f"{text[: at_most - 1]}…"


@dataclass(frozen=True, kw_only=True)
class TomlLine:
    """A line: its key or header, and the rest. What is joined is the line.

    Attributes:
        kind: `header`, `comment`, `key`, or `other` such as the inside of a list.
        name: The key; of other kinds empty.
        rest: What follows it.
    """

    kind: str
    name: str
    rest: str


def toml_lines(text: str) -> list[TomlLine]:
    """Divides a recipe; a line inside a text of several lines may be taken for a key, which only colours it."""
    return [_divided(line.replace("\t", "    ")) for line in text.rstrip("\n").split("\n")]


def _divided(line: str) -> TomlLine:
    if line.lstrip().startswith("#"):
        return TomlLine(kind="comment", name="", rest=line)
    if _HEADER.fullmatch(line):
        return TomlLine(kind="header", name="", rest=line)
    found = _KEY.fullmatch(line)
    return TomlLine(kind="key", name=found[1], rest=found[2]) if found else TomlLine(kind="other", name="", rest=line)
