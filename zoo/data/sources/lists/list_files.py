"""From a `.csv` or `.jsonl` file to a table of values by column, each row with its line."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data.dataset import quoted
from zoo.data.images.suffixes import IMAGE_SUFFIXES
from zoo.data.sources.lists.columns import REQUIRED, Columns, find_columns, how_to_name
from zoo.data.sources.lists.listed_images import kind_of
from zoo.errors import DataError, did_you_mean

_DELIMITERS = ",;\t|"
# Excel's own first line, which says what divides values.
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ListTable:
    """What a file holds: its columns in order and what they hold, and each row with the line that it ends on."""

    columns: tuple[str, ...]
    held: Columns
    rows: Sequence[tuple[int, Mapping[str, Any]]]


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise DataError(
            f"{path}: cannot be read ({fault.strerror}); expected a file that lists images. Check --data."
        ) from fault
    try:
        # Excel writes "Unicode text" as UTF-16, which begins so.
        text = content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as fault:
        line = content[: fault.start].count(b"\n") + 1
        raise DataError(
            f"{path}:{line}: is not UTF-8 text (byte 0x{content[fault.start]:02x}). Save the file again as UTF-8."
        ) from fault
    if "\0" in text:
        raise DataError(f"{path}: is not UTF-8 text (it has zero bytes). Save the file again as UTF-8.")
    if not text.strip():
        raise DataError(f"{path}: is empty; expected a row for each image. Check that the file was written.")
    return text


def csv_table(path: Path, asked: Mapping[str, str], *, measuring: bool) -> ListTable:
    """Reads values separated by commas, semicolons, tabs or bars; the first line names the columns.

    Args:
        path: The file.
        asked: Columns by role, as the recipe names them.
        measuring: Whether a finished classifier is to be measured: a column that is asked for may be missing.

    Raises:
        DataError: It is not such a file; the message says in which line.
    """
    text = _text_of(path)
    first, _, rest = text.replace("\r\n", "\n").replace("\r", "\n").partition("\n")
    line = 1
    marks = _DELIMITERS
    if separator := _SEPARATOR.fullmatch(first.strip(" ,;")) or _SEPARATOR.fullmatch(first):
        marks = separator[1]
        first, _, rest = rest.partition("\n")
        line = 2
    place = f"{path}:{line}"
    # What makes the header hold; else what cuts it into most, for the message.
    headers = {mark: [name.strip() for name in next(csv.reader([first], delimiter=mark), [])] for mark in marks}

    def holds(mark: str) -> bool:
        try:
            return set(REQUIRED) <= set(find_columns(place, headers[mark], asked, measuring=measuring).roles.values())
        except DataError:
            return False

    delimiter = max(marks, key=lambda mark: (holds(mark), len(headers[mark])))
    columns = headers[delimiter]
    if repeated := sorted({name for name in columns if columns.count(name) > 1}):
        raise DataError(f"{place}: has two columns of the name {quoted(repeated)}; expected each once. Rename one.")
    held = find_columns(place, columns, asked, measuring=measuring)
    for name in REQUIRED:
        if name not in held.roles.values():
            raise no_column(place, name, columns, path.parent)
    return ListTable(columns=tuple(columns), held=held, rows=list(_csv_rows(path, rest, columns, delimiter, line)))


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
    path: Path, text: str, columns: Sequence[str], delimiter: str, above: int
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    # Strict: a quote that is never closed would swallow the rest of the file.
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
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
    # Not splitlines: text in JSON may hold the line ends of Unicode as they are.
    for line, content in enumerate(_text_of(path).split("\n"), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as fault:
            raise DataError(
                f"{path}:{line}: is not JSON ({fault}); expected an object in each line, such as "
                '{"path": "cat/1.jpg", "label": "cat"}.'
            ) from fault
        if not isinstance(row, dict):
            raise DataError(
                f"{path}:{line}: is {kind_of(row)}; expected an object, such as "
                '{"path": "cat/1.jpg", "label": "cat"}.'
            )
        rows.append((line, row))
        columns.update(dict.fromkeys(row))
    held = find_columns(str(path), tuple(columns), asked, measuring=measuring)
    return ListTable(columns=tuple(columns), held=held, rows=rows)
