"""What answers: a run, a model or an export, with the runtime that computes it; `predict` and `serve` share it."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from zoo.errors import NotFoundError, shown
from zoo.inference.prediction import Compute, Prediction, predict_all, predict_each, read_one
from zoo.registry.fitting import ImageFit
from zoo.system.paths import given_path

if TYPE_CHECKING:
    import numpy as np

    from zoo.data.given import GivenImage
    from zoo.data.images.settings import Settings
    from zoo.errors import DataError
    from zoo.inference.classifier import Classifier

# `auto` is the fastest that is there and proved: a kept export, else Keras; of an export its own format's.
Runtime = Literal["auto", "keras", "litert", "onnx", "openvino"]
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """A classifier that is ready to answer, whatever computes it.

    Attributes:
        name: The run's, the model's or the export's own.
        classes: Class names in the order of the probabilities.
        input_shape: Height, width and channels.
        fit: How photos are brought to the input size.
        runtime: What computes, with its version, as `keras 3.15.1` or `litert 2.3.0`.
        weights: SHA-256 of the weights, in hex; empty where it is not known.
        compute: From uint8[n, height, width, channels] in [0, 255], n of 1 or more, to float32[n, classes]. One thread
            at a time may call it.
        classifier: The Keras model around it, where Keras computes; None else.
    """

    name: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    fit: ImageFit
    runtime: str
    weights: str
    compute: Compute
    classifier: "Classifier | None" = None

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


def open_answerer(source: os.PathLike[str] | str, runtime: Runtime = "auto", *, threads: int | None = None) -> Answerer:
    """Opens what is to answer.

    Args:
        source: A finished run, its `model` folder, a model with pretrained weights, or an export's folder.
        runtime: What computes; `auto` chooses.
        threads: How many a runtime may use; None for as many as there are cores. Keras has its own setting.

    Raises:
        NotFoundError: There is no such run, model or export, or no such runtime.
        WeightsError: The weights are damaged, or cannot be found here.
    """
    if runtime not in RUNTIMES:
        raise NotFoundError(f"runtime is {shown(runtime)}; expected {', '.join(RUNTIMES)}")
    return answerer_of_keras(source)


def answerer_of_keras(source: os.PathLike[str] | str) -> Answerer:
    """Loads a run or a model by Keras."""
    from importlib.metadata import version

    from zoo.inference.batches import predict_in_batches
    from zoo.inference.classifier import load
    from zoo.inference.sources import weights_of

    classifier = load(source)
    return Answerer(
        name=name_of(source),
        classes=classifier.classes,
        input_shape=classifier.input_shape,
        fit=classifier.fit,
        runtime=f"keras {version('keras')}",
        weights=weights_of(source),
        compute=lambda pixels: predict_in_batches(classifier.model, pixels),
        classifier=classifier,
    )


def name_of(source: os.PathLike[str] | str) -> str:
    """Returns what a run, a model or an export goes by: the folder's own name, or the model's."""
    path = given_path(source, "the path of the run")
    if not path.is_dir():
        return str(source)
    from zoo.models.saving import MODEL_FOLDER

    whole = path.resolve()
    return whole.parent.name if whole.name == MODEL_FOLDER and (whole.parent / "run.json").is_file() else whole.name
