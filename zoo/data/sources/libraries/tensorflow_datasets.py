"""`tfds:NAME`: a data set of TensorFlow Datasets, without TensorFlow.

Images stay as they are stored until they are packed, so that Pillow reads them here as it reads files. Only what the
installed package has is built: no code comes from the data.
"""

from typing import Any

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
    text_of,
    tried,
)
from zoo.errors import DataError
from zoo.registry.sources import SourceRequest


def open_tfds(request: SourceRequest) -> Dataset:
    """Opens a data set of tensorflow-datasets; TensorFlow itself is not needed.

    Args:
        request: Its name as in the catalogue, such as `beans` or `imagenet_resized/64x64`; the folder in which the
            library has prepared it (its `data_dir`), in the array_record format, where None prepares it in the
            library's own folder, downloading it where it is not there yet; and which features hold what.

    Returns:
        The splits that are called train, validation and test, under any of the names that folders may have.

    Raises:
        DataError: The library is missing or fails, or there is not one image feature and one label feature.
    """
    tfds = library("tensorflow_datasets", "tfds")
    name, path, place = request.name, request.path, request.place
    builder = tried(place, lambda: tfds.builder(name, **({} if path is None else {"data_dir": str(path)})))
    if path is not None and not builder.info.splits:
        raise DataError(
            f"{place}: tensorflow-datasets has prepared no '{name}' there; expected the folder that was its data_dir. "
            f"Type: python -c \"import tensorflow_datasets as t; t.data_source('{name}', data_dir='{path}')\""
        )
    features = dict(builder.info.features.items())
    images = [key for key, kind in features.items() if isinstance(kind, tfds.features.Image)]
    image = image_column(place, request, images, features)
    declared = [key for key, kind in features.items() if isinstance(kind, tfds.features.ClassLabel)]
    label = label_column(place, request, declared, features)
    group = group_column(place, request, features)
    as_stored = {image: tfds.decode.SkipDecoding()}
    sources = tried(
        place,
        lambda: (
            tfds.data_source(name, decoders=as_stored) if path is None else builder.as_data_source(decoders=as_stored)
        ),
    )
    splits, ignored = by_our_names(place, sources, measuring=request.measuring)
    return dataset_of(
        place,
        {
            split: _tfds_rows(f"{builder.info.full_name}:{split}", source, image, label, group)
            for split, source in splits.items()
        },
        classes=features[label].names if label in declared else None,
        warnings=ignored,
        measuring=request.measuring,
    )


def _tfds_rows(place: str, source: Any, image: str, label: str, group: str) -> StoredSplit:
    rows = [{key: row[key] for key in (label, group) if key} for row in (source[index] for index in range(len(source)))]
    labels = [text_of(row[label]) for row in rows]
    # The version in the full name stands for the images; what a version has does not change.
    return StoredSplit(
        images=StoredImages(
            identity=split_identity(place, labels, len(source)),
            read=lambda index: source[index][image],
            count=len(source),
        ),
        labels=as_array(place, labels),
        groups=[text_of(row[group]) for row in rows] if group else None,
    )
