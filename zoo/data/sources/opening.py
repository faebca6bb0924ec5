"""Opens the data a recipe names: `data.source` and the path given with `--data`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from zoo.data.dataset import Dataset, Split, check_dataset
from zoo.data.sources.arrays import holds_idx
from zoo.data.sources.grouping import shared_groups, without_groups
from zoo.data.sources.plug_ins import checked_source
from zoo.errors import DataError, NotFoundError, did_you_mean
from zoo.registry.sources import (
    SOURCES,
    SourceRequest,
    SourceRow,
    row_of_file,
    source_row,
    suffixes,
    with_columns,
)

__all__ = ["Dataset", "Split", "open_dataset"]


def open_dataset(
    source: str,
    path: Path | None,
    *,
    group: str = "",
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
    measuring: bool = False,
) -> Dataset:
    """Opens a source of labelled images; files are listed, not decoded.

    `folder`, the default source, also takes a file that another source knows by its ending and a folder of IDX files,
    because that is what `--data x.npz` means.

    Args:
        source: `folder`: class folders, with or without split folders (see `folders`). `csv`, `jsonl`: a file
            that lists images (see `listings`). `npz`: arrays under the keys x_train, y_train and so on.
            `idx`: a folder of MNIST's files. `builtin:mnist`, `builtin:fashion_mnist`, `builtin:cifar10`,
            `builtin:cifar100`: downloaded by Keras, or read from `path`. `builtin:fashion_sample`: 5,000 train and
            1,000 validation images that ship with zoo. `hf:NAME`, `tfds:NAME`: a data set that a library downloads,
            or reads from `path` (`zoo.data.sources.libraries`). Or what a plug-in has added
            (`zoo.registry.sources.SOURCES`).
        path: The folder or file; `None` where the source needs none.
        group: What images belong together: a regular expression for the paths in class folders, a column's name in
            files that list images and data sets of libraries. `""` is the column `group` of a file, where there is one.
        columns: What columns are called, in files that list images and data sets of libraries: their names by `path`
            (what holds the images), `label`, `split`, `weight` and `group`.
        options: The source's own options, where it has any.
        measuring: Whether a finished classifier is to be measured: one class is enough, and there need be no train.

    Returns:
        The classes and splits. Folders and files that list images have their class names sorted, the others in the
        order of labels.

    Raises:
        NotFoundError: A source or a path that does not exist.
        DataError: Data that cannot be used as it is, or an option that the source does not have.
    """
    if path is not None:
        check_exists(path)
    row = source_row(source)
    for option, fault in SOURCES.option_faults(row.name, options or {}):
        raise DataError(f"data.options.{option}{fault}")
    request = SourceRequest(
        source=source,
        path=path,
        group=group,
        columns=columns or {},
        measuring=measuring,
        options=row.filled(options or {}),
    )
    dataset = check_dataset(_opened(row, request), request.place, measuring=measuring)
    return replace(dataset, warnings=(*dataset.warnings, *shared_groups(dataset, request.place)))


def _opened(row: SourceRow, request: SourceRequest) -> Dataset:
    """Opens a source, once what is asked of it is among what its row says that it has."""
    path = request.path
    if path is None and row.needs_path:
        raise DataError(f"data.source '{request.source}' needs a path. Give it with --data PATH.")
    if path is not None and not row.takes_path:
        raise DataError(
            f"{path}: {request.source} has its own images and takes no path. "
            "Leave --data out, or set data.source to what the path holds, such as 'folder'."
        )
    if path is not None and row.name == _FOLDER:
        row = _meant_by(path)
    if path is not None and row.is_file and not path.is_file():
        raise DataError(f"{path}: is a folder; expected {_a_file(row)}. Use data.source 'folder' for a folder.")
    what = f"{path}, {row.holds}" if row.holds else f"'{request.source}'"
    if request.group and not row.has_groups:
        raise without_groups(what)
    if request.columns and not row.has_columns:
        raise DataError(
            f"data.columns is set, and the data is {what}, which has no columns; expected {with_columns()}. "
            "Leave data.columns out."
        )
    if row.is_shipped:
        return row.build(request)
    place = f"source '{row.name}' ({row.module})" if path is None else f"source '{row.name}' ({row.module}), {path}"
    return checked_source(SOURCES.built(row, request), place, measuring=request.measuring)


_FOLDER = "folder"


def _meant_by(path: Path) -> SourceRow:
    """Says what `--data PATH` means alone: a file by its ending, a folder of IDX files, or class folders."""
    if path.is_file():
        row = row_of_file(path)
        if row is None:
            raise DataError(
                f"{path}: is a file; expected a folder with one subfolder per class, or a file that ends in "
                f"{', '.join(suffixes())}. {_ADVICE.get(path.suffix.lower(), _UNPACK)}"
            )
        return row
    return source_row("idx" if holds_idx(path) else _FOLDER)


def _a_file(row: SourceRow) -> str:
    if not row.suffixes:
        return "a file"
    suffix = row.suffixes[0]
    return f"{'an' if suffix[1] in 'aefhilmnorsx' else 'a'} {suffix} file"  # as the letter is spoken


_UNPACK = "Unpack it if it is an archive, and point --data at the folder."
# What to do about a file of another kind.
_ADVICE = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the table as .csv, with the columns path,label."),
    **dict.fromkeys((".json", ".parquet", ".txt"), "Write a .csv with the columns path,label, a row for each image."),
    **dict.fromkeys((".npy", ".mat", ".h5", ".pkl"), "Save the arrays x_train, y_train with numpy.savez as .npz."),
    **dict.fromkeys(
        (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"), "It is one image: point --data at the folder of all."
    ),
}


def check_exists(path: Path) -> None:
    """Looks whether a path leads to something.

    Raises:
        NotFoundError: There is nothing.
        DataError: Its permissions keep it from being seen.
    """
    try:
        path.stat()
    except PermissionError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}). Change its permissions.") from fault
    except OSError as fault:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise NotFoundError(
            f"{path}: no such file or folder.{did_you_mean(path.name, siblings)} "
            "Give a folder with one subfolder of images per class with --data PATH."
        ) from fault
