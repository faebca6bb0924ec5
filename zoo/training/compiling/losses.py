"""Losses by name, on soft labels: smoothing, class weights and focus apply to each class's share of a label.

What an image weighs is in its label, whose shares sum up to it; mixed labels weigh what they are mixed of.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from zoo.recipe.schema import DataSection, TrainSection

# Lin et al. 2017 (arXiv:1708.02002), section 4.1.
FOCAL_GAMMA, FOCAL_ALPHA = 2.0, 0.25


class ClassWeighted(keras.losses.Loss):
    """A sum over classes, each with its weight: -sum_c weight_c label_c focus(p_c) log p_c.

    Keras' `class_weight` takes the weight of a label's largest class, which is wrong for mixed labels.
    """

    def __init__(self, class_weights: Sequence[float], *, label_smoothing: float, gamma: float, alpha: float) -> None:
        super().__init__(name="class_weighted")
        self._weights = np.asarray(class_weights, "float32")
        self._smoothing = label_smoothing
        self._gamma = gamma
        self._alpha = alpha

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns float[batch] from labels and probabilities, float[batch, classes]."""
        ops: Any = keras.ops
        labels = y_true * (1 - self._smoothing) + self._smoothing / len(self._weights)
        likely = ops.clip(y_pred, keras.config.epsilon(), 1 - keras.config.epsilon())
        focus = self._alpha * (1 - likely) ** self._gamma
        return -ops.sum(self._weights * labels * focus * ops.log(likely), axis=-1)


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
    focal = train.loss == "focal"
    if class_weights is not None:
        gamma, alpha = (FOCAL_GAMMA, FOCAL_ALPHA) if focal else (0.0, 1.0)
        return ClassWeighted(class_weights, label_smoothing=train.label_smoothing, gamma=gamma, alpha=alpha)
    if focal:
        return keras.losses.CategoricalFocalCrossentropy(
            alpha=FOCAL_ALPHA, gamma=FOCAL_GAMMA, label_smoothing=train.label_smoothing
        )
    return keras.losses.CategoricalCrossentropy(label_smoothing=train.label_smoothing)


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
