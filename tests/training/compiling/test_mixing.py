"""Mixed images hold their classes in the shares that their labels say."""

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe, write_npz
from zoo.recipe.schema import TrainSection
from zoo.training.compiling.losses import build_loss
from zoo.training.compiling.mixing import AccuracyOnMixedLabels, Mixing, OnMixedLabels

VALUES = np.array([0.0, 10.0, 100.0, 250.0])


def mixed(layer, classes, *, training=True):
    """Each image is of one value, that of its class: its mean then says what it holds."""
    images = np.broadcast_to(VALUES[classes][:, None, None, None], (len(classes), 20, 30, 2)).astype("float32")
    return tuple(np.asarray(array) for array in layer(images, np.eye(4, dtype="float32")[classes], training=training))


@pytest.mark.parametrize(
    "ways", [{"mixup": 0.4, "cutmix": 0.0}, {"mixup": 0.0, "cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}]
)
def test_labels_are_the_shares_of_what_is_in_the_image(ways):
    layer = Mixing(**ways)
    classes = np.array([0, 1, 2, 3, 3])
    shares = []
    blended = 0
    for _ in range(40):
        images, labels = mixed(layer, classes)
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), labels @ VALUES, rtol=1e-4, atol=1e-3)
        assert {tuple(np.flatnonzero(row)) for row in labels} <= {(0, 3), (1, 3), (2,), (0,), (1,), (3,)}
        shares.append(float(labels[0, 0]))
        blended += not np.isin(images, VALUES).all()
    assert len(set(shares)) > 20
    # A cut leaves every pixel one of the two; an addition none.
    assert {"cut": blended == 0, "add": blended == 40, "both": 5 < blended < 35}[
        "both" if all(ways.values()) else "add" if ways["mixup"] else "cut"
    ]


def test_outside_of_training_nothing_is_mixed():
    images, labels = mixed(Mixing(mixup=1.0, cutmix=1.0), np.array([1, 2]), training=False)
    np.testing.assert_array_equal(images[:, 0, 0, 0], [10, 100])
    np.testing.assert_array_equal(labels, np.eye(4)[[1, 2]])


def test_the_mean_of_lambda_is_a_half_and_its_spread_that_of_beta():
    layer = Mixing(mixup=0.3, cutmix=0.0)
    shares = np.array([mixed(layer, np.array([0, 1]))[1][0, 0] for _ in range(400)])
    # Var Beta(a, a) = 1 / (4 (2 a + 1)).
    assert shares.mean() == pytest.approx(0.5, abs=0.07)
    assert shares.var() == pytest.approx(1 / (4 * 1.6), rel=0.15)


def test_loss_and_accuracy_take_the_mixed_labels():
    labels = np.array([[0.7, 0.3], [0.2, 0.8]], "float32")
    likely = np.array([[0.6, 0.4], [0.9, 0.1]], "float32")
    whole = np.eye(2, dtype="float32")[[0, 0]]  # what `fit` hands over; not to be used
    beside = np.concatenate([labels, likely], axis=1)
    for train, weights in ((TrainSection(), None), (TrainSection(loss="focal", label_smoothing=0.1), [1.0, 3.0])):
        loss = build_loss(train, weights)
        assert float(OnMixedLabels(loss)(whole, beside)) == pytest.approx(float(loss(labels, likely)), rel=1e-6)
    accuracy = AccuracyOnMixedLabels()
    accuracy.update_state(whole, beside)
    assert float(accuracy.result()) == 0.5


def test_mixed_labels_weigh_what_they_are_mixed_of():
    labels = np.array([[0.7, 0.0], [0.5, 1.5], [0.0, 0.0]], "float32")
    likely = np.array([[0.6, 0.4], [0.9, 0.1], [0.8, 0.2]], "float32")
    beside = np.concatenate([labels, likely], axis=1)
    whole = np.eye(2, dtype="float32")[[0, 0, 0]]
    # -(0.7 ln 0.6 + 0.5 ln 0.9 + 1.5 ln 0.1) / 3
    loss = OnMixedLabels(build_loss(TrainSection(), weighted=True))
    assert float(loss(whole, beside)) == pytest.approx((0.357578 + 0.052680 + 3.453878) / 3, rel=1e-5)
    accuracy = AccuracyOnMixedLabels(weighted=True)
    accuracy.update_state(whole, beside)
    assert float(accuracy.result()) == 0.5


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def test_a_run_with_both_and_class_weights_learns_and_goes_on_bit_by_bit(tmp_path):
    data = write_npz(tmp_path / "data.npz", count=64)
    plan = recipe(
        phase("all", "all", epochs=4, learning_rate=2e-3, schedule="constant"),
        augment={"mixup": 0.2, "cutmix": 1.0, "translation": 0.05},
        data={"balance": "class_weight"},
    )
    straight = zoo.finetune(plan, data, run=tmp_path / "straight")
    assert straight.metrics["accuracy"] > 0.9
    # Mixed labels cannot be met in full; whole ones can.
    assert straight.history[-1]["val_loss"] < straight.history[-1]["loss"]
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, data, run=tmp_path / "stopped", callbacks=[Stop()])
    again = zoo.finetune(None, run=tmp_path / "stopped", resume=True)
    for one, other in zip(straight.model.weights, again.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path
    assert straight.model.inputs[0].shape == (None, 28, 28, 1)
