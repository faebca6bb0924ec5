"""The first passes of a run are computed by one engine, which its activations and its record say."""

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe, write_photos
from zoo.freezing.plans import train_only
from zoo.inference import engines
from zoo.inference.engines import ENGINES, Engine
from zoo.runs.folder import RunFolder
from zoo.sharing.locks.making import lock_runs
from zoo.system import cache
from zoo.training.prefix.engine import PassEngine
from zoo.training.prefix.splitting import frozen_prefix

pytestmark = pytest.mark.usefixtures("fresh_cache")

OPENVINO = str(ENGINES["openvino"])
PHASES = [
    phase("head", "head", epochs=2, learning_rate=1e-2, batchnorm="frozen"),
    phase("top", "stage2+", epochs=2, learning_rate=1e-3, batchnorm="frozen"),
]


def plan(**train):
    return recipe(*PHASES, model="mnist_conv_tiny", train={"prefix_cache": "required", **train})


@pytest.fixture
def data(tmp_path):
    return write_photos(tmp_path / "photos", count=20)


def caches(run):
    return [(done["prefix_cache"].get("engine"), done["prefix_cache"]["computed"]) for done in run.record["phases"]]


def test_a_run_says_what_computed_and_later_ones_take_it(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    first = zoo.finetune(plan(), data, run=tmp_path / "first")
    assert caches(first) == [(OPENVINO, 40), (OPENVINO, 0)]
    assert f"head: runs up to head_pool once by {OPENVINO}: " in capsys.readouterr().err
    monkeypatch.delenv("ZOO_ENGINE")
    # Too short for an engine to be worth it; what is there is taken.
    assert caches(zoo.finetune(plan(), data, run=tmp_path / "second")) == [(OPENVINO, 0), (OPENVINO, 0)]
    monkeypatch.setenv("ZOO_ENGINE", "keras")
    by_keras = zoo.finetune(plan(), data, run=tmp_path / "keras")
    assert caches(by_keras) == [(None, 40), (None, 0)]
    for one, other in zip(first.history, by_keras.history, strict=True):
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-3)


def stopped(data, path, *, epoch):
    """Begins a run, stops it at the end of an epoch of the run, and forgets what frozen layers gave."""

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch_now, logs=None):
            if epoch_now == epoch:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan(), data, run=path, callbacks=[Stop()])
    for entry in cache.entries("activations"):
        cache.remove(entry.path)


# In the second epoch of the first phase, which is not finished then, and in the first of the second.
@pytest.mark.parametrize(("epoch", "computed"), [(1, 0), (2, 40)])
def test_a_run_goes_on_with_the_engine_that_it_began_with(data, tmp_path, monkeypatch, epoch, computed):
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    stopped(data, tmp_path / "run", epoch=epoch)
    assert RunFolder.open(tmp_path / "run").record().engine == OPENVINO
    monkeypatch.delenv("ZOO_ENGINE")
    again = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert caches(again) == [(OPENVINO, 40), (OPENVINO, computed)]
    assert again.record["engine"] == OPENVINO


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("keras", f"{OPENVINO} computed before, and ZOO_ENGINE is keras; Keras computes"),
        ("auto", f"{OPENVINO} computed before, and is not installed; Keras computes"),
    ],
)
def test_a_run_that_cannot_go_on_with_its_engine_says_why(data, tmp_path, monkeypatch, capsys, choice, reason):
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    stopped(data, tmp_path / "run", epoch=2)
    monkeypatch.setenv("ZOO_ENGINE", choice)
    if choice == "auto":
        monkeypatch.delitem(ENGINES, "openvino")
    again = zoo.finetune(None, run=tmp_path / "run", resume=True)
    assert caches(again) == [(OPENVINO, 40), (None, 40)]
    assert again.record["engine"] == "keras"
    assert f"top: {reason}\n" in capsys.readouterr().err


def test_what_keras_began_no_engine_goes_on_with(data, tmp_path, monkeypatch, capsys):
    stopped(data, tmp_path / "run", epoch=1)
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    assert caches(zoo.finetune(None, run=tmp_path / "run", resume=True)) == [(None, 40), (None, 0)]
    assert "head: ZOO_ENGINE is openvino, and Keras computed before; Keras computes\n" in capsys.readouterr().err


def test_a_repeated_run_is_computed_by_the_same_engine(data, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    first = zoo.finetune(plan(), data, run=tmp_path / "first")
    for entry in cache.entries("activations"):
        cache.remove(entry.path)
    monkeypatch.delenv("ZOO_ENGINE")
    again = zoo.finetune(first.path, run=tmp_path / "again")
    assert caches(again) == [(OPENVINO, 40), (OPENVINO, 0)]
    assert lock_runs(again.path).expected.engine == OPENVINO


@pytest.mark.parametrize("place", ["on disk", "in memory"])
def test_an_engine_that_fails_later_leaves_the_whole_pass_to_keras(data, tmp_path, monkeypatch, capsys, place):
    prepare = ENGINES["openvino"].prepare

    def failing(model, first):
        run, calls = prepare(model, first), []

        def counted(batch):
            calls.append(len(batch))
            # One batch proves it equal and one is of the images that train: the next is of those that validate.
            if len(calls) > 2:
                raise RuntimeError("no more\nmemory")
            return run(batch)

        return counted

    monkeypatch.setitem(ENGINES, "openvino", Engine("openvino", failing))
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    if place == "in memory":
        monkeypatch.setattr(cache, "MAX_BYTES", 100)
    run = zoo.finetune(plan(), data, run=tmp_path / "run")
    assert caches(run) == [(None, 40), (None, 0)]
    assert run.record["engine"] == "keras"
    said = capsys.readouterr().err
    assert f"head: {OPENVINO} failed (RuntimeError: no more memory); Keras computes all of the pass\n" in said
    assert not cache.unfinished_entries("activations")
    monkeypatch.setenv("ZOO_ENGINE", "keras")
    by_keras = zoo.finetune(plan(), data, run=tmp_path / "keras")
    assert [row["val_loss"] for row in run.history] == [row["val_loss"] for row in by_keras.history]


def test_an_engine_that_is_not_equal_leaves_it_to_keras(data, tmp_path, monkeypatch, capsys):
    def wrong(model, first):
        return lambda batch: [np.zeros((len(batch), *output.shape[1:]), "float32") for output in model.outputs]

    monkeypatch.setitem(ENGINES, "openvino", Engine("openvino", wrong))
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    assert caches(zoo.finetune(plan(), data, run=tmp_path / "run")) == [(None, 40), (None, 0)]
    said = capsys.readouterr().err
    assert (
        f"head: {OPENVINO} differs from Keras by 1 of the largest number; expected at most 1e-04; Keras computes"
        in said
    )
    assert "head: runs up to head_pool once: " in said


def test_promised_bits_are_computed_by_keras(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    run = zoo.finetune(plan(deterministic=True), data, run=tmp_path / "run")
    assert caches(run) == [(None, 40), (None, 0)]
    assert "head: ZOO_ENGINE is openvino, and train.deterministic promises the bits" in capsys.readouterr().err


def test_auto_takes_an_engine_over_for_long_passes_only(monkeypatch):
    model = zoo.build("mnist_conv_tiny", classes=2, weights=None)
    train_only(model, "head", batchnorm="frozen")
    prefix = frozen_prefix(model)
    assert prefix is not None

    def candidates(images, *, has_views=False):
        return PassEngine().candidates(prefix, images=images, has_views=has_views)

    assert candidates(100) == ["", OPENVINO]
    assert candidates(10**9) == [OPENVINO, ""]
    assert candidates(10**9, has_views=True) == [""]
    monkeypatch.setenv(engines.VARIABLE, "keras")
    assert candidates(10**9) == [""]
