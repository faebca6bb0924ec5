"""From a `.csv` or `.jsonl` file to a table of values by column, each row with its line."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data.dataset import quoted
from zoo.data.images.suffixes import IMAGE_SUFFIXES
from zoo.data.sources.lists.columns import REQUIRED, Columns, find_columns, how_to_name
from zoo.data.sources.lists.listed_images import kind_of
from zoo.data.sources.lists.text_lines import text_lines
from zoo.errors import DataError, did_you_mean, printable

MOST_COLUMNS = 10_000
_DELIMITERS = ",;\t|"
# Excel's own first line, which says what divides values.
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ListTable:
    """What a file holds: its columns in order and what they hold, and each row with the line that it ends on."""

    columns: tuple[str, ...]
    held: Columns
    rows: Sequence[tuple[int, Mapping[str, Any]]]


def csv_table(path: Path, asked: Mapping[str, str], *, measuring: bool) -> ListTable:
    """Reads values separated by commas, semicolons, tabs or bars; the first line names the columns.

    Args:
        path: The file.
        asked: Columns by role, as the recipe names them.
        measuring: Whether a finished classifier is to be measured: a column that is asked for may be missing.

    Raises:
        DataError: It is not such a file; the message says in which line.
    """
    lines = text_lines(path, newline=None)
    line, first = 1, next(lines, "").removesuffix("\n")
    marks = _DELIMITERS
    if separator := _SEPARATOR.fullmatch(first.strip(" ,;")) or _SEPARATOR.fullmatch(first):
        marks = separator[1]
        line, first = 2, next(lines, "").removesuffix("\n")
    if not first.strip():
        any(row.strip() for row in lines)  # a file of blank lines is refused at its end
    place = f"{path}:{line}"
    # What makes the header hold; else what cuts it into most, for the message.
    headers = {mark: _header(place, first, mark) for mark in marks}

    def holds(mark: str) -> bool:
        try:
            return set(REQUIRED) <= set(find_columns(place, headers[mark], asked, measuring=measuring).roles.values())
        except DataError:
            return False

    delimiter = max(marks, key=lambda mark: (holds(mark), len(headers[mark])))
    columns = headers[delimiter]
    if repeated := sorted(name for name, count in Counter(columns).items() if count > 1):
        raise DataError(f"{place}: has two columns of the name {quoted(repeated)}; expected each once. Rename one.")
    held = find_columns(place, columns, asked, measuring=measuring)
    for name in REQUIRED:
        if name not in held.roles.values():
            raise no_column(place, name, columns, path.parent)
    return ListTable(columns=tuple(columns), held=held, rows=list(_csv_rows(path, lines, columns, delimiter, line)))


def _header(place: str, line: str, delimiter: str) -> list[str]:
    try:
        columns = [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error as fault:
        raise DataError(f"{place}: is not a row of names of columns ({fault}); expected path,label.") from fault
    refuse_many_columns(place, len(columns))
    return columns


def refuse_many_columns(place: str, count: int) -> None:
    """Refuses a list that has more columns than any list of images."""
    if count > MOST_COLUMNS:
        raise DataError(f"{place}: has {count:,} columns; expected at most {MOST_COLUMNS:,}. Remove the others.")


def no_column(place: str, name: str, columns: Sequence[str], folder: Path) -> DataError:
    """Says which column is missing, or that the whole first row is."""
    for value in columns:
        if Path(value).suffix.lower() in IMAGE_SUFFIXES or ("/" in value and (folder / value).is_file()):
            return DataError(
                f"{place}: has no column '{name}'; it has {quoted(columns)}. These look like the values of a row: "
                "put a first line path,label above it."
            )
    return DataError(
        f"{place}: has no column '{name}'; it has {quoted(columns) or 'nothing'}."
        f"{did_you_mean(name, columns)} The first row names the columns: path,label and, where wanted, "
        f"split,weight,group. If another column holds it, type {how_to_name(name, 'COLUMN')}"
    )


def _csv_rows(
    path: Path, lines: Iterator[str], columns: Sequence[str], delimiter: str, above: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # Strict: a quote that is never closed would swallow the rest of the file.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as fault:
            raise DataError(
                f"{path}:{reader.line_num + above}: is not a row of values ({fault}). "
                'Close each quote, and write a quote inside a quoted value as "".'
            ) from fault
        if cells is None:
            return
        line = reader.line_num + above
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise DataError(
                f"{path}:{line}: has {len(cells)} values; expected {len(columns)}, one for each column. "
                f"Put a value that holds '{delimiter}' in double quotes."
            )
        yield line, dict(zip(columns, (cell.strip() for cell in cells), strict=True))


def jsonl_table(path: Path, asked: Mapping[str, str], *, measuring: bool) -> ListTable:
    """Reads a JSON object in each line; its keys are the columns. See `csv_table`."""
    rows: list[tuple[int, Mapping[str, Any]]] = []
    columns: dict[str, None] = {}
    # Text in JSON may hold the line ends of Unicode, and an old Macintosh's, as they are.
    for line, content in enumerate(text_lines(path, newline="\n"), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content, object_pairs_hook=_each_key_once)
        except (ValueError, RecursionError) as fault:
            raise DataError(
                f"{path}:{line}: is not JSON ({printable(fault)}); expected an object in each line, such as "
                '{"path": "cat/1.jpg", "label": "cat"}.'
            ) from fault
        if not isinstance(row, dict):
            raise DataError(
                f"{path}:{line}: is {kind_of(row)}; expected an object, such as "
                '{"path": "cat/1.jpg", "label": "cat"}.'
            )
        rows.append((line, row))
        columns.update(dict.fromkeys(row))
        refuse_many_columns(f"{path}:{line}", len(columns))
    held = find_columns(str(path), tuple(columns), asked, measuring=measuring)
    return ListTable(columns=tuple(columns), held=held, rows=rows)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object; of two values for a key one is wrong, and readers differ in which they take."""
    read = dict(pairs)
    if len(read) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"it has the key '{printable(twice)}' twice")
    return read
