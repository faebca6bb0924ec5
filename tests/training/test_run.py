import errno
import gc
import itertools
import json
import math
import shutil
import signal

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, pixels, recipe, untimed, write_npz, write_photos
from zoo.data import open_dataset, split_share
from zoo.errors import ContractError, RunError, ZooError
from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder
from zoo.runs.progress import Best, Progress
from zoo.training.callbacks.monitor import shortfall
from zoo.training.compiling.optimizer_state import OF_ONE_PHASE

KEYS = [
    *("phase", "epoch", "epoch_in_phase", "step", "loss", "accuracy", "val_loss", "val_accuracy"),
    *("learning_rate", "seconds", "data_wait_seconds", "images_per_second", "data_wait_share"),
]


@pytest.fixture
def data(tmp_path):
    return write_npz(tmp_path / "data.npz")


def status(path):
    record = RunFolder.open(path).record()
    return record.status, record.reason


def arrays(path):
    from safetensors.numpy import load_file

    return load_file(path)


def same(first, second):
    return first.keys() == second.keys() and all(first[key].tobytes() == second[key].tobytes() for key in first)


def validation_images(finished):
    """Chooses the images again, and reads them with Pillow alone: they are 28x28 and grey already."""
    from PIL import Image

    train = open_dataset("folder", finished.data).train
    _, rows = split_share(train.labels, 0.25, seed=0)
    return np.stack([np.asarray(Image.open(train.images[row])) for row in rows])[..., None], train.labels[rows]


# What a run leaves


def test_metrics_have_the_keys_of_the_design_in_their_order(finished):
    rows = finished.run.history
    assert [list(row) for row in rows] == [KEYS] * 4
    assert [(row["phase"], row["epoch"], row["epoch_in_phase"], row["step"]) for row in rows] == [
        ("head", 1, 1, 4),
        ("head", 2, 2, 8),
        ("all", 3, 1, 12),
        ("all", 4, 2, 16),
    ]


def test_an_epochs_speed_is_that_of_its_training(finished):
    for row in finished.run.history:
        # 28 of 40 images train... the epoch's seconds have its validation too.
        assert row["images_per_second"] >= 0.99 * finished.run.record["data"]["train"] / row["seconds"]
        assert 0 <= row["data_wait_share"] <= 1


def test_the_rate_that_is_logged_is_the_one_that_was_used(finished):
    # Cosine over 8 steps; then a warm-up of 2 (0.2 of 8, rounded), and cosine over the other 6.
    cosine = [[0.5 * (1 + math.cos(math.pi * step / steps)) for step in range(steps)] for steps in (8, 6)]
    expected = [0.01 * share for share in cosine[0]] + [0.003 * share for share in (0, 0.5, *cosine[1])]
    assert finished.rates == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert [row["learning_rate"] for row in finished.run.history] == pytest.approx(expected[3::4], rel=1e-6)


def test_validation_figures_are_those_of_that_epochs_weights(finished):
    images, labels = validation_images(finished)
    model = zoo.build("mnist_conv", classes=("cat", "dog"), weights=None)
    for row, saved in zip(finished.run.history, checkpoint.checkpoints(finished.run.path / "checkpoints"), strict=True):
        assert saved.progress.step == row["step"]
        weights = saved.model_arrays()
        for weight in model.weights:
            weight.assign(weights[weight.path])
        probabilities = model.predict(images, verbose=0).astype("float64")
        assert row["val_accuracy"] == pytest.approx((probabilities.argmax(1) == labels).mean())
        log_likelihood = np.log(probabilities[np.arange(len(labels)), labels])
        assert row["val_loss"] == pytest.approx(-log_likelihood.mean(), rel=1e-4)


def test_the_head_phase_leaves_everything_else_bit_for_bit(finished):
    after = checkpoint.checkpoints(finished.run.path / "checkpoints")[1].model_arrays()
    moved = {path for path, before in finished.initial.items() if before.tobytes() != after[path].tobytes()}
    assert moved == {"classifier/kernel", "classifier/bias"}
    assert sum("moving" in path for path in after) == 10


def test_the_second_phase_changes_every_kernel_and_statistic(finished):
    saved = checkpoint.checkpoints(finished.run.path / "checkpoints")
    before, after = saved[1].model_arrays(), saved[3].model_arrays()
    assert [path for path in before if before[path].tobytes() == after[path].tobytes()] == []


def test_run_json_tells_what_went_in_and_what_each_phase_did(finished):
    record = finished.run.record
    assert record["status"] == "done"
    assert record["inputs"] == {"data": str(finished.data)}
    assert record["classes"] == ["cat", "dog"]
    assert record["data"]["train"] == 30
    assert record["data"]["validation"] == 10
    assert record["data"]["fingerprint"] == open_dataset("folder", finished.data).fingerprint()
    assert record["environment"]["backend"] == "tensorflow"
    assert record["versions"]["keras"] == keras.__version__
    head, everything = record["phases"]
    assert (head["name"], head["train"], head["batchnorm"]) == ("head", "head", "frozen")
    assert (everything["name"], everything["train"], everything["batchnorm"]) == ("all", "all", "train")
    assert head["contract"] == {"frozen_tensors": len(finished.initial) - 2, "trained_tensors": 2, "unchanged": []}
    assert everything["contract"]["frozen_tensors"] == 0
    assert head["trainable_params"] == 128 * 2 + 2


def test_nothing_hidden_is_left(finished):
    assert [path.name for path in finished.run.path.rglob(".*")] == []


def test_the_recipe_of_a_run_names_no_place(finished):
    text = (finished.run.path / "recipe.toml").read_text()
    assert str(finished.data) not in text
    assert zoo.Recipe.load(finished.run.path / "recipe.toml") == finished.recipe


class Bias(keras.callbacks.Callback):
    """Makes the classifier lean towards the first class by as much as the list says for each epoch."""

    def __init__(self, *leanings):
        super().__init__()
        self.leanings = iter(leanings)

    def on_epoch_begin(self, epoch, logs=None):
        self.leaning = next(self.leanings)

    def on_train_batch_end(self, batch, logs=None):
        self.model.get_layer("classifier").bias.assign([self.leaning, 0])


@pytest.mark.parametrize(
    ("monitor", "leanings", "best"),
    [
        ("val_accuracy", (1e3, 0, 0, 1e3), 2),  # of equals the first is kept
        ("val_loss", (1e3, 30, 0, 1e3), 3),
    ],
)
def test_the_saved_model_is_that_of_the_best_epoch_of_all_phases(data, tmp_path, monitor, leanings, best):
    two = recipe(
        phase("first", "head", epochs=2, learning_rate=1e-3),
        phase("second", "head", epochs=2, learning_rate=1e-9),
        checkpoint={"keep": 1, "monitor": monitor},
    )
    run = zoo.finetune(two, data, run=tmp_path / "run", callbacks=[Bias(*leanings)])
    assert [row["val_accuracy"] for row in run.history][0::3] == [0.5, 0.5]
    values = [row[monitor] for row in run.history]
    losses = [row["val_loss"] for row in run.history]
    assert values[best - 1] == {"val_accuracy": max, "val_loss": min}[monitor](values)
    assert losses[best - 1] == min(losses)
    assert run.record["kept"] == {"step": 3 * best, monitor: values[best - 1], "val_loss": min(losses)}
    assert {path.name for path in (run.path / "checkpoints").iterdir()} == {f"step-{3 * best:08d}", "step-00000012"}
    kept = run.path / "checkpoints" / f"step-{3 * best:08d}" / "model.safetensors"
    assert same(arrays(run.path / "model" / "model.safetensors"), arrays(kept))
    assert run.metrics["accuracy"] == run.history[best - 1]["val_accuracy"] == 1


def test_a_checkpoint_of_an_earlier_zoo_says_no_loss_and_its_epoch_stays_the_best_of_equals(tmp_path):
    saved = checkpoint.save(
        tmp_path,
        checkpoint.Snapshot(
            model={"a": np.zeros(1)},
            state={"b": np.zeros(1)},
            progress=Progress(epoch_in_phase=1, epoch=1, step=4, batch=4, best=Best(value=0.9, step=4, batch=4)),
        ),
        keep=1,
    )
    manifest = saved.path / "manifest.json"
    document = json.loads(manifest.read_text())
    for later in ("best_loss", "phase_best_loss", "batch", "best_batch", "phase_best_batch"):
        del document["progress"][later]
    del document["sealed"], document["seal"]
    manifest.write_text(json.dumps(document))
    assert checkpoint.latest(tmp_path).progress == saved.progress


@pytest.mark.parametrize(
    ("leanings", "said"),
    [
        ((0, 0, 1e3, 1e3), True),
        ((0, 0, 1e3, 0), False),  # as good as before is not below
        ((1e3, 1e3, 0, 0), False),
    ],
)
def test_fine_tuning_that_ends_below_what_it_began_from_says_so(data, tmp_path, capsys, leanings, said):
    two = recipe(
        phase("probe", "head", epochs=2, learning_rate=1e-3), phase("top", "head", epochs=2, learning_rate=1e-9)
    )
    run = zoo.finetune(two, data, run=tmp_path / "run", callbacks=[Bias(*leanings)])
    text = "epoch 2 of phase 'probe' is kept, with val_accuracy 1.0000; 'top' came to 0.5000: below what it began from"
    assert run.record["kept"].get("shortfall") == (text if said else None)
    assert (f"warning: {text}" in capsys.readouterr().err) == said


def test_the_best_of_several_later_phases_is_named_by_loss_too():
    rows = [
        {"phase": "a", "epoch_in_phase": 1, "val_loss": 0.5},
        {"phase": "a", "epoch_in_phase": 2, "val_loss": 0.4},
        {"phase": "b", "epoch_in_phase": 1, "val_loss": 0.7},
        {"phase": "b", "epoch_in_phase": 2, "val_loss": 0.6},
        {"phase": "c", "epoch_in_phase": 1, "val_loss": 0.45},
    ]
    assert shortfall(rows, "val_loss") == (
        "epoch 2 of phase 'a' is kept, with val_loss 0.4000; 'b' came to 0.6000, 'c' came to 0.4500: below what it "
        "began from"
    )
    assert shortfall([*rows, {"phase": "d", "epoch_in_phase": 1, "val_loss": 0.3}], "val_loss") is None
    assert shortfall([{"phase": "a", "epoch_in_phase": 1, "val_loss": None}], "val_loss") is None


def test_without_validation_the_last_model_is_kept(data, tmp_path):
    run = zoo.finetune(recipe(data={"validation": 0.0}), data, run=tmp_path / "run")
    assert [(row["val_loss"], row["val_accuracy"]) for row in run.history] == [(None, None)] * 2
    assert run.metrics == {}
    last = run.path / "checkpoints" / "step-00000008" / "model.safetensors"
    assert same(arrays(run.path / "model" / "model.safetensors"), arrays(last))
    assert (run.path / "history.png").is_file()


def test_it_learns(tmp_path):
    # 16 images, no validation: a net that trains at all knows them by heart.
    data = write_npz(tmp_path / "data.npz", count=16)
    overfit = recipe(phase("all", "all", epochs=8, learning_rate=0.003), data={"validation": 0.0})
    run = zoo.finetune(overfit, data, run=tmp_path / "run")
    images, labels = pixels(16)
    assert [prediction.label for prediction in run.classifier.predict(images)] == [("cat", "dog")[k] for k in labels]
    assert run.history[-1]["loss"] < 0.1 < run.history[0]["loss"]


# The contract


class Once(keras.callbacks.Callback):
    """Does something once, at one moment of training."""

    def __init__(self, moment, act, epoch=0):
        super().__init__()
        self.act, self.epoch, self.now = act, epoch, 0
        setattr(self, moment, self.call)

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def call(self, *_, **__):
        if self.now == self.epoch and self.act is not None:
            act, self.act = self.act, None
            act(self.model)


def nudge(model):
    bias = model.get_layer("stem_1_conv").bias
    bias.assign(bias + 1e-3)


def unfreeze(model):
    model.get_layer("stem_1_conv").trainable = True


def freeze(model):
    model.get_layer("classifier").trainable = False


@pytest.mark.parametrize(
    ("train", "moment", "epoch", "act", "fault"),
    [
        ("head", "on_train_begin", 0, nudge, "1 tensors are frozen, yet moved: stem_1_conv/bias;"),
        ("head", "on_epoch_end", 0, nudge, "1 tensors are frozen, yet moved: stem_1_conv/bias;"),
        ("head", "on_epoch_end", 1, nudge, "1 tensors are frozen, yet moved: stem_1_conv/bias;"),
        (
            "head",
            "on_train_batch_end",
            0,
            unfreeze,
            "2 tensors are set trainable or frozen after the phase was compiled: stem_1_conv/bias, stem_1_conv/kernel;",
        ),
        (
            "all",
            "on_train_begin",
            0,
            freeze,
            "2 tensors are set trainable or frozen after the phase was compiled: classifier/bias, classifier/kernel;",
        ),
    ],
)
def test_a_broken_contract_fails_the_run(data, tmp_path, train, moment, epoch, act, fault):
    with pytest.raises(ContractError) as raised:
        zoo.finetune(recipe(phase("head", train)), data, run=tmp_path / "run", callbacks=[Once(moment, act, epoch)])
    assert str(raised.value).startswith(f"phase 'head': {fault}")
    assert raised.value.exit_code == 3
    assert status(tmp_path / "run") == ("failed", str(raised.value))
    assert not (tmp_path / "run" / "model").exists()


def test_what_broke_the_contract_is_not_saved_and_not_gone_on_with(data, tmp_path):
    # Moved in the midst of the second epoch: the first epoch's checkpoint is the last, and training ends well from it.
    straight = zoo.finetune(recipe(), data, run=tmp_path / "straight")
    with pytest.raises(ContractError):
        zoo.finetune(recipe(), data, run=tmp_path / "run", callbacks=[Once("on_train_batch_end", nudge, epoch=1)])
    assert checkpoint.latest(tmp_path / "run" / "checkpoints").progress.epoch == 1
    run = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert same(*(arrays(one.path / "model" / "model.safetensors") for one in (straight, run)))
    assert "reason" not in run.record


# Going on


class Stop(keras.callbacks.Callback):
    """Presses Ctrl-C in one epoch of the run, which is of the phase that has this optimizer."""

    def __init__(self, optimizer, epoch, moment):
        super().__init__()
        self.at, self.epoch = (optimizer, epoch), -1
        setattr(self, moment, self.press)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def press(self, *_, **__):
        if (self.model.optimizer.name, self.epoch) == self.at:
            raise KeyboardInterrupt


def test_a_run_that_is_stopped_again_and_again_ends_bit_for_bit_as_one_that_was_not(finished, tmp_path):
    # SGD with momentum, then AdamW with warm-up, both with weight decay; BatchNorm; dropout's seed generator.
    path = tmp_path / "run"
    stops = [
        ("sgd", 0, "on_train_batch_end", 0),  # before there is a checkpoint
        ("sgd", 0, "on_epoch_end", 1),
        ("sgd", 1, "on_epoch_end", 2),  # between the phases
        ("adamw", 2, "on_train_batch_end", 2),
        ("adamw", 3, "on_train_batch_end", 3),
        ("adamw", 3, "on_epoch_end", 4),  # all is done but the last words
    ]
    for *stop, epochs in stops:
        with pytest.raises(KeyboardInterrupt):
            zoo.finetune(finished.recipe, finished.data, run=path, resume=True, callbacks=[Stop(*stop)])
        assert status(path) == ("interrupted", "interrupted by the user")
        assert len(checkpoint.checkpoints(path / "checkpoints")) == epochs
    run = zoo.finetune(None, run=path, resume=True)
    assert untimed(run.history) == untimed(finished.run.history)
    for one, other in zip(*(checkpoint.checkpoints(r.path / "checkpoints") for r in (run, finished.run)), strict=True):
        assert one.progress == other.progress
        assert same(one.model_arrays(), other.model_arrays()), one.progress
        assert same(one.state_arrays(), other.state_arrays()), one.progress
    assert same(*(arrays(one.path / "model" / "model.safetensors") for one in (run, finished.run)))
    assert run.metrics == finished.run.metrics
    assert [one["name"] for one in run.record["phases"]] == ["head", "all"]
    assert run.record["kept"] == finished.run.record["kept"]


def test_the_state_holds_the_seeds_of_dropout_and_they_move(finished):
    states = [one.state_arrays() for one in checkpoint.checkpoints(finished.run.path / "checkpoints")]
    seeds = [[state[key].tolist() for key in state if key.startswith("seed/")] for state in states]
    assert all(len(seed) == 1 for seed in seeds)
    assert len({str(seed) for seed in seeds}) == 4


class Untouched(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise AssertionError("trained again")


def test_a_finished_run_is_returned_as_it_is(finished):
    before = (finished.run.path / "manifest.json").read_bytes()
    run = zoo.finetune(None, run=finished.run.path, resume=True, callbacks=[Untouched()])
    assert run == finished.run
    run = zoo.finetune(finished.recipe, finished.data, run=finished.run.path, resume=True, callbacks=[Untouched()])
    assert run == finished.run
    assert (finished.run.path / "manifest.json").read_bytes() == before


@pytest.fixture
def stopped(data, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(recipe(), data, run=tmp_path / "run", callbacks=[Stop("adamw", 0, "on_epoch_end")])
    return tmp_path / "run"


def test_changed_data_is_refused_and_damage_is_named(stopped, data, tmp_path):
    content = data.read_bytes()
    write_npz(data, count=40)
    with pytest.raises(RunError) as raised:
        zoo.finetune(None, run=stopped, resume=True)
    before = RunFolder.open(stopped).record().data.fingerprint[:12]
    now = open_dataset("folder", data).fingerprint()[:12]
    assert str(raised.value) == (
        f"the data is not what {stopped} was trained on (fingerprint {before}..., now {now}...); "
        "put it back, or begin a new run"
    )
    data.unlink()
    with pytest.raises(ZooError, match=f"^{stopped}: its images are no longer at {data}; say where they are now"):
        zoo.finetune(None, run=stopped, resume=True)
    data.write_bytes(content)
    other = recipe(phase("head", "head", epochs=3))
    with pytest.raises(RunError) as raised:
        zoo.finetune(other, data, run=stopped, resume=True)
    assert str(raised.value) == (
        f"{stopped}: was begun with another recipe than the one given: phases.head.epochs 2, now 3; "
        "leave out the recipe and --set to go on with it, or choose another --run"
    )
    with pytest.raises(RunError, match="was begun with another recipe"):
        zoo.finetune(None, overrides=["train.seed=1"], run=stopped, resume=True)
    damaged = stopped / "checkpoints" / "step-00000003" / "state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(
        RunError, match=r"state.safetensors: is damaged .*, and no other checkpoint .* is whole; nothing was"
    ):
        zoo.finetune(None, run=stopped, resume=True)
    shutil.rmtree(damaged.parent)
    assert len(zoo.finetune(None, run=stopped, resume=True).history) == 2


def test_where_nothing_was_begun_a_recipe_begins_afresh(data, tmp_path):
    with pytest.raises(RunError) as raised:
        zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert str(raised.value) == (
        f"{tmp_path / 'run'}: there is no run to go on with; name a recipe as well, and it begins afresh"
    )
    with pytest.raises(RunError, match="say which with --run DIR"):
        zoo.finetune(None, resume=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".claim").touch()  # killed while it read the images
    assert zoo.finetune(recipe(), data, run=tmp_path / "run", resume=True).record["status"] == "done"


class StopSoon(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("sections", "state"),
    [
        pytest.param({"train": {"precision": "mixed_float16"}}, "scale", marks=pytest.mark.slow),
        ({"train": {"ema": 0.9}, "augment": {"flip": "horizontal", "rotation": 10.0}}, "adamw"),
    ],
    ids=["half precision with its loss scale", "moving average and augmentation"],
)
def test_all_that_training_holds_goes_on(data, tmp_path, sections, state):
    one = recipe(phase("all", "all", learning_rate=1e-3), **sections)
    straight = zoo.finetune(one, data, run=tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(one, data, run=tmp_path / "run", callbacks=[StopSoon()])
    run = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert untimed(run.history) == untimed(straight.history)
    last = [checkpoint.latest(one.path / "checkpoints") for one in (straight, run)]
    assert same(*(one.model_arrays() for one in last))
    assert same(*(one.state_arrays() for one in last))
    assert any(state in name for name in last[0].state_arrays())
    assert {array.dtype for array in last[0].model_arrays().values()} == {np.dtype("float32")}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_half_precision_says_its_loss_scale_and_the_steps_that_it_skipped(data, tmp_path):
    def overflow(model):
        model.optimizer.dynamic_scale.assign(2.0**100)

    half = recipe(phase("all", "all", learning_rate=1e-3), train={"precision": "mixed_float16"})
    run = zoo.finetune(half, data, run=tmp_path / "run", callbacks=[Once("on_train_batch_begin", overflow, epoch=1)])
    # Keras begins at 2^15 and halves the scale at each step whose gradients are not finite: here all three.
    assert [(row["loss_scale"], row["skipped_steps"]) for row in run.history] == [(2.0**15, 0), (2.0**97, 3)]
    assert run.history[1]["val_loss"] == run.history[0]["val_loss"]


# Faults


def test_a_loss_that_is_not_finite_stops_and_the_last_good_checkpoint_stays(data, tmp_path):
    def diverge(model):
        model.weights[-1].assign(model.weights[-1] * np.nan)

    diverging = recipe(phase("head", "head", epochs=1), phase("all", "all"))
    with pytest.raises(ZooError) as raised:
        zoo.finetune(diverging, data, run=tmp_path / "run", callbacks=[Once("on_train_batch_begin", diverge, epoch=1)])
    assert str(raised.value) == (
        "phase 'all', epoch 1, batch 1 of 3: the loss is nan at step 4; expected a finite number; "
        "the last good checkpoint stays; try a lower learning rate: --set phases.all.learning_rate=..."
    )
    assert status(tmp_path / "run") == ("failed", str(raised.value))
    assert len(RunFolder.open(tmp_path / "run").metrics()) == 1
    good = checkpoint.latest(tmp_path / "run" / "checkpoints")
    assert good.progress.epoch == 1
    assert all(np.isfinite(array).all() for array in good.model_arrays().values())


def test_a_validation_loss_that_is_not_finite_stops_too(data, tmp_path):
    # The last step's loss is taken before its update: only validation sees what the update has done.
    def spoil(model):
        model.get_layer("classifier").bias.assign([math.nan, 0])

    last_batch = itertools.count(1)

    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if next(last_batch) == 3:
                spoil(self.model)

    with pytest.raises(
        ZooError, match=r"^phase 'head', epoch 1, validation: the val_loss is nan at step 3; expected a finite"
    ):
        zoo.finetune(recipe(), data, run=tmp_path / "run", callbacks=[Spoil()])
    assert checkpoint.latest(tmp_path / "run" / "checkpoints") is None


def test_a_weight_that_is_not_finite_stops_though_the_loss_is(data, tmp_path):
    losses = []

    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                bias = self.model.weights[1]
                array = np.asarray(bias.value).copy()
                array[3] = -math.inf  # which ReLU makes 0
                bias.assign(array)

        def on_test_end(self, logs=None):
            losses.append(logs["loss"])

    with pytest.raises(
        ZooError, match=r"^phase 'head', epoch 1, its end: the weight stem_1_conv/bias is -inf at step 3;"
    ):
        zoo.finetune(recipe(phase("head", "all")), data, run=tmp_path / "run", callbacks=[Spoil()])
    assert math.isfinite(*losses)
    assert checkpoint.latest(tmp_path / "run" / "checkpoints") is None


def test_any_other_fault_is_written_down_too(data, tmp_path):
    class Faulty(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise ValueError("a fault of the user's own")

    with pytest.raises(ValueError, match="a fault of the user's own"):
        zoo.finetune(recipe(), data, run=tmp_path / "run", callbacks=[Faulty()])
    assert status(tmp_path / "run") == ("failed", "a fault of the user's own")


@pytest.mark.parametrize("last", ["zoo.training.run.save_history", "zoo.runs.folder.RunFolder.write_manifest"])
def test_a_fault_after_training_is_written_down_and_the_run_can_be_finished(data, tmp_path, monkeypatch, last):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(last, full)
        with pytest.raises(OSError, match="No space left"):
            zoo.finetune(recipe(phase("head", "head", epochs=1)), data, run=tmp_path / "run")
    assert status(tmp_path / "run") == ("failed", "[Errno 28] No space left on device")
    run = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert run.record["status"] == "done"
    assert len(run.history) == 1
    assert json.loads((run.path / "manifest.json").read_text())["sha256"].keys() >= {"history.png", "run.json"}


def test_a_wrong_selector_is_known_before_an_image_is_read(tmp_path):
    photos = write_photos(tmp_path / "photos", count=2)
    for file in photos.rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(ZooError, match="selector 'stage9' matches nothing"):
        zoo.finetune(recipe(phase("head", "stage9")), photos, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# From phase to phase


def test_phases_that_train_the_same_are_one_training_bit_by_bit(data, tmp_path):
    keys = {"learning_rate": 1e-3, "schedule": "constant", "weight_decay": 1e-2}
    settings = {"model": "mnist_conv", "train": {"ema": 0.9, "clip_norm": 1.0}}
    whole = zoo.finetune(recipe(phase("all", "all", epochs=3, **keys), **settings), data, run=tmp_path / "whole")
    two = [phase("first", "all", epochs=2, **keys), phase("second", "all", epochs=1, **keys)]
    parted = zoo.finetune(recipe(*two, **settings), data, run=tmp_path / "parted")
    last = [checkpoint.latest(run.path / "checkpoints") for run in (whole, parted)]
    assert same(*(one.model_arrays() for one in last))
    states = [one.state_arrays() for one in last]
    slots = [{key: value for key, value in state.items() if not key.endswith(OF_ONE_PHASE)} for state in states]
    assert same(*slots)
    assert len(slots[0]) > 30
    first, second = (row["learning_rate"] for row in (whole.history[-1], parted.history[-1]))
    assert first == second


def test_a_phase_that_gets_no_better_ends_early_and_its_best_weights_come_back(data, tmp_path):
    # At this rate the epochs after the first are worse.
    worse = phase("head", "head", epochs=9, optimizer="sgd", learning_rate=3.0, schedule="constant")
    after = phase("after", "head", epochs=1, optimizer="sgd", learning_rate=1e-12, schedule="constant")
    plan = recipe(worse, after, train={"early_stopping": 2}, checkpoint={"keep": 9, "monitor": "val_loss"})
    run = zoo.finetune(plan, data, run=tmp_path / "run")
    rows = [row for row in run.history if row["phase"] == "head"]
    losses = [row["val_loss"] for row in rows]
    best = int(np.argmin(losses))
    assert len(rows) == best + 3 < 9
    assert run.history[-1]["val_loss"] == pytest.approx(losses[best], rel=1e-5)
    assert run.history[-1]["phase"] == "after"

    # Stopped in the phase that ended early, the run goes on to the same end.
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, data, run=tmp_path / "stopped", callbacks=[StopAt(len(rows))])
    again = zoo.finetune(None, run=tmp_path / "stopped", resume=True)
    assert untimed(again.history) == untimed(run.history)


class StopAt(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.left = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "sections",
    [
        {"data": {"balance": "class_weight"}, "train": {"loss": "focal"}},
        {"data": {"balance": "sampler"}, "train": {"accumulate": 2}},
    ],
)
def test_a_rare_class_is_learnt(tmp_path, sections):
    images, labels = pixels(64)
    kept = np.flatnonzero((labels == 0) | (np.arange(64) % 8 == 1))
    np.savez(tmp_path / "rare.npz", x_train=images[kept], y_train=labels[kept])
    learning = phase("all", "all", epochs=4, learning_rate=1e-3, schedule="constant")
    run = zoo.finetune(recipe(learning, **sections), tmp_path / "rare.npz", run=tmp_path / "run")
    assert [entry["accuracy"] for entry in run.per_class.values()] == [1.0, 1.0]


def test_a_line_that_a_kill_cut_does_not_keep_a_run_from_going_on(data, tmp_path):
    straight = zoo.finetune(recipe(), data, run=tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(recipe(), data, run=tmp_path / "run", callbacks=[StopAt(1)])
    written = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    (tmp_path / "run" / "metrics.jsonl").write_bytes(written + written[:40])
    assert RunFolder(tmp_path / "run").metrics() == [json.loads(written)]
    run = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert untimed(run.history) == untimed(straight.history)


class Steps(keras.callbacks.Callback):
    """Reads the optimizer's own count."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(int(self.model.optimizer.iterations))


def test_where_batches_are_accumulated_steps_are_counted_and_a_phases_last_batch_may_make_none(tmp_path):
    # Five batches an epoch, two to a step: three epochs make 7 steps and leave a batch over, two more make 5.
    data = write_npz(tmp_path / "data.npz", count=10)
    plan = recipe(
        phase("head", "head", epochs=3),
        phase("all", "all"),
        data={"validation": 0.0},
        train={"batch_size": 2, "accumulate": 2},
    )
    listener = Steps()
    run = zoo.finetune(plan, data, run=tmp_path / "run", callbacks=[listener])
    assert [row["step"] for row in run.history] == listener.seen == [2, 5, 7, 9, 12]
    assert run.record["kept"]["step"] == 12
    names = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert names[-1] == "step-00000012-batch-00000025"
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan, data, run=tmp_path / "stopped", callbacks=[StopAt(2)])
    again = zoo.finetune(None, run=tmp_path / "stopped", resume=True)
    assert untimed(again.history) == untimed(run.history)
    assert same(*(arrays(one.path / "model" / "model.safetensors") for one in (run, again)))


def test_the_contract_is_checked_after_the_first_step_also_of_several_batches(data, tmp_path):
    class Nudge(keras.callbacks.Callback):
        batches = 0

        def on_train_batch_end(self, batch, logs=None):
            self.batches += 1
            nudge(self.model)

    listener = Nudge()
    with pytest.raises(ContractError, match="1 tensors are frozen, yet moved: stem_1_conv/bias"):
        zoo.finetune(recipe(train={"accumulate": 2}), data, run=tmp_path / "run", callbacks=[listener])
    assert listener.batches == 1  # the fault comes at the second one's end, before it


class PressAndLose(keras.callbacks.Callback):
    """Presses Ctrl-C inside a callback of the garbage collector, where Python drops the exception."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.batches += 1
        if self.batches == 4:
            gc.callbacks.append(self.press)
            gc.collect()

    def press(self, *_):
        gc.callbacks.remove(self.press)
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_that_the_garbage_collector_drops_ends_the_run_at_the_batchs_end(data, tmp_path):
    listener = PressAndLose()
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(recipe(), data, run=tmp_path / "run", callbacks=[listener])
    assert listener.batches == 4
    assert status(tmp_path / "run") == ("interrupted", "interrupted by the user")


def test_ctrl_c_that_a_library_turns_into_another_fault_is_still_an_interruption(data, tmp_path):
    class Turned(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as pressed:
                raise RuntimeError("INTERNAL: a callback failed") from pressed

    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(recipe(), data, run=tmp_path / "run", callbacks=[Turned()])
    assert status(tmp_path / "run") == ("interrupted", "interrupted by the user")
