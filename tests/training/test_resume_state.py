"""Whatever a recipe holds beside weights survives a resume inside an epoch: every tensor, and every line, compared."""

import os
import subprocess
import sys

import keras
import pytest

import zoo
from tests.tiny import HERE, environment, phase, recipe, untimed, write_npz
from tests.training.test_resume_inside_an_epoch import AtOnce
from zoo.registry.optimizers import OPTIMIZERS
from zoo.runs import checkpoint, checkpoint_writer
from zoo.training.callbacks import save_interval

ONE = phase("all", "all", learning_rate=1e-3, weight_decay=1e-3)
CONV = {"model": "mnist_conv"}  # with BatchNorm and dropout

# By name: the phases, and the sections of the recipe. 40 images train and 24 validate: 5 batches an epoch.
RECIPES = {
    "dropout and BatchNorm": ([ONE], CONV),
    "augmentation": ([ONE], {"augment": {"rotation": 10.0, "zoom": 0.1, "translation": 0.1, "erasing": 0.5}}),
    "layers of augmentation": (
        [ONE],
        {"augment": {"layers": {"posterize": {"probability": 0.5}, "blur": {}, "shear": {}}}},
    ),
    "randaugment": ([ONE], {"augment": {"policy": "randaugment"}}),
    "trivial": ([ONE], {"augment": {"policy": "trivial"}}),
    "augmix": ([ONE], {"augment": {"policy": "augmix"}}),
    "views": ([phase("head", "head", learning_rate=1e-2)], {**CONV, "augment": {"rotation": 10.0, "views": 3}}),
    "mixup and cutmix": ([ONE], {"augment": {"mixup": 0.4, "cutmix": 1.0}}),
    "sampler": ([ONE], {"data": {"balance": "sampler"}}),
    "class weights and focal": ([ONE], {"data": {"balance": "class_weight"}, "train": {"loss": "focal"}}),
    "moving average": ([ONE], {**CONV, "train": {"ema": 0.9}}),
    "accumulation": ([phase("all", "all", epochs=4, learning_rate=1e-3)], {"train": {"accumulate": 3}}),
    "accumulation and moving average": ([ONE], {"train": {"accumulate": 3, "ema": 0.9, "clip_norm": 0.5}}),
    "clipping": ([ONE], {"train": {"clip_norm": 0.1}}),
    "rates by stage": ([phase("all", "all", layer_decay=0.5, warmup=0.3, schedule="one_cycle")], CONV),
    "early stopping": (
        [phase("all", "all", epochs=6, optimizer="sgd", learning_rate=0.5), phase("head", "head", epochs=1)],
        {"train": {"early_stopping": 1}, "checkpoint": {"monitor": "val_loss"}},
    ),
    "two phases and the prefix cache": (
        [phase("head", "head", learning_rate=1e-2), phase("all", "all", learning_rate=1e-3)],
        {**CONV, "train": {"ema": 0.9}},
    ),
    "half precision": ([ONE], {"train": {"precision": "mixed_float16"}}),
    "half precision, accumulated": ([ONE], {"train": {"precision": "mixed_float16", "accumulate": 2, "ema": 0.5}}),
    "bfloat16": ([ONE], {"train": {"precision": "mixed_bfloat16"}}),
    "deterministic": ([ONE], {**CONV, "train": {"deterministic": True}}),
    **{
        f"optimizer {name}": ([phase("all", "all", optimizer=name, learning_rate=1e-3, weight_decay=1e-3)], {})
        for name in OPTIMIZERS.names()
    },
}
DEFAULT = ("early stopping",)
# Batches of the process after which it is left, again and again: inside of epochs, and where one ends.
STOPS = (2, 4, 3)


class LeaveAfter(keras.callbacks.Callback):
    """Ends the work after so many batches, as a fault of the user's own does."""

    def __init__(self, batches, fault):
        super().__init__()
        self.left = batches
        self.fault = fault

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise self.fault


def data_in(folder):
    return write_npz(folder / "images.npz", count=40, val=24)


def tensors(folder):
    """Returns all that a checkpoint keeps, byte by byte."""
    last = checkpoint.latest(folder / "checkpoints")
    arrays = {**last.model_arrays(), **{f"state/{name}": array for name, array in last.state_arrays().items()}}
    return last.progress, {name: (str(array.dtype), array.tobytes()) for name, array in arrays.items()}


def check(name, data, folder, *, stops=STOPS):
    """Trains a recipe at once, and left and gone on with; both must have the same in every file."""
    phases, sections = RECIPES[name]
    plan = recipe(*phases, **sections)
    whole = zoo.finetune(plan, data, run=folder / "whole", verbose=0)
    faults = (KeyboardInterrupt(), SystemExit(3), ValueError("a fault of the user's own"))
    for batches, fault in zip(stops, faults, strict=False):
        with pytest.raises(type(fault)):
            zoo.finetune(plan, data, run=folder / "left", resume=True, callbacks=LeaveAfter(batches, fault), verbose=0)
        assert checkpoint.latest(folder / "left" / "checkpoints").progress.batch >= 1
    left = zoo.finetune(None, run=folder / "left", resume=True, verbose=0)
    assert untimed(left.history) == untimed(whole.history)
    (progress, found), (expected_progress, expected) = tensors(left.path), tensors(whole.path)
    assert progress == expected_progress
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []
    model = "model/model.safetensors"
    assert (left.path / model).read_bytes() == (whole.path / model).read_bytes()
    assert left.metrics == whole.metrics
    assert left.record["kept"] == whole.record["kept"]


@pytest.fixture
def _saves_after_each_batch(monkeypatch):
    monkeypatch.setattr(save_interval, "SHORTEST", 0.0)
    monkeypatch.setattr(save_interval, "LONGEST", 0.0)
    monkeypatch.setattr(checkpoint_writer, "ThreadPoolExecutor", AtOnce)


@pytest.mark.usefixtures("_saves_after_each_batch")
@pytest.mark.parametrize(
    "name", [name if name in DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]
)
def test_all_that_a_recipe_holds_goes_on_inside_an_epoch(name, tmp_path):
    check(name, data_in(tmp_path), tmp_path, stops=STOPS if name not in DEFAULT else STOPS[1:2])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_jax_too(tmp_path):
    """All recipes in one process, as JAX takes seconds to start; a step of augmix takes it minutes to compile."""
    pytest.importorskip("jax")
    code = (
        "import sys, pytest; sys.exit(pytest.main(['-n0', '-q', '-p', 'no:cacheprovider', '--basetemp', sys.argv[1], "
        f"'{os.path.relpath(__file__, HERE)}', '-k', 'inside_an_epoch and not augmix', '-m', 'slow or not slow']))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "jax")],
        env=environment(KERAS_BACKEND="jax"),
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
