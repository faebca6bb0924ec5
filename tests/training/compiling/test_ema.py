"""The moving average of the weights: validated, kept, and without effect on training."""

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

import zoo
from tests.tiny import phase, recipe, write_npz
from zoo.backend import devices

MOMENTUM = 0.75


class Weights(keras.callbacks.Callback):
    """Notes the classifier's kernel after each step."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def on_train_batch_end(self, batch, logs=None):
        devices.sync(self.model)
        self.kernels.append(np.asarray(self.model.get_layer("classifier").kernel.value).copy())


def run(folder, data, ema):
    notes = Weights()
    one = phase("head", "head", optimizer="sgd", learning_rate=0.001, schedule="constant")
    made = zoo.finetune(recipe(one, train={"ema": ema, "batch_size": 8}), data, run=folder, callbacks=[notes])
    return made, notes.kernels


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ema")
    data = write_npz(folder / "images.npz")
    return {ema: run(folder / f"run-{ema}", data, ema) for ema in (0.0, MOMENTUM)}


def test_training_is_the_same_bit_by_bit_with_and_without(runs):
    assert [kernel.tobytes() for kernel in runs[MOMENTUM][1]] == [kernel.tobytes() for kernel in runs[0.0][1]]


def test_what_is_kept_is_the_average_by_its_recurrence(runs):
    # a <- m a + (1 - m) w after each step, from the weights after the first (Polyak and Juditsky 1992).
    made, kernels = runs[MOMENTUM]
    average = kernels[0]
    by_step = {}
    for step, kernel in enumerate(kernels, 1):
        average = MOMENTUM * average + (1 - MOMENTUM) * kernel
        by_step[step] = average
    kept = load_file(made.path / "model" / "model.safetensors")["classifier/kernel"]
    np.testing.assert_allclose(kept, by_step[made.record["kept"]["step"]], rtol=1e-5, atol=1e-7)
    assert not np.allclose(kept, kernels[made.record["kept"]["step"] - 1], rtol=1e-5, atol=1e-7)


def test_the_figures_are_those_of_the_average(runs):
    made, _ = runs[MOMENTUM]
    best = max(row["val_accuracy"] for row in made.history)
    assert made.metrics["accuracy"] == pytest.approx(best, abs=1e-6)
