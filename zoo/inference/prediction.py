"""From images that were given to predictions, whatever computes the probabilities: batch by batch, in their order."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from zoo.data.given import GivenImage
    from zoo.data.images.settings import Settings

BATCH_SIZE = 32

# From uint8[n, height, width, channels] in [0, 255] to float32[n, ...].
Compute = Callable[["np.ndarray"], "np.ndarray"]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the classifier thinks of one image.

    Attributes:
        path: The image's file, or None for an array.
        label: The likeliest class.
        probability: Its probability.
        probabilities: Every class's, in the order of the classes; they sum to 1.
    """

    path: str | None
    label: str
    probability: float
    probabilities: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns the prediction as plain data."""
        return asdict(self)


def prediction_of(path: str | None, row: "np.ndarray", classes: Sequence[str]) -> Prediction:
    """Names the probabilities of one image.

    Args:
        path: The image's file, or None.
        row: float32[classes].
        classes: Their names, in the order of the row.
    """
    best = int(row.argmax())
    return Prediction(
        path=path,
        label=classes[best],
        probability=float(row[best]),
        probabilities=dict(zip(classes, map(float, row), strict=True)),
    )


def compute_each(
    images: "Iterable[Path | str | GivenImage]", settings: "Settings", compute: Compute
) -> "Iterator[tuple[GivenImage, np.ndarray | DataError]]":
    """Reads images and computes something of them, in batches.

    Args:
        images: The images; an iterator is asked for a batch at a time.
        settings: How they are read.
        compute: Given up to `BATCH_SIZE` of them.

    Yields:
        Each image with its row of what `compute` gives, or with the fault where it cannot be read.
    """
    import numpy as np

    from zoo.data.given import GivenImage, read_each

    given = (one if isinstance(one, GivenImage) else GivenImage(Path(one), str(one)) for one in images)
    while batch := list(itertools.islice(given, BATCH_SIZE)):
        results = dict(enumerate(read_each(batch, settings)))
        pixels = {number: one for number, one in results.items() if not isinstance(one, DataError)}
        if pixels:
            results |= zip(pixels, compute(np.stack(list(pixels.values()))), strict=True)
        yield from zip(batch, results.values(), strict=True)


def predict_each(
    images: "Iterable[Path | str | GivenImage]", settings: "Settings", compute: Compute, classes: Sequence[str]
) -> "Iterator[tuple[GivenImage, Prediction | DataError]]":
    """Classifies images as `compute_each` takes them; one that cannot be read yields its fault instead."""
    for image, found in compute_each(images, settings, compute):
        yield image, found if isinstance(found, DataError) else prediction_of(image.path, found, classes)


def predict_all(images: object, settings: "Settings", compute: Compute, classes: Sequence[str]) -> list[Prediction]:
    """Classifies whatever `Classifier.predict` takes.

    Raises:
        DataError: One is not an image, or of another type, shape or range; the message names it.
    """
    return [
        prediction_of(path, row, classes)
        for paths, rows in compute_batches(images, settings, compute)
        for path, row in zip(paths, rows, strict=True)
    ]


def compute_batches(
    images: object, settings: "Settings", compute: Compute
) -> "Iterator[tuple[list[str | None], np.ndarray]]":
    """Computes something of whatever `Classifier.predict` takes; yields paths and rows, a batch at a time."""
    from zoo.data.given import read_batches

    for paths, pixels in read_batches(images, settings, size=BATCH_SIZE):
        yield paths, compute(pixels)


def read_one(image: object, settings: "Settings") -> "np.ndarray":
    """Reads one photo, as `Classifier.read` does: uint8[height, width, channels] in [0, 255].

    Raises:
        DataError: It is not an image, or more than one.
    """
    from zoo.data.given import read_batches

    found = [pixels for _, batch in read_batches(image, settings, size=2) for pixels in batch[:2]]
    if len(found) != 1:
        raise DataError(f"read: expected one image; found {'none' if not found else 'several'}")
    return found[0]
