"""A `.csv` or `.jsonl` file that lists images, one in each row.

path,label,split,weight,group          {"path": "cat/1.jpg", "label": "cat"}
cat/1.jpg,cat,train,1,anna             {"path": "2.jpg", "label": "dog", "split": "test"}
/photos/2.jpg,dog,test,,ben
"""

import csv
import io
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import SPLIT_NAMES, Dataset, Split, SplitName, hidden_sign, quoted, unknown_classes
from zoo.data.images.suffixes import IMAGE_SUFFIXES
from zoo.data.sources.lists.columns import (
    REQUIRED,
    ROLES,
    Columns,
    find_column,
    find_columns,
    how_to_name,
    refuse_unnamed_split,
)
from zoo.data.sources.lists.listed_paths import all_missing, located
from zoo.errors import DataError, did_you_mean

_GROUP = "group"
_DELIMITERS = ",;\t|"
# Excel's own first line, which says what divides values.
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_LARGEST_WEIGHT = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What a file holds: its columns in order and what they hold, and each row with the line that it ends on."""

    columns: tuple[str, ...]
    held: Columns
    rows: Sequence[tuple[int, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A row that holds."""

    line: int
    path: Path
    written: str
    label: str
    split: SplitName
    weight: float
    group: str


def read_csv(
    path: Path, *, group: str = "", columns: Mapping[str, str] | None = None, measuring: bool = False
) -> Dataset:
    """Lists the images of a file of comma-, semicolon- or tab-separated values; opens none of them.

    The first row names the columns, in any case: `path`, relative to the file's folder or absolute, and `label`; where
    there, `split` (train | training, val | valid | validation, test; empty is train), `weight` (how much the image
    counts in the training loss, 0 or more; empty is 1) and `group`. Spaces around a value are no part of it. Classes
    are the labels of train, sorted. A first line `sep=;`, as Excel takes it, is read.

    Args:
        path: An existing UTF-8 file.
        group: The column whose values name groups; `""` is `group`, where there is such a column. A row without
            a value is a group of its own.
        columns: What the columns are called in the file, by `path`, `label`, `split`, `weight` and `group`.
        measuring: Whether a finished classifier is to be measured: the labels of any split are classes then.

    Returns:
        The splits, each in the order of the file.

    Raises:
        DataError: A row that does not hold, with its line; an image in two rows; labels that train has not.
    """
    table = _csv_table(path, _text_of(path), columns or {}, measuring=measuring)
    return _dataset(path, table, group, measuring=measuring)


def read_jsonl(
    path: Path, *, group: str = "", columns: Mapping[str, str] | None = None, measuring: bool = False
) -> Dataset:
    """Lists the images of a file with a JSON object in each line; its keys are the columns of `read_csv`.

    A label or a group may be text or a whole number, which is taken as text; a weight is a number.

    Args:
        path: An existing UTF-8 file.
        group: As for `read_csv`.
        columns: As for `read_csv`.
        measuring: As for `read_csv`.

    Returns:
        The splits, each in the order of the file.

    Raises:
        DataError: As for `read_csv`.
    """
    table = _jsonl_table(path, _text_of(path), columns or {}, measuring=measuring)
    return _dataset(path, table, group, measuring=measuring)


def read_frame(
    names: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    *,
    place: str,
    group: str = "",
    columns: Mapping[str, str] | None = None,
) -> Dataset:
    """Lists the images of a data frame in memory; paths are relative to the current folder or absolute.

    Args:
        names: The frame's columns.
        rows: Its rows: values by column. What is not there is None, and numbers are Python's own.
        place: What to call it in messages, with the number of a row from 0 on.
        group: As for `read_csv`.
        columns: As for `read_csv`.

    Raises:
        DataError: As for `read_csv`.
    """
    held = find_columns(place, names, columns or {})
    for name in REQUIRED:
        if name not in held.roles.values():
            raise _no_column(place, name, names, Path())
    table = _Table(columns=tuple(names), held=held, rows=list(enumerate(rows)))
    return _dataset(Path(place), table, group, measuring=False)


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
            f"{path}:{line}: is no UTF-8 text (byte 0x{content[fault.start]:02x}). Save the file again as UTF-8."
        ) from fault
    if "\0" in text:
        raise DataError(f"{path}: is no UTF-8 text (it has zero bytes). Save the file again as UTF-8.")
    if not text.strip():
        raise DataError(f"{path}: is empty; expected a row for each image. Check that the file was written.")
    return text


def _csv_table(path: Path, text: str, asked: Mapping[str, str], *, measuring: bool) -> _Table:
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
            raise _no_column(place, name, columns, path.parent)
    return _Table(columns=tuple(columns), held=held, rows=list(_csv_rows(path, rest, columns, delimiter, line)))


def _no_column(place: str, name: str, columns: Sequence[str], folder: Path) -> DataError:
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
                f"{path}:{reader.line_num + above}: is no row of values ({fault}). "
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


def _jsonl_table(path: Path, text: str, asked: Mapping[str, str], *, measuring: bool) -> _Table:
    rows: list[tuple[int, Mapping[str, Any]]] = []
    columns: dict[str, None] = {}
    # Not splitlines: text in JSON may hold the line ends of Unicode as they are.
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as fault:
            raise DataError(
                f"{path}:{line}: is no JSON ({fault}); expected an object in each line, such as "
                '{"path": "cat/1.jpg", "label": "cat"}.'
            ) from fault
        if not isinstance(row, dict):
            raise DataError(
                f'{path}:{line}: is {_kind(row)}; expected an object, such as {{"path": "cat/1.jpg", "label": "cat"}}.'
            )
        rows.append((line, row))
        columns.update(dict.fromkeys(row))
    held = find_columns(str(path), tuple(columns), asked, measuring=measuring)
    return _Table(columns=tuple(columns), held=held, rows=rows)


def _dataset(path: Path, table: _Table, group: str, *, measuring: bool) -> Dataset:
    grouped = _grouped(path, table, group)
    if not table.rows:
        raise DataError(
            f"{path}: lists no images, it holds only the names of columns; expected a row for each image. "
            "Check that the file was written."
        )
    refuse_unnamed_split(str(path), table.held, table.columns, (cells for _, cells in table.rows))
    rows = [_row(path, line, table.held.renamed(cells), grouped) for line, cells in table.rows]
    _check_each_once(path, rows)
    of_split: dict[str, list[_Row]] = {
        name: [row for row in rows if row.split == name] for name in ("train", "validation", "test")
    }
    if not of_split["train"] and not measuring:
        raise DataError(
            f"{path}: lists no image of train; expected one or more. Leave the column split out, or name some train."
        )
    classes = sorted({row.label for row in (rows if measuring else of_split["train"])})
    for name, found in of_split.items():
        _check_known(path, name, found, classes)
    if not any(row.path.is_file() for row in rows):
        raise all_missing(path, rows[0].line, rows[0].written, len(rows))
    is_weighted = "weight" in table.held.roles.values()
    if is_weighted and not measuring and not any(row.weight for row in of_split["train"]):
        raise DataError(f"{path}: all images of train weigh 0; expected a weight above 0. Leave the column weight out.")
    indices = {name: index for index, name in enumerate(classes)}

    def split(name: str) -> Split | None:
        listed = of_split[name]
        if not listed and name != "train":
            return None
        return Split(
            images=tuple(row.path for row in listed),
            labels=np.array([indices[row.label] for row in listed], np.int64),
            weights=np.array([row.weight for row in listed], np.float32) if is_weighted else None,
            groups=tuple(row.group for row in listed) if grouped else None,
        )

    train = split("train")
    assert train is not None  # there always is one, of no images where a test alone is measured
    return Dataset(
        classes=tuple(classes),
        train=train,
        validation=split("validation"),
        test=split("test"),
        warnings=tuple(_said(path, table, grouped, classes)),
        root=path.parent,
    )


def _grouped(path: Path, table: _Table, group: str) -> str:
    """Returns the column, as rows have it, whose values name groups; "" where there is none."""
    if not group:
        return _GROUP if _GROUP in table.held.roles.values() else ""
    found = find_column(group, table.columns)
    if found is None:
        raise DataError(
            f"{path}: has no column '{group}', which data.group names; it has {quoted(table.columns)}."
            f"{did_you_mean(group, table.columns)}"
        )
    return table.held.name_of(found)


# What programs write for a label that is missing.
_MISSING = {"nan", "null", "n/a", "#n/a", "<na>", "-1"}


def _said(path: Path, table: _Table, grouped: str, classes: Sequence[str]) -> Iterator[str]:
    missing = [label for label in classes if label.casefold() in _MISSING]
    if missing and set(classes) != {"-1", "1"}:
        yield f"{path}: {quoted(missing)} is a class; if it stands for a missing label, remove these rows"
    if table.held.guessed:
        read = ", ".join(f"'{name}' as {role}" for role, name in table.held.guessed.items())
        yield f"{path}: reads the columns {read}; data.columns names others"
    unused = [name for name in table.columns if table.held.name_of(name) not in (*ROLES, grouped)]
    if unused:
        yield f"{path}: ignored columns: {quoted(unused)}"


def _row(path: Path, line: int, cells: Mapping[str, Any], grouped: str) -> _Row:
    place = f"{path}:{line}"
    written, label = (_required(place, cells, name) for name in REQUIRED)
    if sign := hidden_sign(label):
        raise DataError(
            f"{place}: label is {quoted([label])}, with a sign that cannot be seen ({quoted([sign])}); expected a text "
            "that any line can show. Correct it."
        )
    split = _optional(place, cells, "split")
    if split and split.casefold() not in SPLIT_NAMES:
        raise DataError(
            f"{place}: split is '{split}'; expected train, validation or test.{did_you_mean(split, SPLIT_NAMES)}"
        )
    return _Row(
        line=line,
        path=located(place, path.parent, written),
        written=written,
        label=label,
        split=SPLIT_NAMES[split.casefold()] if split else "train",
        weight=_weight(place, cells.get("weight")),
        # No value can be this: each path is in one row only, and no text in a file has a zero byte.
        group=(_optional(place, cells, grouped) if grouped else "") or f"\0{written}",
    )


def _required(place: str, cells: Mapping[str, Any], name: str) -> str:
    if name not in cells:
        raise DataError(f"{place}: has no '{name}'; it has {quoted(cells) or 'nothing'}.{did_you_mean(name, cells)}")
    text = _optional(place, cells, name)
    if not text:
        raise DataError(f"{place}: {name} is empty; expected {_EXAMPLES[name]}. Fill it in, or remove the row.")
    return text


_EXAMPLES = {"path": "an image's path, such as cat/1.jpg", "label": "a class, such as cat"}


def _optional(place: str, cells: Mapping[str, Any], name: str) -> str:
    value = cells.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and name != "path":
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is {_kind(value)}; expected text. Put it in double quotes.")
    text = value.strip()
    # Control characters and halves of a pair: no file has such a name, and no report could show the class.
    if not text.isprintable() and any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise DataError(f"{place}: {name} is {text!a}; expected text without control characters. Correct it.")
    return text


def _weight(place: str, value: object) -> float:
    if value is None or value == "":
        return 1.0
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        weight = float(value)
    except (ValueError, OverflowError):
        weight = math.nan
    if not 0 <= weight <= _LARGEST_WEIGHT:  # not a number compares false
        raise DataError(f"{place}: weight is '{value}'; expected a number, 0 or more, such as 0.5. Correct it.")
    return weight


def _check_each_once(path: Path, rows: Iterable[_Row]) -> None:
    """Refuses an image in two rows: of two labels one is wrong, and in two splits what it taught would be asked."""
    seen: dict[str, _Row] = {}
    for row in rows:
        before = seen.setdefault(os.path.normpath(row.path), row)
        if before is row:
            continue
        if before.label != row.label:
            fault = f"'{row.label}', and '{before.label}' in line {before.line}"
        elif before.split != row.split:
            fault = f"in {row.split}, and in {before.split} in line {before.line}"
        else:
            fault = f"there already in line {before.line}"
        raise DataError(f"{path}:{row.line}: '{row.written}' is {fault}; expected each image once. Remove one row.")


def _check_known(path: Path, name: str, rows: Sequence[_Row], classes: Sequence[str]) -> None:
    known = set(classes)
    first_rows = {row.label: row for row in reversed(rows) if row.label not in known}
    if first_rows:
        unknown = unknown_classes(sorted(first_rows), classes)
        raise DataError(
            f"{path}:{min(row.line for row in first_rows.values())}: {name} has classes that train has not: "
            f"{', '.join(unknown[:10])}{f' and {len(unknown) - 10} more' if len(unknown) > 10 else ''}; "
            "expected classes of train only. Correct these labels, or remove the rows."
        )


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number with a point",
    str: "text",
    list: "a list",
    dict: "an object",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)
