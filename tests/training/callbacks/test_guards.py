"""A signal during `fit`: the step is finished and saved, and the run goes on to the bytes of one that never ended."""

import signal

import keras
import pytest

import zoo
from tests.tiny import as_typed, phase, recipe, write_npz
from zoo.errors import Terminated
from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder
from zoo.system import interruption
from zoo.training.callbacks.guards import advice_on_nan

# 5 batches an epoch, and 3 of validation.
RECIPE = recipe(phase("head", "head"))
# The same with 3 to a step, and with all that a checkpoint may hold.
HARD = recipe(
    phase("head", "head"),
    phase("all", "all", epochs=1),
    model="mnist_conv_tiny",
    train={"ema": 0.9, "accumulate": 3},
    augment={"rotation": 10.0},
)


class Signal(keras.callbacks.Callback):
    """Sends a signal at a moment of the run, and counts the batches that are finished."""

    def __init__(self, number, moment, count):
        super().__init__()
        self.number, self.moment, self.left, self.batches = number, moment, count, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.at("train begin")

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        self.at("train end")

    def on_test_batch_begin(self, batch, logs=None):
        self.at("test begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.at("epoch begin")

    def on_epoch_end(self, epoch, logs=None):
        self.at("epoch end")

    def at(self, moment):
        self.left -= moment == self.moment
        if not self.left and self.moment:
            self.moment = ""
            signal.raise_signal(self.number)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "images.npz", count=40, val=24)


MOMENTS = [
    (signal.SIGINT, "train begin", 2, 2),
    (signal.SIGHUP, "test begin", 2, 5),
    (signal.SIGTERM, "epoch end", 1, 5),
    (signal.SIGINT, "train end", 3, 3),
    (signal.SIGTERM, "train end", 4, 4),
    (signal.SIGTERM, "train end", 5, 5),
    (signal.SIGTERM, "epoch end", 2, 10),
    (signal.SIGINT, "train begin", 12, 12),
]


def leave(plan, data, path, *, number, moment, count):
    """Runs a recipe until a signal ends it; returns how many batches were finished."""
    before = [signal.getsignal(one) for one in interruption.SIGNALS]
    ends = KeyboardInterrupt if number == signal.SIGINT else Terminated
    listener = Signal(number, moment, count)
    with pytest.raises(ends) as raised:
        zoo.finetune(plan, data, run=path, callbacks=[listener])
    assert [signal.getsignal(one) for one in interruption.SIGNALS] == before
    assert getattr(raised.value, "code", 130) == 128 + number
    assert raised.value.__notes__ == [f"go on with it: zoo finetune --run {as_typed(path)} --resume"]
    assert RunFolder(path).record().status == "interrupted"
    assert [file for file in path.rglob(".*") if file.is_file()] == []
    return listener.batches


@pytest.mark.parametrize(("number", "moment", "count", "batches"), MOMENTS[:3])
def test_the_batch_is_finished_and_saved_and_none_is_lost(data, tmp_path, number, moment, count, batches):
    assert leave(RECIPE, data, tmp_path / "run", number=number, moment=moment, count=count) == batches
    assert checkpoint.latest(tmp_path / "run" / "checkpoints").progress.batch == batches


@pytest.mark.slow
def test_from_each_moment_a_run_goes_on_to_the_bytes_of_one_that_never_ended(data, tmp_path):
    whole = zoo.finetune(HARD, data, run=tmp_path / "whole")
    model = "model/model.safetensors"
    for number, moment, count, batches in MOMENTS:
        path = tmp_path / f"{moment}-{count}".replace(" ", "-")
        assert leave(HARD, data, path, number=number, moment=moment, count=count) == batches
        assert checkpoint.latest(path / "checkpoints").progress.batch == batches
        run = zoo.finetune(None, run=path, resume=True)
        assert (run.path / model).read_bytes() == (whole.path / model).read_bytes()


def test_before_the_first_batch_a_signal_acts_at_once(data, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(RECIPE, data, run=tmp_path / "run", callbacks=[Signal(signal.SIGINT, "train begin", 1)])
    assert checkpoint.latest(tmp_path / "run" / "checkpoints") is None


def test_a_script_that_is_terminated_is_told_how_to_go_on(data, tmp_path, capsys):
    with pytest.raises(Terminated):
        zoo.finetune(RECIPE, data, run=tmp_path / "run", callbacks=[Signal(signal.SIGTERM, "train end", 2)])
    *_, finishing, last = capsys.readouterr().err.splitlines()
    assert finishing == "finishing the step and saving; once more to exit at once"
    assert last == f"interrupted; go on with it: zoo finetune --run {as_typed(tmp_path / 'run')} --resume"
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(None, run=tmp_path / "run", resume=True, callbacks=[Signal(signal.SIGINT, "train end", 2)])
    assert "interrupted;" not in capsys.readouterr().err


def test_a_second_ctrl_c_raises_at_once(data, tmp_path, monkeypatch):
    class Twice(keras.callbacks.Callback):
        reached = 0

        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                signal.raise_signal(signal.SIGINT)
                monkeypatch.setattr(interruption, "ONE_REQUEST", -1)
                type(self).reached += 1
                signal.raise_signal(signal.SIGINT)
                type(self).reached += 1

    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(RECIPE, data, run=tmp_path / "run", callbacks=[Twice()])
    assert Twice.reached == 1
    assert RunFolder(tmp_path / "run").record().status == "interrupted"


@pytest.mark.parametrize(
    ("keys", "train", "advice"),
    [
        ({}, {}, "try a lower learning rate: --set phases.all.learning_rate=..."),
        ({"learning_rate": 100.0}, {}, "try a lower learning rate: --set phases.all.learning_rate=..."),
        (
            {"learning_rate": 0.5, "weight_decay": 10.0},
            {},
            "each step takes weight_decay x learning_rate = 5 times a weight off it; expected far below 1: "
            "--set phases.all.weight_decay=0.01",
        ),
        (
            {},
            {"loss": "focal", "loss_options": {"gamma": 50.0}},
            "the loss has gamma = 50; expected about 2: --set train.loss_options.gamma=2",
        ),
    ],
)
def test_the_advice_on_nan_fits_the_number_that_is_far_from_what_trains(keys, train, advice):
    asked = recipe(phase("all", "all", **keys), train=train)
    assert advice_on_nan(asked.phases[0], asked.train) == advice
