"""Images that are given in code: any object with a length that gives (image, label) for a number."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from PIL import Image

from zoo.data.dataset import Dataset, Split, check_dataset, quoted
from zoo.data.images.decoding import open_image
from zoo.data.sources.arrays import labels_as_indices
from zoo.data.sources.grouping import no_groups
from zoo.errors import DataError, did_you_mean

PLACE = "the data given in code"
_SPLITS = ("train", "validation", "test")
_AN_OBJECT = "an object with len() that gives (image, label) for an index, or a dict of such by train, validation, test"


@runtime_checkable
class LabelledImages(Protocol):
    """What `zoo.finetune(..., data=...)` takes besides a path, as the datasets of PyTorch are.

    An item is (image, label). An image is uint8[height, width] or uint8[height, width, channels] in [0, 255], a Pillow
    image, or the path of a file. A label is a class's name, or its index: into `.classes` where the object has that
    list of names. Where it has `.targets` or `.labels`, one for each item, labels are taken from there.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any:
        """Returns (image, label)."""
        ...


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
            image, _ = _pair(self._source, int(index), self._name)
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


def read_in_code(data: InCode, *, group: str = "") -> Dataset:
    """Opens data that is given in code.

    Labels are taken from `.targets` or `.labels` where an object has them; else each of its items is looked at once.

    Args:
        data: What trains, or a dict of what trains, validates and tests.
        group: The recipe's `data.group`, which such data cannot have.

    Returns:
        The splits. Classes are those of train's `.classes`; else its labels, sorted, as text. Splits whose own
        `.classes` are others or in another order are brought to these by name.

    Raises:
        DataError: No such object, items that are no (image, label), or labels that name no class of train.
    """
    if group:
        raise no_groups("given in code")
    sources = _sources(data)
    names = {split: f"data['{split}']" if isinstance(data, Mapping) else "data" for split in sources}
    classes = _classes(sources["train"], names["train"])
    labels: dict[str, np.ndarray] = {}
    for split, source in sources.items():
        own = _classes(source, names[split])
        labels[names[split]] = _named(_labels(source, names[split]), own or classes, names[split])
    found, indices = labels_as_indices(labels, classes)
    splits = {
        split: Split(images=_images(source, name=names[split]), labels=indices_of)
        for (split, source), indices_of in zip(sources.items(), indices, strict=True)
    }
    dataset = Dataset(
        classes=found,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        warnings=tuple(_changing(source, names[split]) for split, source in sources.items() if _changes(source)),
    )
    return check_dataset(dataset, PLACE)


def _sources(data: object) -> dict[str, LabelledImages]:
    if isinstance(data, Mapping):
        given = cast("Mapping[Any, object]", data)
        for name in given:
            if name not in _SPLITS:
                raise DataError(
                    f"{PLACE} has '{name}'; expected only train, validation and test."
                    f"{did_you_mean(str(name), _SPLITS)} Rename or remove it."
                )
        if "train" not in given:
            raise DataError(f"{PLACE} has no 'train'; it has {quoted(given) or 'nothing'}. Add what trains.")
        listed = {name: given[name] for name in _SPLITS if name in given}
    else:
        listed = {"train": data}
    for name, source in listed.items():
        if not isinstance(source, LabelledImages) or isinstance(source, Mapping | np.ndarray):
            raise DataError(f"{PLACE} is of type {type(source).__name__} for {name}; expected {_AN_OBJECT}.")
        if not len(source):
            raise DataError(f"{PLACE} has no items for {name}; expected one or more. Leave the split out.")
    return cast("dict[str, LabelledImages]", listed)


def _classes(source: LabelledImages, name: str) -> tuple[str, ...] | None:
    classes = getattr(source, "classes", None)
    if classes is None:
        return None
    if isinstance(classes, str) or not all(isinstance(one, str) for one in classes):
        raise DataError(
            f"{name}.classes is {classes!r:.60}; expected the names of the classes, such as ['cat', 'dog']."
        )
    return tuple(classes)


def _labels(source: LabelledImages, name: str) -> np.ndarray:
    for attribute in ("targets", "labels"):
        listed = getattr(source, attribute, None)
        if listed is not None:
            labels = np.asarray(listed)
            if len(labels) != len(source):
                raise DataError(
                    f"{name}.{attribute} has {len(labels)} labels, and {name} has {len(source)} items; "
                    "expected as many. Take both from one place."
                )
            return labels
    labels = [_plain(_pair(source, index, name)[1]) for index in range(len(source))]
    for index, label in enumerate(labels):
        if type(label) not in (int, str):
            raise DataError(f"{name}[{index}]: the label is {label!r:.60}; expected a class's name or its index.")
    at = next((index for index, label in enumerate(labels) if type(label) is not type(labels[0])), None)
    if at is not None:
        raise DataError(
            f"{name}[{at}]: the label is {labels[at]!r}, and that of {name}[0] is {labels[0]!r}; expected names or "
            "numbers throughout."
        )
    return np.asarray(labels)


def _plain(label: Any) -> Any:
    """Takes a number out of an array or a tensor of one."""
    return label.item() if hasattr(label, "item") else label


def _named(labels: np.ndarray, classes: Sequence[str] | None, name: str) -> np.ndarray:
    """Turns indices into the object's own classes into their names."""
    if classes is None or labels.dtype.kind not in "iu" or labels.ndim != 1:
        return labels
    if outside := sorted({int(label) for label in labels if not 0 <= label < len(classes)}):
        raise DataError(
            f"{name}: has the labels {quoted(outside)}; expected 0 to {len(classes) - 1}, one for each of its classes."
        )
    return np.array(classes)[labels]


def _pair(source: LabelledImages, index: int, name: str) -> tuple[Any, Any]:
    item = source[index]
    if not isinstance(item, tuple | list) or len(cast("Sequence[Any]", item)) != 2:
        raise DataError(f"{name}[{index}] is of type {type(item).__name__}; expected (image, label).")
    image, label = cast("Sequence[Any]", item)
    return image, label


def _images(source: LabelledImages, *, name: str) -> "Sequence[Path] | ImagesInCode":
    """Returns files where all items are files, which are then read as files of a folder are."""
    if isinstance(_pair(source, 0, name)[0], str | Path):
        paths = [_pair(source, index, name)[0] for index in range(len(source))]
        if all(isinstance(path, str | Path) for path in paths):
            return tuple(Path(path) for path in paths)
    return ImagesInCode(source, name=name)


def _changes(source: LabelledImages) -> bool:
    """Whether the first image is another when it is asked for again."""
    first, again = (source[0][0] for _ in range(2))
    if isinstance(first, str | Path):
        return False
    return not np.array_equal(np.asarray(first), np.asarray(again))


def _changing(source: LabelledImages, name: str) -> str:
    return f"{name}: an image is another each time that it is read; it is read once, and kept. Let [augment] change it"
