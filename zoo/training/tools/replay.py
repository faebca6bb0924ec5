"""A step that failed, taken again: what it is given, and whether it fails again."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from zoo.backend import devices
from zoo.runs.failed_batch import FailedBatch

# Below, a probability's logarithm is not finite in float32.
_SMALLEST = 1e-38


class StepTakenError(Exception):
    """The step came to an end this time."""


@dataclass
class BeforeTheStep:
    """What a step begins with.

    Attributes:
        weights_not_finite: Paths of weights that hold NaN or infinity.
        largest_weight: Path of the weight with the largest number.
        largest: That number.
        losses: float32[batch], the loss of each image as it is, not augmented; NaN where the model gives none.
    """

    weights_not_finite: list[str] = field(default_factory=list[str])
    largest_weight: str = ""
    largest: float = 0.0
    losses: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))


class Replay(keras.callbacks.Callback):
    """Looks at the model before the step that failed, and ends training after it.

    Attributes:
        before: What the step begins with; None until it has come.
    """

    def __init__(self, failed: FailedBatch, pixels: np.ndarray, labels: np.ndarray) -> None:
        """Prepares.

        Args:
            failed: The step.
            pixels: uint8[batch, height, width, channels] in [0, 255], its images.
            labels: int64[batch], their classes.
        """
        super().__init__()
        self.before: BeforeTheStep | None = None
        self._failed = failed
        self._pixels = pixels
        self._labels = labels
        self._epoch = -1

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch of the run begins."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the model before the step."""
        if not self._is_the_one(batch):
            return
        model: Any = self.model
        devices.sync(model)
        before = BeforeTheStep()
        for weight in model.weights:
            array = np.asarray(weight.value, np.float64)
            if not np.isfinite(array).all():
                before.weights_not_finite.append(weight.path)
            elif array.size and np.abs(array).max() > before.largest:
                before.largest_weight, before.largest = weight.path, float(np.abs(array).max())
        probabilities = np.asarray(devices.predictor(model)(self._pixels), np.float32)
        chosen = probabilities[np.arange(len(self._labels)), self._labels]
        before.losses = -np.log(np.maximum(chosen, _SMALLEST))
        self.before = before

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends training after the step, where it has not failed."""
        if self._is_the_one(batch):
            raise StepTakenError

    def _is_the_one(self, batch: int) -> bool:
        return (self._epoch + 1, batch + 1) == (self._failed.epoch, self._failed.batch)
