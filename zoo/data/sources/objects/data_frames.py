"""Tables in code: a data frame of paths and labels, and data sets of Hugging Face. Their columns have names."""

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from zoo.data.dataset import Dataset
from zoo.data.sources.libraries.hugging_face import read_hf
from zoo.data.sources.lists.listings import read_frame
from zoo.errors import DataError
from zoo.registry.sources import SourceRequest


def read_table(data: object, place: str, request: SourceRequest) -> Dataset | None:
    """Reads a data frame, or a data set of Hugging Face or several by split; None where it is something else.

    Args:
        data: What is given in code.
        place: For messages.
        request: The column whose values name groups, and what columns are called.

    Raises:
        DataError: A column is not there, or a row does not hold.
    """
    if _is_frame(data):
        names = [str(name) for name in _frame(data).columns]
        return read_frame(names, _rows(data), place="data", request=request)
    given = cast("Mapping[Any, Any]", data) if isinstance(data, Mapping) else {"train": data}
    if not given:
        return None
    if all(_is_hf(table) for table in given.values()):
        return _read_hf(place, given, request)
    if isinstance(data, Mapping) and any(_is_frame(table) or _is_hf(table) for table in given.values()):
        raise DataError(
            f"{place} has a table in one split and something else in another, or several data frames; expected one "
            "frame with a column 'split', or a Hugging Face Dataset in each split. Give them so."
        )
    return None


def _frame(data: object) -> Any:
    return data


def _is_frame(data: object) -> bool:
    return hasattr(data, "columns") and (hasattr(data, "iloc") or hasattr(data, "to_dicts"))


def _rows(frame: Any) -> list[dict[str, Any]]:
    rows = frame.to_dicts() if hasattr(frame, "to_dicts") else frame.to_dict("records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """Makes a value one that a list could hold: no NumPy number, no path, nothing for what is missing."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool):
        return str(value)  # a class False and a class True
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    # pandas' own: NaT and NA.
    return None if type(value).__name__ in ("NaTType", "NAType") else value


def _is_hf(table: object) -> bool:
    return type(table).__module__.split(".")[0] == "datasets" and hasattr(table, "column_names")


def _read_hf(place: str, tables: Mapping[Any, Any], request: SourceRequest) -> Dataset:
    for name, table in tables.items():
        if not hasattr(table, "__getitem__") or not hasattr(table, "select_columns") or not hasattr(table, "__len__"):
            raise DataError(
                f"{place} is of type {type(table).__name__} for {name}, which only streams its rows; expected a "
                "datasets.Dataset. Load it with streaming=False."
            )
        if (table.format or {}).get("type") == "custom":
            raise DataError(
                f"{place} has a transform for {name} (set_transform), which is not applied here; expected images as "
                "they are stored. Type: .reset_format(), and let [augment] change them."
            )
    datasets = importlib.import_module("datasets")
    return read_hf(place, tables, request, datasets=datasets, is_changed=True)
