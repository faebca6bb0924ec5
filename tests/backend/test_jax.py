"""Training on JAX, in a process where TensorFlow cannot be imported."""

import json
import subprocess
import sys

import pytest

from tests.tiny import environment, write_photos

BLOCK = """
import json, sys
from pathlib import Path

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tf_keras", "tensorflow_hub"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())

import keras
import zoo
from tests.tiny import phase, recipe

folder = Path(sys.argv[1])
photos = folder / "photos"
"""

SIMPLE = """
run = zoo.finetune(recipe(phase("all", "all", epochs=3, learning_rate=3e-3)), photos, run=folder / "run")
predictions = run.classifier.predict(sorted(photos.rglob("*.png")))
print(json.dumps({
    "backend": [keras.backend.backend(), run.record["environment"]["backend"]],
    "tensorflow": "tensorflow" in sys.modules,
    "right": [one.label == Path(one.path).parent.name for one in predictions],
    "sums": [sum(one.probabilities.values()) for one in predictions],
    "rates": [row["learning_rate"] for row in run.history],
}))
"""

THREADS = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np

classifier = zoo.load("mnist_conv_tiny")
images = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype("uint8")
expected = classifier.predict_proba(images)
vectors = zoo.features(classifier.model, images)
with ThreadPoolExecutor(8) as pool:
    found = [pool.submit(classifier.predict_proba, images) for _ in range(48)]
    others = [pool.submit(zoo.features, classifier.model, images) for _ in range(8)]
print(json.dumps({
    "same": all(np.array_equal(one.result(), expected) for one in found),
    "features": max(float(abs(one.result() - vectors).max()) for one in others),
}))
"""

AVERAGED = """
import numpy as np

from zoo.training.compiling.optimizer_state import moving_averages
from zoo.training.compiling.per_variable import per_variable

weight = keras.Variable(np.float32([1]), name="weight")
optimizer = per_variable(keras.optimizers.SGD)(
    0.5, use_ema=True, ema_momentum=0.5, gradient_accumulation_steps=2, name="sgd"
)
optimizer.build([weight])
for gradient in (1, 3, 2, 4):
    optimizer.apply([keras.ops.convert_to_tensor(np.float32([gradient]))])
print(json.dumps([float(value.value[0]) for value in (weight, *moving_averages(optimizer).values())]))
"""

RESUMED = """
from zoo.errors import ContractError
from zoo.runs import checkpoint

tiny = recipe(
    phase("head", "head", epochs=1, optimizer="sgd", batchnorm="frozen"),
    phase("all", "all", weight_decay=1e-3),
    model="mnist_conv",
)

class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.name == "adamw" and (self.epoch, batch) == (2, 1):
            raise KeyboardInterrupt

class Nudge(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        statistic = self.model.get_layer("stem_1_bn").moving_mean
        statistic.assign(statistic + 1)

straight = zoo.finetune(tiny, photos, run=folder / "straight")
try:
    zoo.finetune(tiny, photos, run=folder / "stopped", callbacks=[Stop()])
except KeyboardInterrupt:
    resumed = zoo.finetune(None, run=folder / "stopped", resume=True)
try:
    zoo.finetune(tiny, photos, run=folder / "broken", callbacks=[Nudge()])
except ContractError as fault:
    broken = str(fault)
ends = []
for run in (straight, resumed):
    last = checkpoint.latest(run.path / "checkpoints")
    ends.append({**last.model_arrays(), **last.state_arrays()})
first, second = ends
print(json.dumps({
    "differ": [name for name in first if first[name].tobytes() != second[name].tobytes()],
    "same_names": first.keys() == second.keys(),
    "unchanged": [phase["contract"]["unchanged"] for phase in straight.record["phases"]],
    "broken": broken,
}))
"""

JOINT = """
import io, os
from contextlib import redirect_stderr

from zoo.system import cache

os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
os.environ["ZOO_ENGINE"] = "openvino"
three = recipe(
    phase("head", "head", batchnorm="frozen"),
    phase("top", "stage3+", batchnorm="frozen"),
    phase("more", "stage2+", batchnorm="frozen"),
    model="mnist_conv",
    train={"deterministic": True, "prefix_cache": "required"},
)

class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3:
            raise KeyboardInterrupt

with redirect_stderr(io.StringIO()) as said:
    straight = zoo.finetune(three, photos, run=folder / "straight")
try:
    zoo.finetune(three, photos, run=folder / "stopped", callbacks=[Stop()])
except KeyboardInterrupt:
    for entry in cache.entries("activations"):
        cache.remove(entry.path)
    resumed = zoo.finetune(None, run=folder / "stopped", resume=True)
model = "model/model.safetensors"
print(json.dumps({
    "computed": [[one["prefix_cache"]["computed"] for one in run.record["phases"]] for run in (straight, resumed)],
    "engines": [run.record["engine"] for run in (straight, resumed)],
    "said": said.getvalue(),
    "same": (straight.path / model).read_bytes() == (resumed.path / model).read_bytes(),
    "claim": resumed.record["exactness"]["claim"],
}))
"""


FULL = """
import jax, numpy as np

from zoo import registry
from zoo.backend import devices
from zoo.backend.compute.precision import full_float32, uses_tf32, warning
from zoo.backend.devices import Accelerator
from zoo.inference.batches import predict_in_batches
from zoo.registry import Card, Entry, Stage, entries

LIMIT = 6

def check(value):
    if len(value) > LIMIT:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes")
    return value

class Crowded(keras.layers.Layer):
    def call(self, inputs, training=None):
        like = jax.ShapeDtypeStruct(inputs.shape, inputs.dtype)
        checked = jax.pure_callback(check, like, jax.lax.stop_gradient(inputs))
        return inputs + jax.lax.stop_gradient(checked - inputs)

def build(inputs, *, card, classes, dropout):
    x = keras.layers.Conv2D(2, 3, strides=2, name="stem_conv")(Crowded(name="crowded")(inputs))
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.layers.Dense(classes, name="classifier")(x)

registry.list_models()
entries._entries["crowded"] = Entry(card=Card(
    name="crowded", family="crowded", description="a toy", input_shape=(28, 28, 1), classes=2, params=26, madds=3_000,
    stages=(
        Stage(name="stem", last_layer="stem_conv", layers=2, params=20),
        Stage(name="head", last_layer="", layers=3, params=6),
    ),
    preprocessing="none",
), build=build)

full = recipe(phase("all", "all"), model="crowded", train={"batch_size": 32})
try:
    zoo.finetune(full, photos, run=folder / "full")
except zoo.ZooError as fault:
    advice = str(fault)
devices.accelerator = lambda: Accelerator("gpu", "small", (8, 0))
auto = recipe(phase("all", "all"), model="crowded", train={"batch_size": "auto", "precision": "float32"})
run = zoo.finetune(auto, photos, run=folder / "auto")
LIMIT = 64
double = auto.model_copy(update={"train": auto.train.model_copy(update={"accumulate": 2})})
roomy = zoo.finetune(double, photos, run=folder / "roomy")
with full_float32():
    bits = uses_tf32(devices.accelerator())
LIMIT = 1000
images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1)).astype("uint8")
model = run.classifier.model
print(json.dumps({
    "advice": advice,
    "batch": run.record["batch"],
    "roomy": roomy.record["batch"],
    "environment": run.record["environment"]["tf32"],
    "warning": warning("float32", devices.accelerator()),
    "tf32": [uses_tf32(devices.accelerator()), bits],
    "difference": float(abs(predict_in_batches(model, images) - model.predict_on_batch(images)).max()),
}))
"""


def run_on_jax(code, folder):
    write_photos(folder / "photos", count=8)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK + code, str(folder)],
        env=environment(KERAS_BACKEND="jax"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_net_is_trained_and_used(tmp_path):
    found = run_on_jax(SIMPLE, tmp_path)
    assert (found["backend"], found["tensorflow"]) == (["jax", "jax"], False)
    assert found["right"] == [True] * 16
    assert found["sums"] == pytest.approx([1] * 16, abs=1e-6)


@pytest.mark.slow
def test_threads_predict_at_once(tmp_path):
    assert run_on_jax(THREADS, tmp_path) == {"same": True, "features": 0.0}


def test_an_average_is_updated_once_for_the_batches_of_a_step(tmp_path):
    # 1 - 0.5 x 2 = 0, which the average begins with; 0 - 0.5 x 3 = -1.5, and the average is half way there.
    assert run_on_jax(AVERAGED, tmp_path) == [-1.5, -0.75]


@pytest.mark.slow
def test_a_stopped_run_ends_bit_for_bit_and_a_broken_contract_is_noticed(tmp_path):
    found = run_on_jax(RESUMED, tmp_path)
    assert found["same_names"]
    assert found["differ"] == []
    assert found["unchanged"] == [[], []]
    assert found["broken"].startswith("phase 'head': 1 tensors are frozen, yet moved: stem_1_bn/moving_mean;")


@pytest.mark.slow
def test_one_first_pass_for_three_phases_and_one_for_those_that_are_left_come_to_the_same_bits(tmp_path):
    found = run_on_jax(JOINT, tmp_path)
    assert found["computed"] == [[16, 0, 0], [0, 16, 0]]
    assert found["engines"] == ["keras", "keras"]
    assert "head: ZOO_ENGINE is openvino, and the backend is jax; Keras computes\n" in found["said"]
    assert (found["same"], found["claim"]) == (True, "bitwise")


@pytest.mark.slow
def test_a_full_device_that_takes_variables_with_it_is_tried_again_with_less(tmp_path):
    found = run_on_jax(FULL, tmp_path)
    assert found["advice"] == (
        "phase 'all': out of memory with train.batch_size = 32; 4 would fit: --set train.batch_size=4 "
        "--set train.accumulate=8 takes steps of as many images"
    )
    assert found["batch"] == {"batch_size": 4, "accumulate": 8}
    assert found["roomy"] == {"batch_size": 64, "accumulate": 1}  # a step of two batches of 32, at once
    assert found["environment"] is True
    assert found["warning"] == (
        "small multiplies float32 with 10 of its 23 bits (TF32); for all of them set "
        "JAX_DEFAULT_MATMUL_PRECISION=float32"
    )
    assert found["tf32"] == [True, False]
    assert found["difference"] < 1e-6
