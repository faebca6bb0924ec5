"""Images that are given in code: any object with a length that gives (image, label) for a number."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from zoo.data.dataset import Dataset, Split, check_dataset, of_splits, quoted
from zoo.data.images.decoding import open_image
from zoo.data.sources.arrays import labels_as_indices
from zoo.data.sources.grouping import without_groups
from zoo.data.sources.objects.arrays_in_code import Held, check_axes
from zoo.data.sources.objects.data_frames import read_table
from zoo.data.sources.objects.labelling import LabelledImages, class_names, labels_of, named, pair_of
from zoo.data.sources.objects.libraries_in_code import as_items, as_splits
from zoo.errors import DataError, did_you_mean
from zoo.registry.sources import SourceRequest

PLACE = "the data given in code"
_SPLITS = ("train", "validation", "test")
_AN_OBJECT = (
    "an object with len() that gives (image, label) for an index, arrays (x, y), a data set of TensorFlow, PyTorch or "
    "Hugging Face, or a dict of such by train, validation, test"
)


# One for train alone, or one for each split.
InCode = LabelledImages | Mapping[str, LabelledImages]


class ImagesInCode:
    """The images of an object, read one at a time; no label is looked at.

    The object is asked from one thread at a time: it need not be made for several.
    """

    def __init__(self, source: LabelledImages, *, name: str) -> None:
        self._source = source
        self._name = name
        self._contents: list[str] = []
        self._identity = ""
        self._asking = threading.Lock()

    @property
    def identity(self) -> str:
        """A hash of all pixels: nothing else tells what an object gives. Reads each image once, the first time."""
        if not self._identity:
            digest = hashlib.sha256()
            contents: list[str] = []
            for index in range(len(self)):
                content = _content(self, index)
                digest.update(content)
                contents.append(hashlib.sha256(content).hexdigest())
            self._identity, self._contents = digest.hexdigest(), contents
        return self._identity

    def contents(self) -> list[str]:
        """Returns a hash of each image's pixels; reads each image once, the first time."""
        return self._contents if self.identity else []

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> "Image.Image | np.ndarray":
        """Returns the image of an item, which is opened where the item is a path."""
        with self._asking:
            image, _ = pair_of(self._source, int(index), self._name)
        if isinstance(image, str | Path):
            return open_image(Path(image))
        if isinstance(image, Image.Image):
            return image
        pixels = np.asarray(image)
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
            raise DataError(
                f"{self._name}[{index}]: the image is {pixels.dtype}{list(pixels.shape)}; expected "
                "uint8[height, width, channels] in [0, 255], a Pillow image or a path. Leave "
                "out what makes it a tensor."
            )
        return pixels


def _content(images: ImagesInCode, index: int) -> bytes:
    try:
        image = images[index]
        pixels = np.asarray(image)
    except Exception as fault:  # the caller's code may raise anything; packing reports it
        return f"\n{type(fault).__name__}\n".encode()
    colors = (image.mode, image.getpalette()) if isinstance(image, Image.Image) else None
    return f"\n{colors} {pixels.dtype} {pixels.shape}\n".encode() + np.ascontiguousarray(pixels).tobytes()


def read_in_code(data: InCode, *, group: str = "", columns: Mapping[str, str] | None = None) -> Dataset:
    """Opens data that is given in code.

    Labels are taken from `.targets` or `.labels` where an object has them; else each of its items is looked at once.

    Args:
        data: What trains, or a dict of what trains, validates and tests.
        group: The recipe's `data.group`, which only data frames and data sets of Hugging Face have.
        columns: The recipe's `data.columns`, likewise.

    Returns:
        The splits. Classes are those of train's `.classes`; else its labels, sorted, as text. Splits whose own
        `.classes` are others or in another order are brought to these by name.

    Raises:
        DataError: No such object, items that are not (image, label), or labels that name no class of train.
    """
    if table := read_table(data, PLACE, SourceRequest(group=group, columns=columns or {})):
        return check_dataset(table, PLACE)
    if group:
        raise without_groups("given in code")
    given = as_splits(data, PLACE)
    names = {split: "data" if given is not data and len(given) == 1 else f"data['{split}']" for split in given}
    sources = _sources(given, names)
    classes = class_names(sources["train"], names["train"])
    labels: dict[str, np.ndarray] = {}
    for split, source in sources.items():
        own = class_names(source, names[split])
        labels[names[split]] = named(labels_of(source, names[split]), own or classes, names[split])
    found, indices = labels_as_indices(labels, classes)
    splits = {
        split: Split(images=_images(source, name=names[split]), labels=indices_of)
        for (split, source), indices_of in zip(sources.items(), indices, strict=True)
    }
    warnings = [warning for split, source in sources.items() for warning in _warnings(source, names[split])]
    return check_dataset(of_splits(found, splits, warnings=warnings), PLACE)


def _sources(given: Mapping[str, object], names: Mapping[str, str]) -> dict[str, LabelledImages]:
    for name in given:
        if name not in _SPLITS:
            raise DataError(
                f"{PLACE} has '{name}'; expected only train, validation and test."
                f"{did_you_mean(str(name), _SPLITS)} Rename or remove it."
            )
    if "train" not in given:
        raise DataError(f"{PLACE} has no 'train'; it has {quoted(given) or 'nothing'}. Add what trains.")
    listed = {name: as_items(given[name], names[name]) for name in _SPLITS if name in given}
    for name, source in listed.items():
        if not isinstance(source, LabelledImages) or isinstance(source, Mapping | str | bytes):
            raise DataError(f"{PLACE} is of type {type(source).__name__} for {name}; expected {_AN_OBJECT}.")
        if not len(source):
            raise DataError(f"{PLACE} has no items for {name}; expected one or more. Leave the split out.")
    return cast("dict[str, LabelledImages]", listed)


def _images(source: LabelledImages, *, name: str) -> "Sequence[Path] | np.ndarray | ImagesInCode":
    """Returns files where all items are files, which are then read as files of a folder are; an array as it is.

    Raises:
        DataError: The first image has the axes or the type of none.
    """
    if isinstance(source, Held) and isinstance(source.images, np.ndarray):
        return source.images
    first = pair_of(source, 0, name)[0]
    if isinstance(first, str | Path):
        paths = [pair_of(source, index, name)[0] for index in range(len(source))]
        if all(isinstance(path, str | Path) for path in paths):
            return tuple(Path(path) for path in paths)
    images = ImagesInCode(source, name=name)
    # Once for all: packing would say of each that it cannot be read.
    if not isinstance(first, str | Path | Image.Image):
        pixels = np.asarray(images[0])
        check_axes(pixels.shape, pixels.dtype, f"{name}[0]")
    return images


def _warnings(source: LabelledImages, name: str) -> list[str]:
    warnings: list[str] = [*getattr(source, "warnings", ())]
    if not isinstance(source, Held) and _changes(source):
        warnings.append(_changing(source, name))
    return warnings


def _changes(source: LabelledImages) -> bool:
    """Whether the first image is another when it is asked for again."""
    first, again = (source[0][0] for _ in range(2))
    if isinstance(first, str | Path):
        return False
    return not np.array_equal(np.asarray(first), np.asarray(again))


def _changing(source: LabelledImages, name: str) -> str:
    return f"{name}: an image is another each time that it is read; it is read once, and kept. Let [augment] change it"
