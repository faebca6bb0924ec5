"""The first passes of a run are computed by one engine, which its activations and its record say."""

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe, write_photos
from zoo.freezing.plans import train_only
from zoo.inference import engines
from zoo.inference.engines import ENGINES, Engine
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


def test_a_run_goes_on_with_the_engine_that_it_began_with(data, tmp_path, monkeypatch):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(plan(), data, run=tmp_path / "run", callbacks=[Stop()])
    for entry in cache.entries("activations"):
        cache.remove(entry.path)
    monkeypatch.delenv("ZOO_ENGINE")
    assert caches(zoo.finetune(None, run=tmp_path / "run", resume=True)) == [(OPENVINO, 40), (OPENVINO, 40)]


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
