"""Data sets that come through another library: `hf:NAME` by datasets, `tfds:NAME` by tensorflow-datasets.

Both give rows that are had one at a time. Images stay as they are stored until they are packed, so that Pillow reads
them here as it reads files. Neither runs code from the data: script data sets are refused by datasets 4 itself, and of
tensorflow-datasets only what the installed package has is built.
"""

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.backend.keras_internals.experimental import fingerprint_of
from zoo.data.dataset import SPLIT_NAMES, Dataset, Split, quoted
from zoo.data.images.decoding import open_image
from zoo.data.sources.arrays import labels_as_indices
from zoo.data.sources.trees.split_names import split_of
from zoo.errors import DataError, did_you_mean

# What a column of labels may be called where nothing says that it is one.
_LABEL_NAMES = ("label", "labels", "fine_label")


@dataclass(frozen=True, kw_only=True)
class StoredImages:
    """The images of a split, opened one at a time.

    Attributes:
        identity: What tells them from any others.
        read: Gives the stored file of a row: its bytes, or its path.
        count: How many rows there are.
    """

    identity: str
    read: Callable[[int], bytes | str]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Image.Image:
        """Returns the image of a row; Pillow reads its pixels when they are asked for."""
        stored = self.read(index)
        return open_image(stored if isinstance(stored, bytes) else Path(stored))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is wanted of a data set of a library.

    Attributes:
        group: The column whose values name groups; "" for none.
        columns: What columns are called: that of images by `path`, and `label`.
        measuring: Whether a finished classifier is to be measured: there need be no train.
    """

    group: str = ""
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    measuring: bool = False


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """A split as a library has it: its images, and columns of values as they are."""

    images: StoredImages
    labels: np.ndarray
    groups: Sequence[object] | None


def open_hf(name: str, path: Path | None, asked: Asked) -> Dataset:
    """Opens a data set of Hugging Face, from its hub or from what `save_to_disk` wrote.

    Args:
        name: As on the hub, such as `beans` or `user/name`.
        path: The folder that `save_to_disk` wrote; None downloads, into the library's own cache.
        asked: Which columns hold what.

    Returns:
        The splits that are called train, validation and test, under any of the names that folders may have.

    Raises:
        DataError: The library is missing or fails, or there is not one image column and one label column.
    """
    datasets = _library("datasets", "hf")
    place = f"hf:{name}" if path is None else str(path)
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
    loaded = _asked(place, lambda: datasets.load_dataset(name) if path is None else datasets.load_from_disk(str(path)))
    return read_hf(place, loaded if isinstance(loaded, dict) else {"train": loaded}, asked, datasets=datasets)


def read_hf(place: str, tables: Mapping[str, Any], asked: Asked, *, datasets: Any, is_changed: bool = False) -> Dataset:
    """Reads data sets of Hugging Face that have been opened.

    Args:
        place: For messages.
        tables: A `datasets.Dataset` by the name of its split.
        asked: Which columns hold what.
        datasets: The library.
        is_changed: Whether rows may have been chosen or changed since, so that what was downloaded says nothing.

    Raises:
        DataError: See `open_hf`.
    """
    splits, ignored = _by_our_names(place, tables, measuring=asked.measuring)
    features = next(iter(splits.values())).features
    images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
    image = _image(place, asked, images, features)
    declared = [key for key, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    label = _label(place, asked, declared, features)
    group = _group(place, asked, features)
    return _dataset(
        place,
        {
            split: _hf_rows(datasets, f"hf:{split}", table, (image, label, group), is_changed=is_changed)
            for split, table in splits.items()
        },
        classes=features[label].names if label in declared else None,
        warnings=ignored,
        measuring=asked.measuring,
    )


def _hf_rows(datasets: Any, place: str, table: Any, columns: tuple[str, str, str], *, is_changed: bool) -> _Rows:
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
    return _Rows(
        images=StoredImages(identity=_identity(place, known_by, len(table)), read=read, count=len(table)),
        labels=_as_array(place, values[label][:]),
        groups=list(values[group][:]) if group else None,
    )


def open_tfds(name: str, path: Path | None, asked: Asked) -> Dataset:
    """Opens a data set of tensorflow-datasets; TensorFlow itself is not needed.

    Args:
        name: As in the catalogue, such as `beans` or `imagenet_resized/64x64`.
        path: The folder in which the library has prepared it (its `data_dir`), in the array_record format; None
            prepares it in the library's own folder, downloading it where it is not there yet.
        asked: Which features hold what.

    Returns:
        The splits that are called train, validation and test, under any of the names that folders may have.

    Raises:
        DataError: The library is missing or fails, or there is not one image feature and one label feature.
    """
    tfds = _library("tensorflow_datasets", "tfds")
    place = f"tfds:{name}" if path is None else str(path)
    builder = _asked(place, lambda: tfds.builder(name, **({} if path is None else {"data_dir": str(path)})))
    if path is not None and not builder.info.splits:
        raise DataError(
            f"{place}: tensorflow-datasets has prepared no '{name}' there; expected the folder that was its data_dir. "
            f"Type: python -c \"import tensorflow_datasets as t; t.data_source('{name}', data_dir='{path}')\""
        )
    features = dict(builder.info.features.items())
    images = [key for key, kind in features.items() if isinstance(kind, tfds.features.Image)]
    image = _image(place, asked, images, features)
    declared = [key for key, kind in features.items() if isinstance(kind, tfds.features.ClassLabel)]
    label = _label(place, asked, declared, features)
    group = _group(place, asked, features)
    as_stored = {image: tfds.decode.SkipDecoding()}
    sources = _asked(
        place,
        lambda: (
            tfds.data_source(name, decoders=as_stored) if path is None else builder.as_data_source(decoders=as_stored)
        ),
    )
    splits, ignored = _by_our_names(place, sources, measuring=asked.measuring)
    return _dataset(
        place,
        {
            split: _tfds_rows(f"{builder.info.full_name}:{split}", source, image, label, group)
            for split, source in splits.items()
        },
        classes=features[label].names if label in declared else None,
        warnings=ignored,
        measuring=asked.measuring,
    )


def _tfds_rows(place: str, source: Any, image: str, label: str, group: str) -> _Rows:
    rows = [{key: row[key] for key in (label, group) if key} for row in (source[index] for index in range(len(source)))]
    labels = [_text(row[label]) for row in rows]
    # The version in the full name stands for the images; what a version has does not change.
    return _Rows(
        images=StoredImages(
            identity=_identity(place, labels, len(source)), read=lambda index: source[index][image], count=len(source)
        ),
        labels=_as_array(place, labels),
        groups=[_text(row[group]) for row in rows] if group else None,
    )


READERS: dict[str, Callable[..., Dataset]] = {"hf": open_hf, "tfds": open_tfds}


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as fault:
        raise DataError(
            f"data.source '{extra}:' needs the package {module.replace('_', '-')}, which cannot be imported ({fault}). "
            f"Type: pip install 'zoo[{extra}]'"
        ) from fault


def _asked(place: str, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as fault:  # downloads, archives, formats: each library has errors of its own
        reason = next((line for line in str(fault).splitlines() if line.strip()), type(fault).__name__)
        raise DataError(
            f"{place}: cannot be opened ({' '.join(reason.split())[:300]}). Check the name and the network, or give a "
            "local copy with --data PATH."
        ) from fault


def _by_our_names(place: str, tables: Mapping[str, Any], *, measuring: bool) -> tuple[dict[str, Any], list[str]]:
    splits: dict[str, Any] = {}
    ignored: list[str] = []
    said: list[str] = []
    exact = {SPLIT_NAMES.get(name.casefold()) for name in tables}
    for name, table in tables.items():
        split = SPLIT_NAMES.get(name.casefold())
        if split is None and split_of(name) not in exact:
            split = split_of(name)
            said.append(f"{place}: reads the split '{name}' as {split}")
        if split is None:
            ignored.append(name)
        elif split in splits:
            raise DataError(f"{place}: has two splits that are {split}: {quoted(tables)}; expected one. Rename one.")
        else:
            splits[split] = table
    if "train" not in splits and not (measuring and splits):
        raise DataError(f"{place}: has no split 'train'; it has {quoted(tables) or 'none'}. Rename one of them.")
    ordered = {name: splits[name] for name in ("train", "validation", "test") if name in splits}
    return ordered, [*said, *([f"{place}: ignored the splits {quoted(ignored)}"] if ignored else [])]


def _only(place: str, what: str, candidates: Sequence[str], role: str) -> str:
    if len(candidates) != 1:
        raise DataError(
            f"{place}: has {len(candidates)} {what} columns{f': {quoted(candidates)}' if candidates else ''}; "
            f"expected one. Say which is meant, such as --set data.columns.{role}={next(iter(candidates), 'NAME')}"
        )
    return candidates[0]


def _image(place: str, asked: Asked, images: Sequence[str], features: Mapping[str, Any]) -> str:
    named = _named(place, asked, "path", features)
    if named and named not in images:
        raise DataError(
            f"{place}: data.columns.path names '{named}', which does not hold images; expected one of {quoted(images)}."
        )
    return named or _only(place, "image", images, "path")


def _label(place: str, asked: Asked, declared: Sequence[str], features: Mapping[str, Any]) -> str:
    named = _named(place, asked, "label", features)
    return named or _only(place, "label", declared or [name for name in _LABEL_NAMES if name in features], "label")


def _group(place: str, asked: Asked, features: Mapping[str, Any]) -> str:
    if asked.group and asked.group not in features:
        raise DataError(
            f"{place}: has no column '{asked.group}', which data.group names; it has {quoted(features)}."
            f"{did_you_mean(asked.group, features)}"
        )
    return asked.group or _named(place, asked, "group", features)


def _named(place: str, asked: Asked, role: str, features: Mapping[str, Any]) -> str:
    named = asked.columns.get(role, "")
    if named and named not in features:
        raise DataError(
            f"{place}: has no column '{named}', which data.columns.{role} names; it has {quoted(features)}."
            f"{did_you_mean(named, features)}"
        )
    return named


def _dataset(
    place: str,
    rows: Mapping[str, _Rows],
    *,
    classes: Sequence[str] | None,
    warnings: Sequence[str],
    measuring: bool,
) -> Dataset:
    # The splits of competitions come without labels: -1 by the custom of both libraries.
    unlabelled = [
        name
        for name, split in rows.items()
        if name != "train" and split.labels.dtype.kind in "iu" and bool(np.all(split.labels == -1))
    ]
    rows = {name: split for name, split in rows.items() if name not in unlabelled}
    names, labels = labels_as_indices(
        {f"{place}: the label column of {name}": rows[name].labels for name in rows},
        classes,
        measuring=measuring,
    )
    splits = {
        name: Split(
            images=split.images,
            labels=indices,
            # No value is a number in front of a zero byte: a row without one is a group of its own.
            groups=None
            if split.groups is None
            else tuple(f"\0{name}:{row}" if value is None else str(value) for row, value in enumerate(split.groups)),
        )
        for (name, split), indices in zip(rows.items(), labels, strict=True)
    }
    return Dataset(
        classes=names,
        train=splits.get("train") or Split(images=(), labels=np.zeros(0, np.int64)),
        validation=splits.get("validation"),
        test=splits.get("test"),
        warnings=(*warnings, *([f"{place}: {quoted(unlabelled)} has no labels and is not used"] if unlabelled else [])),
    )


def _as_array(place: str, labels: Sequence[object]) -> np.ndarray:
    try:
        return np.asarray(labels)
    except ValueError as fault:  # lists of different lengths
        raise DataError(
            f"{place}: the labels are lists of different lengths, as of images of several classes; expected one class "
            "for each image. Choose another column with --set data.columns.label=COLUMN"
        ) from fault


def _identity(place: str, known_by: object, count: int) -> str:
    return hashlib.sha256(json.dumps([place, known_by, count], default=str).encode()).hexdigest()


def _text(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
