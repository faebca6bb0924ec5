"""Tables and lines as plain text, as wide as the screen and no wider, for terminals and for messages."""

import os
import re
import shutil
from collections.abc import Collection, Sequence
from typing import TextIO

from zoo.errors import printable

# No screen is taken to be narrower; what does not fit there wraps.
NARROWEST = 20


def without_controls(text: str) -> str:
    """Escapes what a terminal would obey, in lines that may hold names of files and classes; ends of lines stay."""
    if text.isprintable():
        return text
    return "\n".join(
        "\t".join(printable(part, at_most=6 * len(part)) for part in line.split("\t")) for line in text.split("\n")
    )


# Invisible signs that some languages and emoji need inside words.
JOINERS = "\u200c\u200d"


def hidden_sign(name: str) -> str | None:
    """Returns the first sign of a name that no line of a report can show: control, direction or invisible."""
    if name.isascii() and name.isprintable():
        return None
    import unicodedata  # here, because few names need its tables

    for sign in name:
        if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") and sign not in JOINERS:
            return sign
    return None


def counted(count: int, noun: str) -> str:
    """Writes `1 image` or `1,234 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def of_these(count: int, total: int) -> str:
    """Writes `2 of these 10 images`, and `this image` for the only one."""
    return "this image" if count == total == 1 else f"{count:,} of these {counted(total, 'image')}"


def cells(text: str) -> int:
    """Counts the columns of a terminal that a text takes: two for a letter of the East, none for a mark on another."""
    if text.isascii():
        return len(text)
    import unicodedata  # here, because few texts need its tables

    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def cut(text: str, room: int) -> str:
    """Returns the beginning of a text where it takes more columns than there is room for."""
    if cells(text) <= room:
        return text
    kept = text[: room - 3]
    while cells(kept) > room - 3:
        kept = kept[:-1]
    return f"{kept}..."


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - cells(text))
    return space + text if right else text + space


def screen_width(stream: TextIO | None) -> int | None:
    """Returns how many columns a stream shows, or None where nothing needs to fit: in a pipe or a file.

    `COLUMNS` in the environment asks for a width, whatever the stream is.
    """
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return max(int(asked), NARROWEST)
    try:
        on_terminal = stream is not None and stream.isatty()
    except ValueError:  # closed
        return None
    return max(shutil.get_terminal_size().columns, NARROWEST) if on_terminal else None


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    width: int | None = None,
    spare: Sequence[int] = (),
) -> str:
    """Aligns columns by spaces.

    Args:
        header: A title per column.
        rows: A text per column, of which long ones are cut.
        right: Columns that are aligned to the right.
        width: The columns of the screen; None lets lines be as long as they are.
        spare: Which table columns to leave out, one after the other, until the lines fit.
    """
    lines = [header, *([printable(text) for text in row] for row in rows)]
    widths = [max(cells(line[column]) for line in lines) for column in range(len(header))]
    shown = list(range(len(header)))
    for column in spare:
        if width is None or _total(widths, shown) <= width:
            break
        shown.remove(column)
    return "\n".join(
        "  ".join(_padded(line[column], widths[column], right=column in right) for column in shown).rstrip()
        for line in lines
    ) + _left_out([header[column] for column in range(len(header)) if column not in shown])


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[column] for column in shown) + 2 * (len(shown) - 1)


def _left_out(titles: Sequence[str]) -> str:
    named = [title for title in titles if title]
    return f"\n({', '.join(named)}: on a wider screen, or with --json)" if named else ""


def fold(text: str, width: int | None, *, indent: str = "  ") -> str:
    """Breaks lines that are wider than the screen between words; what follows is indented.

    Args:
        text: One or more lines.
        width: The columns of the screen; None leaves the text as it is.
        indent: What the lines that follow a broken one begin with, besides the broken line's own indentation.
    """
    if width is None:
        return text
    return "\n".join(_folded(line, width, indent) for line in text.split("\n"))


def _folded(line: str, width: int, indent: str) -> str:
    if cells(line) <= width:
        return line
    words = line.split()
    own = line[: len(line) - len(line.lstrip())]
    lines: list[str] = []
    current = own
    # The spaces inside a line stay as they are, since columns are made of them.
    for space, word in zip([own, *re.findall(r"(?<=\S)\s+(?=\S)", line)], words, strict=True):
        if current.strip() and cells(current) + cells(space) + cells(word) > width:
            lines.append(current)
            current = own + indent + word
        else:
            current = own + word if not current.strip() else current + space + word
    return "\n".join([*lines, current])


def beside(label: str, text: str, *, column: int, width: int | None) -> str:
    """Writes a label and, from a column on, a text that is folded below itself."""
    head = _padded(label, column, right=False)
    if width is None or cells(head) + cells(text) <= width:
        return f"{head}{text}".rstrip()
    if width - column < max(NARROWEST, *map(cells, text.split()), 0):
        return fold(f"{label}  {text}", width, indent="    ")
    first, *others = fold(text, width - column, indent="").split("\n")
    return "\n".join([head + first, *(" " * column + line for line in others)])
