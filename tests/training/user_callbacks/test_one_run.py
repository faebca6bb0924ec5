"""What callbacks of users see of a run with several phases."""

import csv
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import environment, phase, pixels, recipe, write_npz
from zoo.errors import RecipeError, ZooError
from zoo.training.user_callbacks.one_run import check_callbacks, check_monitors

# Keras' own files are written by h5py, which asks NumPy for a copy in a way that it warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGES, LABELS = pixels(8)
IMAGES = IMAGES[..., np.newaxis]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "data.npz", count=24, val=8)


def two_phases(**sections):
    """The prefix is cached in the first phase, unless images are augmented."""
    first = phase("head", "head", epochs=2, learning_rate=1e-2)
    return recipe(first, phase("all", "all", epochs=3, learning_rate=1e-3), model="mnist_conv_tiny", **sections)


class Witness(keras.callbacks.Callback):
    """Writes down what it sees, and looks at the model as users do."""

    def __init__(self, folder=None):
        super().__init__()
        self.folder, self.seen, self.events, self.probabilities, self.batches = folder, [], [], [], []

    def on_train_begin(self, logs=None):
        self.events.append("train begins")
        self.params_then = dict(self.params)

    def on_train_end(self, logs=None):
        self.events.append("train ends")
        self.last = logs

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)

    def on_test_begin(self, logs=None):
        self.events.append("test")

    def on_epoch_end(self, epoch, logs=None):
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        self.seen.append((epoch, self.params["phase"], sorted(logs), step))
        self.probabilities.append(self.model.predict(IMAGES, verbose=0))
        if self.folder:
            self.model.save(self.folder / f"{epoch}.keras")
            self.model.save_weights(self.folder / f"{epoch}.weights.h5")


@pytest.mark.parametrize(
    "augment",
    [{}, {"mixup": 0.3}, {"flip": "horizontal", "rotation": 5.0}, {"flip": "horizontal", "views": 1}],
    ids=["prefix cache", "mixup", "augmentation", "views"],
)
def test_callbacks_see_one_training_of_the_whole_model(data, tmp_path, augment):
    witness = Witness(tmp_path)
    run = zoo.finetune(two_phases(augment=augment), data, run=tmp_path / "run", callbacks=witness)
    metrics = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert witness.seen == [(epoch, "head" if epoch < 2 else "all", metrics, 3 * (epoch + 1)) for epoch in range(5)]
    assert witness.batches == [0, 1, 2] * 5
    assert witness.events == ["train begins", *["test"] * 5, "train ends"]
    assert witness.params_then == {"verbose": 0, "epochs": 5, "steps": 3, "phase": "head"}
    assert witness.last["val_loss"] == pytest.approx(run.history[-1]["val_loss"], rel=1e-6)
    # Validation is measured by us on the same weights: the witness' model is the one that was validated.
    x, y = (np.load(data)[key] for key in ("x_val", "y_val"))
    for epoch in (1, 4):
        row = run.history[epoch]
        saved = keras.models.load_model(tmp_path / f"{epoch}.keras")
        np.testing.assert_array_equal(saved.predict(IMAGES, verbose=0), witness.probabilities[epoch])
        bare = zoo.build("mnist_conv_tiny", classes=["cat", "dog"], weights=tmp_path / f"{epoch}.weights.h5")
        np.testing.assert_array_equal(bare.predict(IMAGES, verbose=0), witness.probabilities[epoch])
        likely = saved.predict(x[..., np.newaxis], verbose=0)[np.arange(len(y)), y]
        assert float(-np.log(likely).mean()) == pytest.approx(row["val_loss"], rel=1e-4)


@pytest.mark.slow
def test_what_a_callback_saved_is_loaded_by_keras_alone_and_trains_on(data, tmp_path):
    plan = two_phases(train={"ema": 0.9, "accumulate": 2, "loss": "focal"}, data={"balance": "class_weight"})
    zoo.finetune(plan, data, run=tmp_path / "run", callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "x.keras")])
    code = (
        "import sys, warnings; warnings.simplefilter('error', UserWarning); import keras, numpy as np\n"
        "model = keras.models.load_model(sys.argv[1]); assert 'zoo' not in sys.modules\n"
        "assert type(model.optimizer) is keras.optimizers.AdamW\n"
        "x = np.zeros((4, 28, 28, 1)); y = np.eye(2)[[0, 1, 0, 1]]\n"
        "print(len(model.fit(x, y, verbose=0).history['loss']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.keras"], capture_output=True, text=True, env=environment()
    )
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr


def test_the_rate_schedule_survives_what_keras_does_with_configs():
    from zoo.training.compiling.schedules import KerasSchedule, LearningRateSchedule, RisingRate

    for rate in (
        LearningRateSchedule(peak=0.1, schedule="one_cycle", batches=20, warmup=0.1),
        RisingRate(lowest=1e-5, highest=1.0, steps=20),
    ):
        config = keras.saving.serialize_keras_object(rate.for_optimizer())
        again = keras.saving.deserialize_keras_object(config)
        assert isinstance(again, KerasSchedule)
        assert [float(again(step)) for step in range(20)] == [float(rate.for_optimizer()(step)) for step in range(20)]


def test_csv_files_histories_and_names_of_files_count_the_runs_epochs(data, tmp_path):
    history = keras.callbacks.History()
    lines = []
    given = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        [history, keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: lines.append(epoch))],
        keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}-{val_accuracy:.1f}.weights.h5", save_weights_only=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "step-{epoch}-{batch}.keras", save_freq=4),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True, monitor="val_loss"),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ProgbarLogger(),
    ]
    run = zoo.finetune(two_phases(), data, run=tmp_path / "run", callbacks=given)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [float(row["val_loss"]) for row in rows] == pytest.approx([row["val_loss"] for row in run.history])
    assert history.epoch == lines == [0, 1, 2, 3, 4]
    assert history.history["loss"] == pytest.approx([row["loss"] for row in run.history])
    names = sorted(path.name[:2] for path in tmp_path.glob("0*.weights.h5"))
    assert names == ["01", "02", "03", "04", "05"]
    # 15 batches, one file every four: the run's batches are counted, not each phase's.
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [
        "step-2-1.keras",
        "step-3-2.keras",
        "step-4-3.keras",
    ]
    best = min(range(5), key=lambda epoch: run.history[epoch]["val_loss"])
    saved = keras.models.load_model(tmp_path / "best.keras").get_weights()
    kept = zoo.build(
        "mnist_conv_tiny", classes=["cat", "dog"], weights=next(tmp_path.glob(f"0{best + 1}-*.h5"))
    ).get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(saved, kept, strict=True))


def test_tensorboard_has_every_epoch_once_and_the_graph(data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = keras.callbacks.TensorBoard(tmp_path / "board", histogram_freq=1, update_freq="batch", write_images=True)
    zoo.finetune(two_phases(), data, run=tmp_path / "run", callbacks=[board])
    written = EventAccumulator(str(tmp_path / "board" / "train"), size_guidance={"tensors": 0})
    written.Reload()
    tags = written.Tags()["tensors"]
    assert "keras" in tags
    assert [event.step for event in written.Tensors("epoch_loss")] == [0, 1, 2, 3, 4]
    assert [event.step for event in written.Tensors("epoch_learning_rate")] == [0, 1, 2, 3, 4]
    steps = [event.step for event in written.Tensors("batch_loss")]
    assert steps == sorted(set(steps))
    assert max(steps) > 9  # those of the second phase, 9 batches, come after the 6 of the first
    validated = EventAccumulator(str(tmp_path / "board" / "validation"), size_guidance={"tensors": 0})
    validated.Reload()
    assert [event.step for event in validated.Tensors("evaluation_loss_vs_iterations")] == [3, 6, 9, 12, 15]


def test_a_callback_that_stops_stops_the_run_and_says_so(data, tmp_path, capsys):
    early = keras.callbacks.EarlyStopping("val_loss", min_delta=100, patience=0, restore_best_weights=True)
    history = keras.callbacks.History()
    run = zoo.finetune(two_phases(), data, run=tmp_path / "run", callbacks=[early, history])
    assert (len(run.history), history.epoch) == (2, [0, 1])
    assert run.record["status"] == "done"
    assert run.record["stopped_by"] == "EarlyStopping"
    assert "EarlyStopping stopped the run after epoch 2; left out: all\n" in capsys.readouterr().err

    class InTheMidst(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    run = zoo.finetune(two_phases(), data, run=tmp_path / "again", callbacks=[InTheMidst()])
    assert [(row["epoch"], row["step"]) for row in run.history] == [(1, 3)]  # the epoch is finished first


def test_weights_that_a_callback_leaves_at_the_end_are_not_the_runs(data, tmp_path):
    class Spoil(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            self.model.set_weights([np.zeros_like(weight) for weight in self.model.get_weights()])

    plain = zoo.finetune(two_phases(), data, run=tmp_path / "plain")
    run = zoo.finetune(two_phases(), data, run=tmp_path / "run", callbacks=Spoil())
    files = [(one.path / "model" / "model.safetensors").read_bytes() for one in (plain, run)]
    assert files[0] == files[1]


def test_epochs_count_on_when_a_run_is_resumed(data, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(two_phases(), data, run=tmp_path / "run", callbacks=Stop())
    witness = Witness()
    zoo.finetune(None, run=tmp_path / "run", resume=True, callbacks=(witness,))
    assert [(epoch, name, step) for epoch, name, _, step in witness.seen] == [(3, "all", 12), (4, "all", 15)]
    assert witness.events[0] == "train begins"


@pytest.mark.slow
def test_callbacks_change_nothing(data, tmp_path):
    board = keras.callbacks.TensorBoard(tmp_path / "board")
    runs = [
        zoo.finetune(two_phases(), data, run=tmp_path / name, callbacks=callbacks)
        for name, callbacks in {"none": None, "some": [Witness(tmp_path), board]}.items()
    ]
    files = [(run.path / "model" / "model.safetensors").read_bytes() for run in runs]
    assert files[0] == files[1]


class Own(keras.callbacks.ReduceLROnPlateau):
    pass


@pytest.mark.parametrize(
    ("callbacks", "text"),
    [
        (
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
            "callbacks holds LearningRateScheduler, which cannot",
        ),
        (
            [Own()],
            "callbacks holds Own, which cannot work here: the recipe decides the learning rate: --set phases.NAME",
        ),
        (
            keras.callbacks.BackupAndRestore("x"),
            "which cannot work here: a run saves itself and goes on: zoo.finetune(",
        ),
        (
            keras.callbacks.SwapEMAWeights(),
            "which cannot work here: the recipe averages weights, and validates and keeps",
        ),
        (
            keras.callbacks.ModelCheckpoint,
            "callbacks holds the class ModelCheckpoint; expected an object of it. Call it",
        ),
        (
            [keras.callbacks.History],
            "callbacks holds the class History; expected an object of it. Call it: History(...)",
        ),
        (
            "tensorboard",
            "callbacks holds 'tensorboard', which is not a Keras callback; expected objects of classes that",
        ),
        ([None], "callbacks holds None, which is not a Keras callback;"),
        ([keras.callbacks.History(), "csv"], "callbacks holds 'csv', which is not a Keras callback;"),
        ({"a": keras.callbacks.History()}, "callbacks holds dict, which is not a Keras callback;"),
        (3, "callbacks holds 3, which is not a Keras callback;"),
        (lambda: None, "callbacks holds function, which is not a Keras callback;"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(tmp_path, callbacks, text):
    with pytest.raises(RecipeError) as raised:
        zoo.finetune(two_phases(), tmp_path, run=tmp_path / "run", callbacks=callbacks)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_callbacks_are_taken_as_keras_takes_them():
    one, other = keras.callbacks.History(), keras.callbacks.TerminateOnNaN()
    assert check_callbacks(None) == check_callbacks(()) == []
    assert (
        check_callbacks(one) == check_callbacks([one]) == check_callbacks(keras.callbacks.CallbackList([one])) == [one]
    )
    assert check_callbacks([one, (other,)]) == check_callbacks(callback for callback in (one, other)) == [one, other]


def test_a_package_that_a_callback_needs_is_asked_for_before_training(monkeypatch):
    board = keras.callbacks.TensorBoard("x")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        RecipeError, match="holds TensorBoard, which needs the package tensorboard; it is not installed"
    ):
        check_callbacks(board)


@pytest.mark.parametrize(
    ("callback", "validates", "text"),
    [
        (
            lambda: keras.callbacks.EarlyStopping("val_auc"),
            True,
            "EarlyStopping needs 'val_auc'; a run gives it loss, ",
        ),
        (
            lambda: keras.callbacks.EarlyStopping(),
            False,
            "needs 'val_loss'; a run (without validation images) gives it",
        ),
        (lambda: keras.callbacks.ModelCheckpoint("x.keras", "val_acc", save_best_only=True), True, "needs 'val_acc'"),
        (
            lambda: keras.callbacks.ModelCheckpoint("{val_acc:.2f}.keras"),
            True,
            "ModelCheckpoint needs 'val_acc'; a run",
        ),
        (
            lambda: keras.callbacks.ModelCheckpoint("{val_loss}.keras", save_freq=3),
            True,
            "gives it loss, accuracy; choose",
        ),
    ],
)
def test_a_metric_that_a_run_does_not_give_is_refused(callback, validates, text):
    with pytest.raises(RecipeError) as raised:
        check_monitors([callback()], validates=validates)
    assert text in str(raised.value)
    check_monitors([keras.callbacks.ModelCheckpoint("{epoch}-{loss:.2f}.keras")], validates=False)


def test_a_callback_of_ones_own_that_sets_the_rate_is_refused_with_what_decides_it(data, tmp_path):
    class Halve(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.5

    with pytest.raises(
        ZooError, match=r"a callback sets the learning rate to 0\.5, which the recipe decides; change the"
    ):
        zoo.finetune(two_phases(), data, run=tmp_path / "run", callbacks=Halve())


@pytest.mark.slow
def test_half_precision_scales_the_loss_in_every_phase_and_its_files_are_loaded_and_trained_on(data, tmp_path):
    path = Path(tmp_path / "half.keras")
    run = zoo.finetune(
        two_phases(train={"precision": "mixed_float16"}),
        data,
        run=tmp_path / "run",
        callbacks=keras.callbacks.ModelCheckpoint(path),
    )
    # Keras begins at 2^15. The first phase trains the layers above a cached prefix, the second the whole model.
    assert [row["loss_scale"] for row in run.history] == [2.0**15] * 5
    saved = keras.models.load_model(path)
    assert saved.predict(IMAGES, verbose=0).sum() == pytest.approx(8, abs=1e-3)
    optimizer = saved.optimizer
    assert type(optimizer) is keras.optimizers.LossScaleOptimizer
    assert int(optimizer.inner_optimizer.iterations) == run.history[-1]["step"]
    assert float(optimizer.dynamic_scale) == 2.0**15
    saved.fit(IMAGES, np.eye(saved.output_shape[-1])[LABELS], verbose=0)
    assert int(optimizer.inner_optimizer.iterations) == run.history[-1]["step"] + 1
