"""A trained classifier: photos in, class names and probabilities out."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, NotFoundError
from zoo.fitting import ImageFit
from zoo.models import CARD_FILE, Blueprint, load_model
from zoo.registry import Card
from zoo.runs.folder import RunFolder

if TYPE_CHECKING:
    import keras
    import numpy as np

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

    def read(self, path: Path | str) -> "np.ndarray":
        """Reads a photo as the model was trained on them: uint8[height, width, channels].

        Raises:
            DataError: It is no image.
        """
        from zoo.data import read_image

        if not Path(path).exists():
            raise DataError(f"{path}: there is no such file; expected an image; check the path")
        if Path(path).is_dir():
            raise DataError(f"{path}: holds no images; expected some in the folder or below it")
        height, width, channels = self.input_shape
        return read_image(Path(path), height=height, width=width, channels=channels, **asdict(self.fit))

    def predict(self, images: "Path | str | Sequence[Path | str] | np.ndarray") -> list[Prediction]:
        """Classifies images.

        Args:
            images: A path, several, or uint8[n, height, width(, channels)] in [0, 255] of any size.

        Raises:
            DataError: A file is no image, or the array has another shape or range.

        Example:

            for prediction in zoo.load("runs/pets").predict(["cat.jpg"]):
                print(prediction.label, prediction.probability)
        """
        import numpy as np

        if isinstance(images, str | Path):
            images = [images]
        if not len(images):
            return []
        if isinstance(images, np.ndarray):
            from zoo.training.feeding import predict_in_batches

            return [self._prediction(None, row) for row in predict_in_batches(self.model, self._fit(images))]
        predictions: list[Prediction] = []
        for _, prediction in self.predict_each(images):
            if isinstance(prediction, DataError):
                raise prediction
            predictions.append(prediction)
        return predictions

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

        from zoo.training.feeding import predict_in_batches

        remaining = iter(paths)
        while batch := [Path(path) for path in itertools.islice(remaining, BATCH_SIZE)]:
            pixels: dict[Path, np.ndarray] = {}
            results: dict[Path, np.ndarray | DataError] = {}
            for path in batch:
                try:
                    pixels[path] = self.read(path)
                except DataError as fault:
                    results[path] = fault
            if pixels:
                found = predict_in_batches(model, np.stack(list(pixels.values())))
                results.update(zip(pixels, found, strict=True))
            for path in batch:
                yield path, results[path]

    def _fit(self, images: "np.ndarray") -> "np.ndarray":
        import numpy as np

        from zoo.data import Split, pack

        height, width, channels = self.input_shape
        split = Split(images=images, labels=np.zeros(len(images), dtype=np.int64))
        return pack(split, height=height, width=width, channels=channels, **asdict(self.fit)).images[:]

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
    path = Path(run)
    if (path / CARD_FILE).is_file():
        return Classifier(load_model(path))
    folder = RunFolder.open(path)
    if not (folder.model / CARD_FILE).is_file():
        raise NotFoundError(
            f"{path}: the run holds no finished model (status {folder.record().get('status')}); "
            f"go on with it: zoo finetune --run {path} --resume"
        )
    return Classifier(load_model(folder.model))
