import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from zoo.recipe.schema import TrainSection
from zoo.training.losses import balanced_weights, build_loss

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]], "float32")
ONE_HOT = np.eye(3, dtype="float32")[[0, 1, 1]]
MIXED = np.array([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]], "float32")
WEIGHTS = [0.5, 2.0, 4.0]


def value(loss, labels):
    return float(loss(labels, PROBABILITIES))


def by_hand(labels, *, weights=(1, 1, 1), smoothing=0.0, gamma=0.0, alpha=1.0):
    """The sum over classes, written out image by image."""
    total = 0.0
    for label, likely in zip(labels.astype(float), PROBABILITIES.astype(float), strict=True):
        for weight, share, p in zip(weights, label, likely, strict=True):
            share = share * (1 - smoothing) + smoothing / 3
            total -= weight * share * alpha * (1 - p) ** gamma * np.log(p)
    return total / len(labels)


@pytest.mark.parametrize("labels", [ONE_HOT, MIXED], ids=["one-hot", "mixed"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["crossentropy", "focal"])
def test_the_loss_by_hand(name, smoothing, labels):
    train = TrainSection(loss=name, label_smoothing=smoothing)
    focus = {"gamma": 2, "alpha": 0.25} if name == "focal" else {}
    expected = by_hand(labels, smoothing=smoothing, **focus)
    assert value(build_loss(train), labels) == pytest.approx(expected, rel=1e-5)
    assert value(build_loss(train, [1, 1, 1]), labels) == pytest.approx(expected, rel=1e-5)
    weighted = by_hand(labels, weights=WEIGHTS, smoothing=smoothing, **focus)
    assert value(build_loss(train, WEIGHTS), labels) == pytest.approx(weighted, rel=1e-5)
    assert weighted != pytest.approx(expected, rel=1e-2)


def test_on_whole_labels_it_is_keras_class_weight():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    model.compile("sgd", "categorical_crossentropy")
    theirs = model.test_on_batch(PROBABILITIES, ONE_HOT, sample_weight=np.array(WEIGHTS)[ONE_HOT.argmax(axis=1)])
    # Keras divides by the number of images too, not by the sum of the weights.
    assert value(build_loss(TrainSection(), WEIGHTS), ONE_HOT) == pytest.approx(
        theirs if np.isscalar(theirs) else theirs[0], rel=1e-5
    )


def test_balanced_weights_are_scikit_learns():
    labels = np.array([0, 0, 0, 0, 1, 2, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels, 3) == pytest.approx(list(expected))
    assert np.mean(np.array(balanced_weights(labels, 3))[labels]) == pytest.approx(1)
