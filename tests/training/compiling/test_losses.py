import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from zoo.recipe.schema import TrainSection
from zoo.registry.losses import LOSSES, LossRow
from zoo.training.compiling.losses import AccuracyOfWeighted, balanced_weights, build_loss
from zoo.training.compiling.mixing import OnMixedLabels

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
    assert value(build_loss(TrainSection(), WEIGHTS), ONE_HOT) == pytest.approx(float(np.ravel(theirs)[0]), rel=1e-5)


def test_balanced_weights_are_scikit_learns():
    labels = np.array([0, 0, 0, 0, 1, 2, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels, 3) == pytest.approx(list(expected))
    assert np.mean(np.array(balanced_weights(labels, 3))[labels]) == pytest.approx(1)


def test_a_weighted_batch_of_two_by_hand():
    likely = np.array([[0.8, 0.2], [0.6, 0.4]], "float32")
    labels = np.array([[0.5, 0], [0, 3]], "float32")
    # -(0.5 ln 0.8 + 3 ln 0.4) / 2 = (0.5 x 0.223144 + 3 x 0.916291) / 2
    loss = build_loss(TrainSection(), weighted=True)
    assert float(loss(labels, likely)) == pytest.approx(1.430222, rel=1e-5)
    # Smoothed by 0.2: 0.9 of the class and 0.1 of the other, within each weight.
    # 0.5 (0.9 x 0.223144 + 0.1 x 1.609438) = 0.180887; 3 (0.9 x 0.916291 + 0.1 x 0.510826) = 2.627233
    smoothed = build_loss(TrainSection(label_smoothing=0.2), weighted=True)
    assert float(smoothed(labels, likely)) == pytest.approx((0.180887 + 2.627233) / 2, rel=1e-5)


@pytest.mark.parametrize("class_weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["crossentropy", "focal"])
def test_a_mixture_of_weighted_labels_costs_what_its_parts_cost(name, smoothing, class_weights):
    train = TrainSection(loss=name, label_smoothing=smoothing)
    one, other, share, heavy, light = ONE_HOT, ONE_HOT[::-1], 0.3, 2.5, 0.4
    mixed = share * heavy * one + (1 - share) * light * other
    plain, weighted = (build_loss(train, class_weights, weighted=how) for how in (False, True))
    expected = share * heavy * value(plain, one) + (1 - share) * light * value(plain, other)
    assert value(weighted, mixed.astype("float32")) == pytest.approx(expected, rel=1e-5)
    # What weighs 1 costs the same to the bit; what weighs nothing costs nothing.
    assert value(weighted, ONE_HOT) == value(plain, ONE_HOT)
    assert value(weighted, np.zeros_like(ONE_HOT)) == 0


def test_images_of_no_weight_are_not_counted_as_recognised():
    accuracy = AccuracyOfWeighted()
    accuracy.update_state(np.diag([0.5, 2, 0]).astype("float32"), PROBABILITIES)
    # The first is class 0 and called so; the second is class 1 and called 2; the third weighs nothing.
    assert float(accuracy.result()) == 0.5


def test_other_losses_by_hand():
    # sum_c y ln(y / p): of a whole label that is -ln p of its class.
    divergence = build_loss(TrainSection(loss="kl_divergence"))
    whole = -(np.log(0.7) + np.log(0.1) + np.log(0.5)) / 3
    assert value(divergence, ONE_HOT) == pytest.approx(whole, rel=1e-4)
    mixed = 0.75 * np.log(0.75 / 0.7) + 0.25 * np.log(0.25 / 0.2) + 0.5 * np.log(0.5 / 0.1) + 0.5 * np.log(0.5 / 0.8)
    assert value(divergence, MIXED) == pytest.approx((mixed + np.log(2)) / 3, rel=1e-4)
    squares = [0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.9**2 + 0.8**2, 0.25**2 + 0.5**2 + 0.25**2]
    squared = build_loss(TrainSection(loss="mean_squared_error"))
    assert value(squared, ONE_HOT) == pytest.approx(sum(squares) / 9, rel=1e-5)


@pytest.fixture
def distance():
    """A loss of a plug-in, whose builder knows nothing of weights and smoothing."""

    class Distance(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.sum(keras.ops.abs(y_true - y_pred) ** 3, axis=-1)

    before = dict(LOSSES._rows)
    LOSSES.register(LossRow(name="distance", summary="", build=lambda: Distance(name="distance")))
    yield lambda labels: (np.abs(labels - PROBABILITIES.astype(float)) ** 3).sum(axis=1)
    LOSSES._rows.clear()
    LOSSES._rows.update(before)


@pytest.mark.parametrize("labels", [ONE_HOT, MIXED], ids=["one-hot", "mixed"])
def test_a_third_loss_has_class_weights_smoothing_and_image_weights(distance, labels):
    def built(class_weights=None, *, weighted=False, **train):
        return build_loss(TrainSection(loss="distance", **train), class_weights, weighted=weighted)

    of_images, by_label = distance(labels), labels.astype(float) @ WEIGHTS
    assert value(built(), labels) == pytest.approx(of_images.mean(), rel=1e-5)
    assert value(built(WEIGHTS), labels) == pytest.approx((by_label * of_images).mean(), rel=1e-5)
    smoothed = distance(labels * 0.7 + 0.1)
    assert value(built(label_smoothing=0.3), labels) == pytest.approx(smoothed.mean(), rel=1e-5)
    assert value(built(WEIGHTS, label_smoothing=0.3), labels) == pytest.approx((by_label * smoothed).mean(), rel=1e-5)
    mass = np.array([0.5, 0.0, 3.0], "float32")
    heavy = built(WEIGHTS, weighted=True)
    expected = (mass * by_label * of_images).mean()
    assert value(heavy, labels * mass[:, None]) == pytest.approx(expected, rel=1e-5)


def test_a_third_loss_is_taken_of_mixed_images(distance):
    beside = np.concatenate([MIXED, PROBABILITIES], axis=1)
    loss = OnMixedLabels(build_loss(TrainSection(loss="distance"), WEIGHTS))
    expected = ((MIXED.astype(float) @ WEIGHTS) * distance(MIXED)).mean()
    assert float(loss(ONE_HOT, beside)) == pytest.approx(expected, rel=1e-5)


def test_options_of_the_focal_loss_by_hand():
    train = TrainSection(loss="focal", loss_options={"gamma": 1.5, "alpha": 0.5})
    assert value(build_loss(train), MIXED) == pytest.approx(by_hand(MIXED, gamma=1.5, alpha=0.5), rel=1e-5)
    weighted = by_hand(MIXED, weights=WEIGHTS, gamma=1.5, alpha=0.5)
    assert value(build_loss(train, WEIGHTS), MIXED) == pytest.approx(weighted, rel=1e-5)
