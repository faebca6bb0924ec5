"""BatchNorm by one operation, against Keras' own layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from tests.tiny import phase, recipe, write_npz
from zoo.backend.keras_internals.fused_batchnorm import fused
from zoo.backend.keras_internals.native_operations import SWITCH
from zoo.freezing.plans import layers_of
from zoo.runs.folder import RunFolder

CHANNELS = 6
OPERATION = "FusedBatchNormV3"


@pytest.fixture
def called(monkeypatch):
    """Counts how often TensorFlow's operation is put into a graph."""
    calls = []
    real = tf.raw_ops.FusedBatchNormV3

    def counting(**arguments):
        calls.append(arguments)
        return real(**arguments)

    monkeypatch.setattr(tf.raw_ops, OPERATION, counting)
    return calls


def normalising(shape, **options):
    layer = keras.layers.BatchNormalization(**options)
    layer.build(shape)
    for weight in layer.trainable_weights:
        weight.assign(np.linspace(0.5, 1.5, CHANNELS))
    return layer


def step(layer, inputs, weights, *, is_fused, **call):
    """Returns outputs, gradients by inputs and weights, and statistics of one training step."""
    inputs = tf.Variable(tf.cast(inputs, layer.compute_dtype))

    @tf.function
    def traced():
        with tf.GradientTape() as tape:
            outputs = layer(inputs, training=True, **call)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
        return [outputs, *tape.gradient(loss, [inputs, *(one.value for one in layer.trainable_weights)])]

    with fused([layer] if is_fused else []):
        found = traced()
    return [np.asarray(tf.cast(one, tf.float32)) for one in (*found, *layer.non_trainable_weights)]


def close(ones, others, *, dtype):
    # A half has 11 bits and a bfloat16 8; sums are over 280 values.
    relative = {"float32": 2e-5, "mixed_float16": 2e-3, "mixed_bfloat16": 1e-2}[dtype]
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=relative, atol=relative * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("shape", [(8, 7, 5, CHANNELS), (2, 1, 1, CHANNELS), (1, 1, 1, CHANNELS)], ids=str)
@pytest.mark.parametrize(
    "options", [{}, {"scale": False}, {"center": False}, {"epsilon": 1e-5, "momentum": 0.9}], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_outputs_gradients_and_statistics_are_those_of_keras(dtype, options, shape, called):
    chances = np.random.default_rng(0)
    inputs, weights = chances.normal(3, 2, shape), chances.normal(size=shape).astype(np.float32)
    theirs = step(normalising(shape, dtype=dtype, **options), inputs, weights, is_fused=False)
    assert called == []
    ours = step(normalising(shape, dtype=dtype, **options), inputs, weights, is_fused=True)
    assert len(called) == 1
    close(ours, theirs, dtype=dtype)


def test_the_moving_variance_is_that_of_the_batch_without_bessels_correction():
    layer = normalising((4, 1, 1, CHANNELS), momentum=0.0)
    inputs = np.random.default_rng(0).normal(size=(4, 1, 1, CHANNELS)).astype(np.float32)
    *_, mean, variance = step(layer, inputs, np.ones_like(inputs), is_fused=True)
    np.testing.assert_allclose(mean, inputs.mean((0, 1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance, inputs.var((0, 1, 2), ddof=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "options", "call"),
    [
        ((8, CHANNELS), {}, {}),
        ((2, 3, 4, 5, CHANNELS), {}, {}),
        ((8, 7, 5, CHANNELS), {}, {"mask": np.ones((8, 7, 5), bool)}),
        ((8, CHANNELS, 7, 5), {"axis": 1}, {}),
        ((8, 7, 5, CHANNELS), {"dtype": "float64"}, {}),
        ((8, 7, 5, CHANNELS), {"renorm": True}, {}),
    ],
    ids=["rank 2", "rank 5", "mask", "channels first", "float64", "renorm"],
)
def test_what_the_operation_does_not_know_is_left_to_keras(shape, options, call, called):
    inputs = np.random.default_rng(0).normal(size=shape)
    weights = np.ones(shape, np.float32)
    theirs = step(normalising(shape, **options), inputs, weights, is_fused=False, **call)
    ours = step(normalising(shape, **options), inputs, weights, is_fused=True, **call)
    assert called == []
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mode", ["frozen", "affine"])
def test_statistics_of_layers_that_do_not_train_stay(mode, called):
    model = zoo.build("conv2d_small", weights=None)
    zoo.unfreeze(model, "all", batchnorm=mode)
    before = [weight.numpy() for weight in model.non_trainable_weights]
    with fused(layers_of(model)) as names:
        model(np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)), training=True)
    assert len(names) == 3
    assert called == []
    for one, other in zip(model.non_trainable_weights, before, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


def test_the_model_is_plain_keras_again_when_it_is_over(called):
    model = zoo.build("conv2d_small", weights=None)
    config = model.get_config()
    names = [weight.path for weight in model.weights]
    with fused(layers_of(model)):
        assert (model.get_config(), [weight.path for weight in model.weights]) == (config, names)
        with pytest.raises(ZeroDivisionError), fused(layers_of(model)) as inside:
            assert inside == ()
            raise ZeroDivisionError
        model(np.zeros((2, 32, 32, 3)), training=True)
    assert len(called) == 3
    model(np.zeros((2, 32, 32, 3)), training=True)
    assert len(called) == 3
    assert all("call" not in vars(layer) for layer in layers_of(model))


def fused_in(run):
    return RunFolder(run.path).record().environment.native_operations


def test_a_run_trains_by_it_and_says_so(called, tmp_path, monkeypatch):
    data = write_npz(tmp_path / "images.npz", count=16)
    plan = recipe(phase("all", "all", batchnorm="train"), model="mnist_conv_tiny")
    run = zoo.finetune(plan, data, run=tmp_path / "run", verbose=0)
    norms = [layer for layer in run.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {len(one["x"].shape) for one in called} == {4}
    assert len(called) % len(norms) == 0
    assert len(called) >= len(norms)
    assert fused_in(run) is True
    monkeypatch.setenv(SWITCH, "0")
    before = len(called)
    other = zoo.finetune(plan, data, run=tmp_path / "other", verbose=0)
    assert (len(called), fused_in(other)) == (before, False)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mnist_conv", "mnist_conv_tiny", "mnist_striding_batchnorm"])
def test_fifty_steps_come_to_the_same(model, tmp_path, monkeypatch):
    data = write_npz(tmp_path / "images.npz", count=320, val=20)
    keys = {"epochs": 5, "optimizer": "sgd", "learning_rate": 1e-4, "batchnorm": "train"}
    plan = recipe(phase("all", "all", **keys), model=model, train={"batch_size": 32})
    runs = []
    for setting in ("0", "1"):
        monkeypatch.setenv(SWITCH, setting)
        runs.append(zoo.finetune(plan, data, run=tmp_path / setting, verbose=0))
    theirs, ours = ([row["loss"] for row in run.history] for run in runs)
    assert runs[1].history[-1]["step"] == 50
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    then, now = (run.model for run in runs)
    for one, other in zip(now.trainable_weights, then.trainable_weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-4)
    for one, other in zip(now.non_trainable_weights, then.non_trainable_weights, strict=True):
        # What rounds otherwise grows from batch to batch; a wrong correction would be 1e-3 in the smallest stage.
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-3)
