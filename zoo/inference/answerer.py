"""What answers, whatever computes it: a run, a model or an export that is open."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.inference.prediction import Compute, Prediction, predict_all, predict_each, read_one
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    import numpy as np

    from zoo.data.given import GivenImage
    from zoo.data.images.settings import Settings
    from zoo.errors import DataError
    from zoo.inference.classifier import Classifier


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """A classifier that is ready to answer, whatever computes it.

    Attributes:
        name: The run's, the model's or the export's own.
        classes: Class names in the order of the probabilities.
        input_shape: Height, width and channels.
        fit: How photos are brought to the input size.
        runtimes: What computes, with its version, as `keras 3.15.1` or `litert 2.3.0`; where that failed behind some
            answers, what computes since is added.
        weights: SHA-256 of the weights, in hex; empty where it is not known.
        compute: From uint8[n, height, width, channels] in [0, 255], n of 1 or more, to float32[n, classes]. One thread
            at a time may call it.
        classifier: The Keras model around it, where Keras computes; None else.
    """

    name: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    fit: ImageFit
    runtimes: list[str]
    weights: str
    compute: Compute
    classifier: "Classifier | None" = None

    @property
    def runtime(self) -> str:
        """What computes now."""
        return self.runtimes[-1]

    @property
    def settings(self) -> "Settings":
        """How images are read: by the code that reads them for training."""
        from zoo.data.given import settings_for

        return settings_for(self.input_shape, self.fit, model=self.name)

    def read(self, image: object) -> "np.ndarray":
        """Reads one image as `Classifier.read` does: uint8[height, width, channels] in [0, 255].

        Raises:
            DataError: It is not an image, or more than one.
        """
        return read_one(image, self.settings)

    def predict(self, images: object) -> list[Prediction]:
        """Classifies images as `Classifier.predict` does, in their order.

        Raises:
            DataError: One is not an image, or of another type, shape or range; the message names it.
        """
        return predict_all(images, self.settings, self.compute, self.classes)

    def predict_each(
        self, images: "Iterable[Path | str | GivenImage]"
    ) -> "Iterator[tuple[GivenImage, Prediction | DataError]]":
        """Classifies images in batches, in their order; one that cannot be read yields its fault instead."""
        return predict_each(images, self.settings, self.compute, self.classes)


@dataclass
class FirstBatch:
    """The first images that an answerer has classified, and what it gave for them.

    Attributes:
        pixels: uint8[n, height, width, channels] in [0, 255]; None before the first batch.
        probabilities: float32[n, classes].
    """

    pixels: "np.ndarray | None" = None
    probabilities: "np.ndarray | None" = None

    def noticing(self, answerer: Answerer) -> Answerer:
        """Returns an answerer that notes its first batch here."""

        def compute(pixels: "np.ndarray") -> "np.ndarray":
            given = answerer.compute(pixels)
            if self.pixels is None:
                self.pixels, self.probabilities = pixels, given
            return given

        return replace(answerer, compute=compute)
