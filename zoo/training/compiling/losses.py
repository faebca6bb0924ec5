"""A recipe's loss on soft labels: smoothing and class weights hold for each class's share of a label.

What an image weighs is in its label, whose shares sum up to it; mixed labels weigh what they are mixed of.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from zoo.recipe.schema import DataSection, TrainSection
from zoo.registry.losses import LOSSES
from zoo.training.compiling.plug_ins import checked_loss


class SmoothedLabels(keras.losses.Loss):
    """A loss of labels of which a share is spread evenly over all classes."""

    def __init__(self, loss: keras.losses.Loss, label_smoothing: float) -> None:
        super().__init__(name=loss.name)
        self._loss: Any = loss
        self._smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns float[batch] from labels and probabilities, float[batch, classes]."""
        return self._loss.call(y_true * (1 - self._smoothing) + self._smoothing / y_true.shape[-1], y_pred)


class WeightedByClass(keras.losses.Loss):
    """A loss times what the classes of a label weigh, each by its share of the label.

    On whole labels that is Keras' `class_weight`, which takes the largest class alone, and so is wrong for mixed ones.
    """

    def __init__(self, loss: keras.losses.Loss, class_weights: Sequence[float]) -> None:
        super().__init__(name=loss.name)
        self._loss: Any = loss
        self._weights = np.asarray(class_weights, "float32")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns float[batch] from labels and probabilities, float[batch, classes]."""
        ops: Any = keras.ops
        return ops.sum(self._weights * y_true, axis=-1) * self._loss.call(y_true, y_pred)


class WeightedByLabel(keras.losses.Loss):
    """A loss times what the label weighs: m loss(label / m), where m is the sum of the label's shares.

    The mean is over all images of a batch, those of weight 0 counted, as with Keras' `sample_weight`.
    """

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name=loss.name)
        self._loss: Any = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns float[batch] from labels and probabilities, float[batch, classes]."""
        ops: Any = keras.ops
        mass = ops.sum(y_true, axis=-1)
        divisor = ops.expand_dims(ops.where(mass > 0, mass, ops.ones_like(mass)), -1)
        return mass * self._loss.call(y_true / divisor, y_pred)


class AccuracyOfWeighted(keras.metrics.CategoricalAccuracy):
    """The share of images that are recognised, among those that weigh more than 0."""

    def __init__(self) -> None:
        super().__init__(name="accuracy")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Counts a batch of labels and probabilities, float[batch, classes]."""
        return super().update_state(y_true, y_pred, sample_weight=nonzero_weight(y_true))


def nonzero_weight(labels: Any) -> Any:
    """Returns float32[batch]: 1 for a label that weighs something, else 0."""
    ops: Any = keras.ops
    return ops.cast(ops.sum(labels, axis=-1) > 0, "float32")


def build_loss(
    train: TrainSection, class_weights: Sequence[float] | None = None, *, weighted: bool = False
) -> keras.losses.Loss:
    """Builds a recipe's loss.

    Args:
        train: The recipe's section.
        class_weights: One for each class, or None where all count the same.
        weighted: Whether labels sum up to what their image weighs, instead of to 1.
    """
    loss = _plain_loss(train, class_weights)
    return WeightedByLabel(loss) if weighted else loss


def _plain_loss(train: TrainSection, class_weights: Sequence[float] | None) -> keras.losses.Loss:
    """Builds a loss of labels that sum up to 1, with all that its row does not do itself around it."""
    row = LOSSES.lookup(train.loss)
    given: dict[str, Any] = {
        "class_weights": None if class_weights is None else [float(weight) for weight in class_weights],
        "label_smoothing": train.label_smoothing,
    }
    loss = LOSSES.built(row, **row.filled(train.loss_options), **{name: given[name] for name in row.takes})
    if not row.is_shipped:
        loss = checked_loss(row, loss)
    if train.label_smoothing and "label_smoothing" not in row.takes:
        loss = SmoothedLabels(loss, train.label_smoothing)
    if class_weights is not None and "class_weights" not in row.takes:
        loss = WeightedByClass(loss, class_weights)
    return loss


def class_weights(data: DataSection, labels: np.ndarray, classes: int) -> list[float] | None:
    """Returns the weight of each class that `data.balance` asks for, or None where all count the same.

    Args:
        data: The recipe's section.
        labels: int[n] in [0, classes), of the images that train.
        classes: The number of classes.
    """
    return balanced_weights(labels, classes) if data.balance == "class_weight" else None


def balanced_weights(labels: np.ndarray, classes: int) -> list[float]:
    """Weighs each class against its number of images, so that all classes weigh the same and an image 1 on average.

    Source: King and Zeng 2001 (Logistic Regression in Rare Events Data), as scikit-learn's "balanced".

    Args:
        labels: int[n] in [0, classes); a class without any weighs as one image would.
        classes: The number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    return [float(len(labels) / (classes * max(count, 1))) for count in counts]
