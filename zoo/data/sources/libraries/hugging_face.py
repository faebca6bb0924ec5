"""`hf:NAME`: a data set of Hugging Face, by its library datasets.

Images stay as they are stored until they are packed, so that Pillow reads them here as it reads files. Script data
sets, which would run code, are refused by datasets 4 itself.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.backend.keras_internals.experimental import fingerprint_of
from zoo.data.dataset import Dataset
from zoo.data.sources.libraries.columns import group_column, image_column, label_column
from zoo.data.sources.libraries.stored_rows import (
    StoredImages,
    StoredSplit,
    as_array,
    by_our_names,
    dataset_of,
    library,
    split_identity,
    tried,
)
from zoo.errors import DataError
from zoo.registry.sources import SourceRequest


def open_hf(request: SourceRequest) -> Dataset:
    """Opens a data set of Hugging Face, from its hub or from what `save_to_disk` wrote.

    Args:
        request: Its name as on the hub, such as `beans` or `user/name`; the folder that `save_to_disk` wrote, where
            None downloads into the library's own cache; and which columns hold what.

    Returns:
        The splits that are called train, validation and test, under any of the names that folders may have.

    Raises:
        DataError: The library is missing or fails, or there is not one image column and one label column.
    """
    datasets = library("datasets", "hf")
    name, path, place = request.name, request.path, request.place
    if int(datasets.__version__.partition(".")[0]) < 4:
        raise DataError(
            f"{place}: datasets {datasets.__version__} is installed; expected 4 or later, which runs no code from "
            "data sets. Type: pip install 'zoo[hf]'"
        )
    if path is None and ".." in name.split("/"):
        raise DataError(f"{place}: expected the name of a data set, such as 'hf:user/name'. Give a folder with --data.")
    if path is None and Path(name).exists():
        raise DataError(
            f"{place}: here is a file or folder '{name}', which the library would read in place of the hub's. "
            f"Give it with --data {name}, or work in another folder."
        )
    loaded = tried(place, lambda: datasets.load_dataset(name) if path is None else datasets.load_from_disk(str(path)))
    return read_hf(place, loaded if isinstance(loaded, dict) else {"train": loaded}, request, datasets=datasets)


def read_hf(
    place: str, tables: Mapping[str, Any], request: SourceRequest, *, datasets: Any, is_changed: bool = False
) -> Dataset:
    """Reads data sets of Hugging Face that have been opened.

    Args:
        place: For messages.
        tables: A `datasets.Dataset` by the name of its split.
        request: Which columns hold what.
        datasets: The library.
        is_changed: Whether rows may have been chosen or changed since, so that what was downloaded says nothing.

    Raises:
        DataError: See `open_hf`.
    """
    splits, ignored = by_our_names(place, tables, measuring=request.measuring)
    features = next(iter(splits.values())).features
    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    image = image_column(place, request, images, features)
    declared = [key for key, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    label = label_column(place, request, declared, features)
    group = group_column(place, request, features)
    return dataset_of(
        place,
        {
            split: _hf_rows(datasets, f"hf:{split}", table, (image, label, group), is_changed=is_changed)
            for split, table in splits.items()
        },
        classes=features[label].names if label in declared else None,
        warnings=ignored,
        measuring=request.measuring,
    )


def _hf_rows(datasets: Any, place: str, table: Any, columns: tuple[str, str, str], *, is_changed: bool) -> StoredSplit:
    image, label, group = columns
    stored = table.select_columns([image]).cast_column(image, datasets.Image(decode=False)).with_format(None)

    def read(index: int) -> bytes | str:
        value = stored[index][image]
        return value["path"] if value["bytes"] is None else value["bytes"]

    # Files of the hub are named with the commit that they are from; of others the library's hash says what they are.
    sources = sorted(table.info.download_checksums or {})
    is_pinned = not is_changed and bool(sources) and all(url.startswith("hf://") and "@" in url for url in sources)
    known_by = sources if is_pinned else fingerprint_of(table)
    values = table.with_format(None)
    return StoredSplit(
        images=StoredImages(identity=split_identity(place, known_by, len(table)), read=read, count=len(table)),
        labels=as_array(place, values[label][:]),
        groups=list(values[group][:]) if group else None,
    )
