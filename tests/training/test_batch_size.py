"""What fits into memory: found by trying on a device that says so, estimated on a CPU."""

import keras
import pytest

import zoo
from tests.tiny import phase, recipe, write_photos
from zoo import registry
from zoo.backend import devices
from zoo.backend.devices import Accelerator
from zoo.errors import ZooError
from zoo.freezing.plans import train_only
from zoo.registry import Card, Entry, Stage, entries
from zoo.report.progress import Display
from zoo.training import batch_size
from zoo.training.batch_size import MicroBatches, batch_bytes, divide, largest_that_fits, memory_warning
from zoo.training.compiling.schedules import RisingRate
from zoo.training.preparation.preparing import prepare
from zoo.training.tools.range_test import find_rate

CPU = Accelerator("cpu", "cpu")


@pytest.fixture
def data(tmp_path):
    return write_photos(tmp_path / "photos", count=40)


@pytest.mark.parametrize(
    ("batch", "fitting", "accumulate", "divided"),
    [(32, 32, 1, (32, 1)), (32, 8, 1, (8, 4)), (64, 16, 2, (16, 8)), (20, 8, 1, (8, 3)), (32, 1, 1, (1, 32))],
)
def test_a_step_sees_as_many_images_in_micro_batches(batch, fitting, accumulate, divided):
    plan = recipe(train={"accumulate": accumulate})
    assert divide(plan, batch, fitting) == MicroBatches(batch_size=divided[0], accumulate=divided[1])
    assert divided[0] * divided[1] >= batch * accumulate


def test_sizes_are_halved_until_one_fits():
    tried = []

    def fits(size):
        tried.append(size)
        return size < 7

    assert largest_that_fits(fits, 32) == 4
    assert tried == [32, 16, 8, 4]
    assert largest_that_fits(lambda size: False, 5) is None


def test_memory_of_a_step_by_hand():
    # mnist_simple: input and rescaling 784 numbers each, 32 maps and their flat copy of 25,088 each, 10 logits, 10
    # probabilities; 251,722 weights. With the head alone only the operations from the last frozen map on count.
    model = zoo.build("mnist_simple", weights=None)
    maps = 2 * 784 + 2 * 25_088 + 2 * 10
    assert batch_bytes(model, 5) == 3 * 4 * 5 * maps + 4 * 4 * 251_722
    train_only(model, "head", batchnorm="frozen")
    assert batch_bytes(model, 5) == 3 * 4 * 5 * (25_088 + 2 * 10) + 4 * 4 * 251_722


def test_a_cpu_is_warned_before_it_is_killed(monkeypatch):
    model = zoo.build("mnist_simple", weights=None)
    plan = recipe(train={"batch_size": 4096})
    free = int(batch_bytes(model, 1024) / 0.8) + 1
    monkeypatch.setattr(batch_size, "available_bytes", lambda: free)
    text = memory_warning(model, plan, CPU)
    assert text == (
        f"a batch of 4096 images needs about {batch_bytes(model, 4096) / 1e9:.1f} GB, "
        f"and {free / 1e9:.1f} GB are free; "
        "1024 would fit: --set train.batch_size=1024 --set train.accumulate=4 takes steps of as many images"
    )
    assert memory_warning(model, plan, Accelerator("gpu", "some", (9, 0))) is None
    assert memory_warning(model, recipe(train={"batch_size": 64}), CPU) is None
    monkeypatch.setattr(batch_size, "available_bytes", lambda: 1000)
    assert "not even one image would fit" in memory_warning(model, plan, CPU)


def test_auto_takes_what_a_cpu_has_and_goes_on_with_it(data, tmp_path, monkeypatch):
    plan = recipe(phase("all", "all"), train={"batch_size": "auto"})
    whole = zoo.finetune(plan, data, run=tmp_path / "whole")
    assert whole.record["batch"] == {"batch_size": 32, "accumulate": 1}
    model = zoo.build("mnist_simple", classes=["cat", "dog"], weights=None)
    monkeypatch.setattr(batch_size, "available_bytes", lambda: int(batch_bytes(model, 8) / 0.8) + 1)
    run = zoo.finetune(plan, data, run=tmp_path / "run")
    assert run.record["batch"] == {"batch_size": 8, "accumulate": 4}
    # 60 images train: 8 pieces of up to 8, of which 4 make a step.
    assert [row["step"] for row in run.history] == [2, 4]


def register_crowded(monkeypatch):
    """Registers a net on which a training step on more than 6 images is too much; it says so as TensorFlow does."""
    import tensorflow as tf

    class Crowded(keras.layers.Layer):
        def call(self, inputs, training=None):
            def check(value):
                if len(value) > 6:
                    raise MemoryError
                return value

            @tf.custom_gradient
            def checked(value):
                return tf.ensure_shape(tf.numpy_function(check, [value], tf.float32), value.shape), tf.identity

            return checked(inputs) if training else inputs

    def build(inputs, *, card, classes, dropout):
        x = keras.layers.Conv2D(2, 3, strides=2, name="stem_conv")(Crowded(name="crowded")(inputs))
        x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
        return keras.layers.Dense(classes, name="classifier")(x)

    registry.list_models()
    card = Card(
        name="crowded",
        family="crowded",
        description="a toy",
        input_shape=(28, 28, 1),
        classes=2,
        params=26,
        madds=3_000,
        stages=(
            Stage(name="stem", last_layer="stem_conv", layers=2, params=20),
            Stage(name="head", last_layer="", layers=3, params=6),
        ),
        preprocessing="none",
    )
    monkeypatch.setitem(entries._entries, "crowded", Entry(card=card, build=build))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the toy device is TensorFlow's")
def test_a_full_device_is_reported_with_what_would_fit(data, tmp_path, monkeypatch):
    register_crowded(monkeypatch)
    plan = recipe(phase("all", "all"), model="crowded", train={"batch_size": 32})
    with pytest.raises(ZooError) as raised:
        zoo.finetune(plan, data, run=tmp_path / "run")
    advice = (
        "phase 'all': out of memory with train.batch_size = 32; 4 would fit: --set train.batch_size=4 "
        "--set train.accumulate=8 takes steps of as many images"
    )
    assert str(raised.value) == advice
    with pytest.raises(ZooError) as raised, Display() as display:
        find_rate(prepare(plan, data), rate=RisingRate(lowest=1e-4, highest=1e-3, steps=10), display=display)
    assert str(raised.value) == advice
    monkeypatch.setattr(devices, "accelerator", lambda: Accelerator("gpu", "small", (7, 0)))
    auto = recipe(phase("all", "all"), model="crowded", train={"batch_size": "auto", "precision": "float32"})
    run = zoo.finetune(auto, data, run=tmp_path / "auto")
    assert run.record["batch"] == {"batch_size": 4, "accumulate": 8}


def test_other_faults_are_none_of_memory():
    assert not devices.is_out_of_memory(ValueError("no"))
    assert devices.is_out_of_memory(RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"))
    assert devices.is_out_of_memory(MemoryError())
