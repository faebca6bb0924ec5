"""A trained classifier: photos in, class names and probabilities out."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, NotFoundError
from zoo.fitting import ImageFit
from zoo.models import CARD_FILE, Blueprint, load_model
from zoo.paths import given_path
from zoo.registry import Card
from zoo.runs.folder import RunFolder

if TYPE_CHECKING:
    import keras
    import numpy as np

    from zoo.data.images.decoding import Settings

BATCH_SIZE = 32


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


@dataclass(frozen=True)
class Classifier:
    """A model with its class names and the way that photos are brought to its input size.

    Attributes:
        model: Takes raw pixels in [0, 255], gives probabilities.
    """

    model: "keras.Model"

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
    def _blueprint(self) -> Blueprint:
        return self.model.blueprint

    def read(self, image: object) -> "np.ndarray":
        """Reads one photo as the model was trained on them: uint8[height, width, channels] in [0, 255].

        Args:
            image: A path, uint8[height, width(, channels)], a Pillow image, bytes of a file, or an open file.

        Raises:
            DataError: It is not an image, or more than one.
        """
        from zoo.data.given import read_batches

        found = [pixels for _, batch in read_batches(image, self._settings, size=2) for pixels in batch[:2]]
        if len(found) != 1:
            raise DataError(f"read: expected one image; found {'none' if not found else 'several'}")
        return found[0]

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
        return [
            self._prediction(path, row)
            for paths, rows in self._probabilities(images)
            for path, row in zip(paths, rows, strict=True)
        ]

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

        rows = [rows for _, rows in self._probabilities(images)]
        return np.concatenate([np.zeros((0, len(self.classes)), np.float32), *rows])

    def predict_each(self, paths: Iterable[Path | str]) -> Iterator[tuple[Path, Prediction | DataError]]:
        """Classifies files in batches, in their order; a file that cannot be read yields its fault instead."""
        for path, found in self.compute_each(paths, self.model):
            yield path, found if isinstance(found, DataError) else self._prediction(str(path), found)

    def compute_each(
        self, paths: "Iterable[Path | str]", model: "keras.Model"
    ) -> "Iterator[tuple[Path, np.ndarray | DataError]]":
        """Runs the model, or a part of it, over files in batches, in their order.

        Yields:
            Each path with what the model gives, float32[...], or with the fault where it cannot be read.
        """
        import numpy as np

        from zoo.data.given import GivenImage, read_each
        from zoo.training.feeding import predict_in_batches

        remaining = iter(paths)
        while batch := [Path(path) for path in itertools.islice(remaining, BATCH_SIZE)]:
            results = dict(enumerate(read_each([GivenImage(path, str(path)) for path in batch], self._settings)))
            pixels = {number: one for number, one in results.items() if not isinstance(one, DataError)}
            if pixels:
                results |= zip(pixels, predict_in_batches(model, np.stack(list(pixels.values()))), strict=True)
            yield from zip(batch, results.values(), strict=True)

    def _probabilities(self, images: object) -> "Iterator[tuple[list[str | None], np.ndarray]]":
        from zoo.data.given import read_batches
        from zoo.training.feeding import predict_in_batches

        for paths, pixels in read_batches(images, self._settings, size=BATCH_SIZE):
            yield paths, predict_in_batches(self.model, pixels)

    @property
    def _settings(self) -> "Settings":
        from zoo.data.images.decoding import Settings

        if len(self.input_shape) != 3:
            raise DataError(
                f"model '{self.card.name}' takes input {'x'.join(map(str, self.input_shape))}; expected height, width "
                "and channels to read images; give it arrays itself: classifier.model.predict(...)"
            )
        height, width, channels = self.input_shape
        return Settings(height=height, width=width, channels=channels, fit=self.fit)

    def _prediction(self, path: str | None, row: "np.ndarray") -> Prediction:
        best = int(row.argmax())
        return Prediction(
            path=path,
            label=self.classes[best],
            probability=float(row[best]),
            probabilities=dict(zip(self.classes, map(float, row), strict=True)),
        )


def load(run: Path | str) -> Classifier:
    """Loads the classifier of a finished run, or of the `model` folder of one.

    The graph is rebuilt from the registry and only numbers are read: nothing in the folder is executed.

    Raises:
        NotFoundError: There is no finished run.
        WeightsError: Its weights are damaged.

    Example:

        classifier = zoo.load("runs/quickstart-20260101T120000Z")
    """
    path = given_path(run, "the path of the run")
    if (path / CARD_FILE).is_file():
        return Classifier(load_model(path))
    folder = RunFolder.open(path)
    if not (folder.model / CARD_FILE).is_file():
        raise NotFoundError(
            f"{path}: the run holds no finished model (status {folder.record().get('status')}); "
            f"go on with it: zoo finetune --run {path} --resume"
        )
    return Classifier(load_model(folder.model, precision=folder.record().get("precision") or "float32"))
