"""A trained classifier: photos in, class names and probabilities out."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, offering
from zoo.inference.prediction import Prediction, compute_batches, compute_each, predict_all, predict_each, read_one
from zoo.inference.sources import check_source, model_folder
from zoo.models.arrays import arrays_of
from zoo.models.blueprint import Blueprint, blueprint_of
from zoo.models.building import build, load_model, rebuild
from zoo.registry import Card
from zoo.registry.fitting import ImageFit
from zoo.system.paths import given_path

if TYPE_CHECKING:
    import keras
    import numpy as np

    from zoo.data.given import GivenImage
    from zoo.data.images.settings import Settings


@dataclass(frozen=True)
class Classifier:
    """A model with its class names and the way that photos are brought to its input size.

    Attributes:
        model: Takes raw pixels in [0, 255], gives probabilities.
    """

    model: "keras.Model"

    def __reduce__(self) -> tuple[Any, ...]:
        # Keras' own way of copying a model knows nothing of classes and of how photos are read.
        return _rebuilt, (self._blueprint, self.model.dtype_policy.name, arrays_of(self.model.weights))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self._blueprint.classes

    @property
    def card(self) -> Card:
        """The architecture's card."""
        return self._blueprint.card

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels."""
        return self._blueprint.input_shape

    @property
    def fit(self) -> ImageFit:
        """How photos are brought to the input size: as in training, or as the weights were measured."""
        return self._blueprint.fit

    @property
    def has_random_weights(self) -> bool:
        """Whether the model is as it was built: no weights were loaded, and it was not trained."""
        return self._blueprint.weights == "none" and self._blueprint.own_fit is None

    @property
    def _blueprint(self) -> Blueprint:
        return blueprint_of(self.model)

    def read(self, image: object) -> "np.ndarray":
        """Reads one photo as the model was trained on them: uint8[height, width, channels] in [0, 255].

        Args:
            image: A path, uint8[height, width(, channels)], a Pillow image, bytes of a file, or an open file.

        Raises:
            DataError: It is not an image, or more than one.
        """
        return read_one(image, self._settings)

    def predict(self, images: object) -> list[Prediction]:
        """Classifies images.

        Args:
            images: A path, or a folder, of which all images are taken; an array; a Pillow image; bytes of a file; an
                open file; or a list, a tuple or an iterator of these.

                An array is uint8 in [0, 255], of any size: one image as [height, width] or [height, width, channels]
                with 1, 3 or 4 channels, several as [n, height, width] or [n, height, width, channels]. Three sides of
                which the last is 1, 3 or 4 are one image. What could be either is refused, with the axis to add. One
                that has the model's height and width is taken as it is; all else is brought to them as `fit` says.

        Returns:
            A prediction for each image, in their order; none for none.

        Raises:
            DataError: One is not an image, or of another type, shape or range; the message names it.

        Example:

            for prediction in zoo.load("runs/pets").predict(["cat.jpg"]):
                print(prediction.label, prediction.probability)
        """
        return predict_all(images, self._settings, self._compute, self.classes)

    def predict_proba(self, images: object) -> "np.ndarray":
        """Computes the probabilities of the classes.

        Args:
            images: See `predict`.

        Returns:
            float32[n, classes], a row for each image; the columns are in the order of `classes`.

        Raises:
            DataError: See `predict`.
        """
        import numpy as np

        rows = [rows for _, rows in compute_batches(images, self._settings, self._compute)]
        return np.concatenate([np.zeros((0, len(self.classes)), np.float32), *rows])

    def predict_each(
        self, images: "Iterable[Path | str | GivenImage]"
    ) -> "Iterator[tuple[GivenImage, Prediction | DataError]]":
        """Classifies images in batches, in their order; one that cannot be read yields its fault instead."""
        return predict_each(images, self._settings, self._compute, self.classes)

    def compute_each(
        self, images: "Iterable[Path | str | GivenImage]", model: "keras.Model"
    ) -> "Iterator[tuple[GivenImage, np.ndarray | DataError]]":
        """Runs the model, or a part of it, over images in batches, in their order.

        Yields:
            Each image with what the model gives, float32[...], or with the fault where it cannot be read.
        """
        from zoo.inference.batches import predict_in_batches

        return compute_each(images, self._settings, lambda pixels: predict_in_batches(model, pixels))

    def _compute(self, pixels: "np.ndarray") -> "np.ndarray":
        """Computes float32[n, classes] of uint8[n, height, width, channels] in [0, 255]."""
        from zoo.inference.batches import predict_in_batches

        return predict_in_batches(self.model, pixels)

    @property
    def _settings(self) -> "Settings":
        from zoo.data.given import settings_for

        return settings_for(self.input_shape, self.fit, model=self.card.name)


def _rebuilt(blueprint: Blueprint, precision: str, arrays: "Mapping[str, np.ndarray]") -> Classifier:
    """Builds a classifier again that was pickled or copied, in this process or another."""
    return Classifier(rebuild(blueprint, arrays, precision=precision))


def load(run: os.PathLike[str] | str) -> Classifier:
    """Loads the classifier of a finished run, of the `model` folder of one, or of a model with pretrained weights.

    The graph is rebuilt from the registry and only numbers are read: nothing in the folder is executed.

    Args:
        run: The run or its folder, or a name of `zoo.list_models()` that has classes of its own.

    Raises:
        NotFoundError: There is no finished run, and no model of this name that has classes of its own.
        WeightsError: The weights are damaged, or cannot be found here.

    Example:

        classifier = zoo.load("runs/quickstart-20260101T120000Z")
    """
    check_source(run)
    folder = model_folder(given_path(run, "the path of the run"))
    with offering(""):  # random weights predict nothing
        return Classifier(build(str(run)) if folder is None else load_model(folder))
