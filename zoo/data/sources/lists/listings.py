"""A `.csv` or `.jsonl` file that lists images, one in each row.

path,label,split,weight,group          {"path": "cat/1.jpg", "label": "cat"}
cat/1.jpg,cat,train,1,anna             {"path": "2.jpg", "label": "dog", "split": "test"}
/photos/2.jpg,dog,test,,ben
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.dataset import Dataset, Split, of_splits, quoted
from zoo.data.sources.lists.columns import (
    REQUIRED,
    ROLES,
    find_column,
    find_columns,
    refuse_unnamed_split,
)
from zoo.data.sources.lists.list_files import ListTable, csv_table, jsonl_table, no_column
from zoo.data.sources.lists.listed_images import ListedImage, check_each_once, check_known, listed_image
from zoo.data.sources.lists.listed_paths import all_missing, is_there
from zoo.errors import DataError, did_you_mean
from zoo.registry.sources import SourceRequest

_GROUP = "group"


def read_csv(request: SourceRequest) -> Dataset:
    """Lists the images of a file of comma-, semicolon- or tab-separated values; opens none of them.

    The first row names the columns, in any case: `path`, relative to the file's folder or absolute, and `label`; where
    there, `split` (train | training, val | valid | validation, test; empty is train), `weight` (how much the image
    counts in the training loss, 0 or more; empty is 1) and `group`. Spaces around a value do not belong to it. Classes
    are the labels of train, sorted. A first line `sep=;`, as Excel takes it, is read.

    Args:
        request: An existing UTF-8 file; the column whose values name groups, where "" is `group` if there is such a
            column, and a row without a value is a group of its own; and what columns are called in the file. Where a
            finished classifier is to be measured, the labels of any split are classes.

    Returns:
        The splits, each in the order of the file.

    Raises:
        DataError: A row that does not hold, with its line; an image in two rows; labels that are not in train.
    """
    assert request.path is not None  # the table says that it needs one
    table = csv_table(request.path, request.columns, measuring=request.measuring)
    return _dataset(request.path, table, request.group, measuring=request.measuring)


def read_jsonl(request: SourceRequest) -> Dataset:
    """Lists the images of a file with a JSON object in each line; its keys are the columns of `read_csv`.

    A label or a group may be text or a whole number, which is taken as text; a weight is a number.

    Args:
        request: As for `read_csv`.

    Returns:
        The splits, each in the order of the file.

    Raises:
        DataError: As for `read_csv`.
    """
    assert request.path is not None  # the table says that it needs one
    table = jsonl_table(request.path, request.columns, measuring=request.measuring)
    return _dataset(request.path, table, request.group, measuring=request.measuring)


def read_frame(
    names: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    *,
    place: str,
    request: SourceRequest,
) -> Dataset:
    """Lists the images of a data frame in memory; paths are relative to the current folder or absolute.

    Args:
        names: The frame's columns.
        rows: Its rows: values by column. What is not there is None, and numbers are Python's own.
        place: What to call it in messages, with the number of a row from 0 on.
        request: As for `read_csv`, without a path.

    Raises:
        DataError: As for `read_csv`.
    """
    held = find_columns(place, names, request.columns)
    for name in REQUIRED:
        if name not in held.roles.values():
            raise no_column(place, name, names, Path())
    table = ListTable(columns=tuple(names), held=held, rows=list(enumerate(rows)))
    return _dataset(Path(place), table, request.group, measuring=False)


def _dataset(path: Path, table: ListTable, group: str, *, measuring: bool) -> Dataset:
    grouped = _grouped(path, table, group)
    if not table.rows:
        raise DataError(
            f"{path}: lists no images, it holds only the names of columns; expected a row for each image. "
            "Check that the file was written."
        )
    refuse_unnamed_split(str(path), table.held, table.columns, (cells for _, cells in table.rows))
    rows = [listed_image(path, line, table.held.renamed(cells), grouped) for line, cells in table.rows]
    check_each_once(path, rows)
    of_split: dict[str, list[ListedImage]] = {
        name: [row for row in rows if row.split == name] for name in ("train", "validation", "test")
    }
    if not of_split["train"] and not measuring:
        raise DataError(
            f"{path}: lists no image of train; expected one or more. Leave the column split out, or name some train."
        )
    classes = sorted({row.label for row in (rows if measuring else of_split["train"])})
    for name, found in of_split.items():
        check_known(path, name, found, classes)
    if not any(is_there(row.path) for row in rows):
        raise all_missing(path, rows[0].line, rows[0].written, len(rows))
    is_weighted = "weight" in table.held.roles.values()
    if is_weighted and not measuring and not any(row.weight for row in of_split["train"]):
        raise DataError(f"{path}: all images of train weigh 0; expected a weight above 0. Leave the column weight out.")
    indices = {name: index for index, name in enumerate(classes)}

    def split(listed: Sequence[ListedImage]) -> Split:
        return Split(
            images=tuple(row.path for row in listed),
            labels=np.array([indices[row.label] for row in listed], np.int64),
            weights=np.array([row.weight for row in listed], np.float32) if is_weighted else None,
            groups=tuple(row.group for row in listed) if grouped else None,
        )

    splits = {name: split(listed) for name, listed in of_split.items() if listed or name == "train"}
    return of_splits(tuple(classes), splits, warnings=tuple(_said(path, table, grouped, classes)), root=path.parent)


def _grouped(path: Path, table: ListTable, group: str) -> str:
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


def _said(path: Path, table: ListTable, grouped: str, classes: Sequence[str]) -> Iterator[str]:
    missing = [label for label in classes if label.casefold() in _MISSING]
    if missing and set(classes) != {"-1", "1"}:
        yield f"{path}: {quoted(missing)} is a class; if it stands for a missing label, remove these rows"
    if table.held.guessed:
        read = ", ".join(f"'{name}' as {role}" for role, name in table.held.guessed.items())
        yield f"{path}: reads the columns {read}; data.columns names others"
    unused = [name for name in table.columns if table.held.name_of(name) not in (*ROLES, grouped)]
    if unused:
        yield f"{path}: ignored columns: {quoted(unused)}"
