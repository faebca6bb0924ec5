"""From a row of a list to an image with its label, split, weight and group; or the fault of that row."""

import math
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import SPLIT_NAMES, SplitName, quoted, unknown_classes
from zoo.data.sources.lists.columns import REQUIRED
from zoo.data.sources.lists.listed_paths import located
from zoo.errors import LONGEST_PATH, DataError, did_you_mean, printable, shortened
from zoo.system.text_tables import hidden_sign

# As a file system has it, and of what a report can show.
LONGEST_NAME = 1_000
_LARGEST_WEIGHT = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class ListedImage:
    """A row that holds."""

    line: int
    path: Path
    written: str
    label: str
    split: SplitName
    weight: float
    group: str


def listed_image(path: Path, line: int, cells: Mapping[str, Any], grouped: str) -> ListedImage:
    """Reads a row whose values are named by role.

    Args:
        path: The list.
        line: Of the row.
        cells: Values by role; other columns by their names.
        grouped: The column whose values name groups; "" for none.

    Raises:
        DataError: A value does not hold; the message begins with the list and the line.
    """
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
    return ListedImage(
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
        return _optional(place, {name: str(value)}, name)
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is {kind_of(value)}; expected text. Put it in double quotes.")
    text = value.strip()
    longest = LONGEST_PATH if name == "path" else LONGEST_NAME
    if len(text) > longest:
        raise DataError(f"{place}: {name} has {len(text):,} characters; expected at most {longest:,}. Correct it.")
    # Control characters and halves of a pair: no file has such a name, and no report could show the class.
    if not text.isprintable() and any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise DataError(
            f"{place}: {name} is {shortened(ascii(text))}; expected text without control characters. Correct it."
        )
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
        raise DataError(
            f"{place}: weight is '{printable(value)}'; expected a number, 0 or more, such as 0.5. Correct it."
        )
    return weight


def check_each_once(path: Path, rows: Iterable[ListedImage]) -> None:
    """Refuses an image in two rows: of two labels one is wrong, and in two splits what it taught would be asked."""
    seen: dict[str, ListedImage] = {}
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


def check_known(path: Path, name: str, rows: Sequence[ListedImage], classes: Sequence[str]) -> None:
    """Refuses labels of a split that train does not have.

    Raises:
        DataError: It names the first line.
    """
    known = set(classes)
    first_rows = {row.label: row for row in reversed(rows) if row.label not in known}
    if first_rows:
        unknown = unknown_classes(sorted(first_rows), classes)
        raise DataError(
            f"{path}:{min(row.line for row in first_rows.values())}: {name} has classes that are not in train: "
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


def kind_of(value: object) -> str:
    """Says what kind of value JSON gave."""
    return _KINDS.get(type(value), type(value).__name__)
