"""Trackers that replace `keras.Model.fit`: objects that behave as MLflow's autolog does."""

import functools

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, pixels, recipe, write_npz
from zoo.backend import devices
from zoo.training.user_callbacks import trackers

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="said and passed by on other backends"),
]
PLAN = recipe(
    phase("head", "head", epochs=2, learning_rate=1e-2),
    phase("all", "all", epochs=3, learning_rate=1e-3),
    model="mnist_conv_tiny",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "data.npz", count=24, val=8)


class Autolog:
    """Replaces `fit`: reads all of the data set, logs arguments as parameters, adds a callback, saves the model."""

    def __init__(self, folder, stop_at=None):
        self.folder, self.stop_at = folder, stop_at
        self.runs, self.params, self.epochs, self.batches = 0, {}, [], []

    def patched(self, monkeypatch):
        original = keras.Model.fit
        tracker = self

        @functools.wraps(original)
        def fit(model, *args, **kwargs):
            tracker.runs += 1
            dataset = args[0] if args else kwargs["x"]
            tracker.cardinality = int(dataset.cardinality())
            tracker.batches = [images.shape for images, _ in dataset.as_numpy_iterator()]
            tracker.params = {name: kwargs.get(name) for name in ("epochs", "initial_epoch")}

            class Log(keras.callbacks.Callback):
                def on_train_begin(self, logs=None):
                    tracker.params |= {
                        f"opt_{name}": value for name, value in self.model.optimizer.get_config().items()
                    }

                def on_epoch_end(self, epoch, logs=None):
                    tracker.epochs.append((epoch, logs))
                    if epoch == tracker.stop_at:
                        self.model.stop_training = True

            kwargs["callbacks"] = [*(kwargs.get("callbacks") or []), Log()]
            history = original(model, *args, **kwargs)
            model.save(tracker.folder / "logged.keras")
            return history

        fit.__module__ = "mlflow.utils.autologging_utils"
        monkeypatch.setattr(keras.Model, "fit", fit, raising=False)
        return self


def test_a_tracker_sees_one_fit_of_the_whole_model_over_finite_data(data, tmp_path, monkeypatch):
    plain = zoo.finetune(PLAN, data, run=tmp_path / "plain")
    assert trackers.replaced_by() == ""
    seen = []
    tracker = Autolog(tmp_path).patched(monkeypatch)
    assert trackers.replaced_by() == "mlflow"
    listener = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    run = zoo.finetune(PLAN, data, run=tmp_path / "run", callbacks=listener)
    assert (tracker.runs, tracker.cardinality, tracker.batches) == (1, 3, [(8, 28, 28, 1)] * 3)
    assert [epoch for epoch, _ in tracker.epochs] == seen == [0, 1, 2, 3, 4]
    for (_, logs), row in zip(tracker.epochs, run.history, strict=True):
        assert logs == pytest.approx({name: row[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")})
    assert (tracker.params["epochs"], tracker.params["initial_epoch"]) == (5, 0)
    assert tracker.params["opt_name"] == "adamw"
    assert isinstance(tracker.params["opt_learning_rate"], float)
    logged = keras.models.load_model(tmp_path / "logged.keras")
    assert logged.predict(pixels(2)[0][..., np.newaxis], verbose=0).shape == (2, 2)
    # Being looked at changes nothing.
    files = [(one.path / "model" / "model.safetensors").read_bytes() for one in (plain, run)]
    assert files[0] == files[1]


def test_a_trackers_callback_can_stop_the_run(data, tmp_path, monkeypatch):
    Autolog(tmp_path, stop_at=2).patched(monkeypatch)
    run = zoo.finetune(PLAN, data, run=tmp_path / "run")
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert run.record["stopped_by"] == "mlflow"


def test_phases_that_end_early_end_the_trackers_run_with_the_last_epoch(data, tmp_path, monkeypatch):
    tracker = Autolog(tmp_path).patched(monkeypatch)
    flat = recipe(
        phase("head", "head", epochs=9, learning_rate=1e-12),
        phase("all", "all", epochs=9, learning_rate=1e-12),
        model="mnist_conv_tiny",
        train={"early_stopping": 1},
    )
    run = zoo.finetune(flat, data, run=tmp_path / "run")
    assert [epoch + 1 for epoch, _ in tracker.epochs] == [row["epoch"] for row in run.history]
    assert 4 <= len(run.history) < 18
    assert "stopped_by" not in run.record


def test_a_fault_in_a_phase_comes_out_of_the_trackers_fit(data, tmp_path, monkeypatch):
    class Faulty(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise ValueError("a fault of the user's own")

    Autolog(tmp_path).patched(monkeypatch)
    with pytest.raises(ValueError, match="a fault of the user's own"):
        zoo.finetune(PLAN, data, run=tmp_path / "run", callbacks=Faulty())
    run = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5]


def test_another_backend_says_what_is_not_tracked(data, tmp_path, monkeypatch, capsys):
    tracker = Autolog(tmp_path).patched(monkeypatch)
    monkeypatch.setattr(devices, "name", lambda: "other")
    zoo.finetune(PLAN, data, run=tmp_path / "run")
    assert tracker.runs == 0
    assert "warning: mlflow sees nothing of this run on the other backend" in capsys.readouterr().err
