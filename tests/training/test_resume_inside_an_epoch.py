"""A run that is left after any batch, also between two of a step, comes to the bytes of one that never was."""

from concurrent.futures import Executor, Future

import keras
import pytest
from safetensors.numpy import load_file

import zoo
from tests.tiny import phase, recipe, untimed, write_npz
from zoo.runs import checkpoint, checkpoint_writer
from zoo.training.callbacks import save_interval

# 5 batches an epoch, 3 to a step: steps reach over the ends of epochs.
RECIPE = recipe(
    phase("head", "head"),
    phase("all", "all", optimizer="sgd", learning_rate=0.05),
    model="mnist_conv",
    train={"ema": 0.9, "accumulate": 3, "clip_norm": 1.0, "early_stopping": 3},
    augment={"rotation": 10.0, "zoom": 0.1, "mixup": 0.2, "erasing": 0.3},
)


class LeaveAt(keras.callbacks.Callback):
    """Ends the process's work at a moment of the run."""

    def __init__(self, moment, count):
        super().__init__()
        self.left = count
        setattr(self, moment, self.leave)

    def leave(self, *_, **__):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


class AtOnce(Executor):
    """Does what it is given before it returns, so that no batch's save is left out because another is at work."""

    def __init__(self, **_):
        pass

    def submit(self, work, *arguments):
        done = Future()
        done.set_result(work(*arguments))
        return done


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "images.npz", count=40, val=24)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    return zoo.finetune(RECIPE, data, run=tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture
def _saves_after_each_batch(monkeypatch):
    monkeypatch.setattr(save_interval, "SHORTEST", 0.0)
    monkeypatch.setattr(save_interval, "LONGEST", 0.0)
    monkeypatch.setattr(checkpoint_writer, "ThreadPoolExecutor", AtOnce)


def weights(run):
    arrays = load_file(run.path / "model" / "model.safetensors")
    return {name: array.tobytes() for name, array in arrays.items()}


# Where it is left -> epochs, batches of the next, whether only its validation is missing, steps.
STOPS = {
    ("on_train_batch_end", 1): (0, 1, False, 0),
    ("on_train_batch_end", 3): (0, 4, False, 1),  # of what is left of the epoch
    ("on_test_batch_end", 1): (0, 5, True, 1),
    ("on_train_batch_end", 2): (1, 2, False, 2),  # after what is left, which is the validation
    ("on_epoch_end", 1): (2, 0, False, 3),
    ("on_train_batch_end", 4): (2, 4, False, 4),  # in the second phase
    ("on_test_begin", 2): (3, 5, True, 6),
}


@pytest.mark.usefixtures("_saves_after_each_batch")
@pytest.mark.parametrize(
    "stops",
    [
        pytest.param(list(STOPS), marks=pytest.mark.slow, id="again and again"),
        [("on_train_batch_end", 4), ("on_test_batch_end", 1)],
    ],
)
def test_a_run_that_is_left_inside_of_epochs_ends_bit_for_bit_as_one_that_was_not(whole, data, tmp_path, stops):
    path, found = tmp_path / "left", []
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            zoo.finetune(RECIPE, data, run=path, resume=True, callbacks=LeaveAt(*stop))
        progress = checkpoint.latest(path / "checkpoints").progress
        found.append((progress.epoch, progress.batches_of_epoch, progress.awaits_validation, progress.step))
    assert found == (list(STOPS.values()) if len(stops) == len(STOPS) else [(0, 4, False, 1), (0, 5, True, 1)])
    run = zoo.finetune(None, run=path, resume=True)
    assert untimed(run.history) == untimed(whole.history)
    assert weights(run) == weights(whole)
    assert run.metrics == whole.metrics
    assert run.record["first_losses"] == whole.record["first_losses"]
    assert len(run.record["first_losses"]) == 20
    for one, other in zip(
        *(checkpoint.checkpoints(each.path / "checkpoints")[-1:] for each in (run, whole)), strict=True
    ):
        assert one.progress == other.progress
        assert one.state_arrays().keys() == other.state_arrays().keys()
        for name, array in one.state_arrays().items():
            assert array.tobytes() == other.state_arrays()[name].tobytes(), name


@pytest.mark.usefixtures("_saves_after_each_batch")
def test_nothing_is_saved_twice_while_an_epoch_is_validated(data, tmp_path):
    class Watch(keras.callbacks.Callback):
        written = ()

        def on_test_batch_end(self, batch, logs=None):
            (folder,) = (tmp_path / "run" / "checkpoints").glob("*-before-validation")
            self.written += (folder.stat().st_ino,)

    watch = Watch()
    zoo.finetune(recipe(phase("head", "head", epochs=1)), data, run=tmp_path / "run", callbacks=[watch])
    assert len(watch.written) == 3
    assert len(set(watch.written)) == 1
