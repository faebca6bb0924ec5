"""A frozen prefix that was run once is not read again in each epoch, and what moves it is found all the same."""

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

import zoo
from tests.tiny import phase, recipe, write_npz
from zoo.errors import ContractError
from zoo.runs import checkpoint

pytestmark = pytest.mark.usefixtures("fresh_cache")
FROZEN = "stage1_1_conv/kernel"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "images.npz", count=20, val=8)


def probe(epochs):
    head = phase("head", "head", epochs=epochs, batchnorm="frozen")
    return recipe(head, model="mnist_conv_tiny", train={"prefix_cache": "required", "deterministic": True})


def reads_of_frozen(data, run, monkeypatch, *, epochs):
    """Trains, and counts how often the value of a frozen weight is asked for."""
    count, value = 0, keras.Variable.value

    def counted(variable):
        nonlocal count
        count += variable.path == FROZEN
        return value.fget(variable)

    with monkeypatch.context() as patched:
        patched.setattr(keras.Variable, "value", property(counted))
        zoo.finetune(probe(epochs), data, run=run)
    return count


def test_more_epochs_read_no_frozen_weight_more_often(data, tmp_path, monkeypatch):
    zoo.finetune(probe(2), data, run=tmp_path / "first")  # computes the activations, which both others find
    few = reads_of_frozen(data, tmp_path / "few", monkeypatch, epochs=2)
    many = reads_of_frozen(data, tmp_path / "many", monkeypatch, epochs=6)
    assert many == few > 0


class Move(keras.callbacks.Callback):
    """Moves a frozen weight in the midst of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.at = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.at = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.at, batch) == (self.epoch, 1):
            kernel = self.model.get_layer("stage1_1_conv").kernel
            kernel.assign(kernel + 1)


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_frozen_weight_that_moved_is_found_and_in_no_checkpoint(data, tmp_path, epoch):
    straight = zoo.finetune(probe(3), data, run=tmp_path / "straight")
    with pytest.raises(ContractError) as raised:
        zoo.finetune(probe(3), data, run=tmp_path / "run", callbacks=[Move(epoch)])
    assert str(raised.value) == f"phase 'head': 1 tensors are frozen, yet moved: {FROZEN}; no checkpoint holds it"
    assert not (tmp_path / "run" / "model").exists()
    assert not (tmp_path / "run" / "manifest.json").exists()
    kept = load_file(straight.path / "model" / "model.safetensors")
    for saved in checkpoint.checkpoints(tmp_path / "run" / "checkpoints"):
        np.testing.assert_array_equal(saved.model_arrays()[FROZEN], kept[FROZEN])
    run = zoo.finetune(None, run=tmp_path / "run", resume=True)
    gone_on = load_file(run.path / "model" / "model.safetensors")
    assert {name: array.tobytes() for name, array in gone_on.items()} == {
        name: array.tobytes() for name, array in kept.items()
    }
