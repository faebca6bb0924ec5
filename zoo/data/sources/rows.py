"""The sources that zoo has, as rows of the open table. A row's reader is imported when it is opened."""

from typing import TYPE_CHECKING

from zoo.registry.sources import SOURCES, SourceRequest, SourceRow

if TYPE_CHECKING:
    from zoo.data.dataset import Dataset


def _folder(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.trees.folders import open_folder

    return open_folder(request)


def _csv(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.lists.listings import read_csv

    return read_csv(request)


def _jsonl(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.lists.listings import read_jsonl

    return read_jsonl(request)


def _npz(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.arrays import open_npz

    return open_npz(request)


def _idx(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.arrays import open_idx

    return open_idx(request)


def _builtin(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.builtins import open_builtin

    return open_builtin(request)


def _hf(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.libraries.hugging_face import open_hf

    return open_hf(request)


def _tfds(request: SourceRequest) -> "Dataset":
    from zoo.data.sources.libraries.tensorflow_datasets import open_tfds

    return open_tfds(request)


_ROWS = (
    SourceRow(
        name="folder",
        summary="a folder with a subfolder of images per class",
        holds="a folder",
        has_groups=True,
        build=_folder,
    ),
    SourceRow(
        name="csv",
        summary="a .csv or .tsv file that lists images",
        is_file=True,
        suffixes=(".csv", ".tsv"),
        has_columns=True,
        has_groups=True,
        build=_csv,
    ),
    SourceRow(
        name="jsonl",
        summary="a .jsonl file that lists images",
        is_file=True,
        suffixes=(".jsonl",),
        has_columns=True,
        has_groups=True,
        build=_jsonl,
    ),
    SourceRow(
        name="npz",
        summary="an archive of arrays, as numpy.savez writes it",
        is_file=True,
        suffixes=(".npz",),
        holds="an archive of arrays",
        build=_npz,
    ),
    SourceRow(name="idx", summary="a folder of IDX files, as MNIST has", holds="a folder of IDX files", build=_idx),
    *(
        SourceRow(
            name=f"builtin:{name}",
            summary=f"{words}, which Keras downloads",
            needs_path=False,
            may_download=True,
            build=_builtin,
        )
        for name, words in (
            ("mnist", "60,000 handwritten digits"),
            ("fashion_mnist", "60,000 pieces of clothing"),
            ("cifar10", "50,000 photos of 10 classes"),
            ("cifar100", "50,000 photos of 100 classes"),
        )
    ),
    SourceRow(
        name="builtin:fashion_sample",
        summary="6,000 pieces of clothing, which ship with zoo",
        needs_path=False,
        takes_path=False,
        build=_builtin,
    ),
    SourceRow(
        name="hf",
        summary="a data set of Hugging Face (zoo[hf])",
        takes_name=True,
        needs_path=False,
        may_download=True,
        has_columns=True,
        has_groups=True,
        extra="hf",
        build=_hf,
    ),
    SourceRow(
        name="tfds",
        summary="a data set of TensorFlow Datasets (zoo[tfds])",
        takes_name=True,
        needs_path=False,
        may_download=True,
        has_columns=True,
        has_groups=True,
        extra="tfds",
        build=_tfds,
    ),
)
for _row in _ROWS:
    SOURCES.register(_row)
