"""What is computed in which type under mixed policies, read off the graph of a training step, which is not run."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import environment, phase, recipe
from zoo.backend.keras_internals.native_operations import native_operations
from zoo.data import Batches
from zoo.freezing.plans import layers_of
from zoo.training.compiling.schedules import LearningRateSchedule
from zoo.training.compiling.training_model import make_training_model
from zoo.training.trainable import apply_freezing

NETS = [("mnist_conv_tiny", (28, 28, 1)), pytest.param("resnet50", (64, 64, 3), marks=pytest.mark.slow)]
HALF = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


def training_model(name, shape, policy):
    plan = recipe(phase("all", "all"), model=name, train={"precision": policy})
    model = zoo.build(name, classes=4, input_shape=shape, weights=None, precision=policy)
    apply_freezing(model, plan.phases[0])
    labels = np.arange(8) % 4
    images = np.zeros((8, *shape), np.uint8)
    batches = Batches(images=images, labels=labels, classes=4, batch_size=8, seed=0, shuffle=False)
    rate = LearningRateSchedule.of_phase(plan.phases[0], 10)
    made = make_training_model(model, plan, plan.phases[0], rate, batches=batches, prefix=None).model
    made.optimizer.build(model.trainable_variables)
    return model, made, batches.batch(0, 0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="reads TensorFlow's graph")
@pytest.mark.parametrize("policy", HALF)
@pytest.mark.parametrize(("name", "shape"), NETS)
def test_tensorflow_keeps_statistics_softmax_loss_and_weights_in_float32(name, shape, policy):
    import tensorflow as tf

    model, made, batch = training_model(name, shape, policy)
    specs = tuple(tf.TensorSpec(each.shape, each.dtype) for each in batch)
    with native_operations(layers_of(model)):
        graph = tf.function(lambda x, y: made.train_step((x, y))).get_concrete_function(*specs).graph
    half = tf.as_dtype(HALF[policy])
    operations = list(_operations(graph))
    convolutions = [one for one in operations if one.type.startswith("Conv2D")]
    assert convolutions
    assert {one.get_attr("T") for one in convolutions} == {half}
    statistics = [one for one in operations if one.type.startswith("FusedBatchNorm")]
    assert len(statistics) >= sum(isinstance(layer, keras.layers.BatchNormalization) for layer in layers_of(model))
    assert {one.get_attr("U") for one in statistics} == {tf.float32}
    fragile = [one for one in operations if one.type in ("Softmax", "LogSoftmax", "Log", "Exp", "Log1p")]
    assert fragile
    assert {one.outputs[0].dtype for one in fragile} == {tf.float32}
    assert {variable.dtype for variable in (*model.weights, *made.optimizer.variables)} <= {"float32", "int32", "int64"}


def _operations(graph):
    """Gives the operations of a graph and of the functions that it calls."""
    yield from graph.get_operations()
    for function in graph._functions.values():
        yield from function.graph.get_operations()


ON_JAX = """
import json, sys
import jax, keras
from tests.training.compiling.test_mixed_precision import training_model

name, shape, policy = json.loads(sys.argv[1])
model, made, (images, labels) = training_model(name, tuple(shape), policy)
made._symbolic_build(data_batch=(images, labels))
state = made._get_jax_state(
    trainable_variables=True, non_trainable_variables=True, optimizer_variables=True, metrics_variables=True
)
like = jax.tree.map(lambda each: jax.ShapeDtypeStruct(each.shape, each.dtype), (state, (images, labels)))
shown, (_, after) = jax.make_jaxpr(made.train_step, return_shape=True)(*like)

def equations(jaxpr):
    for one in jaxpr.eqns:
        yield one
        for inner in jax.tree.leaves(
            list(one.params.values()), is_leaf=lambda each: hasattr(each, "eqns") or hasattr(each, "jaxpr")
        ):
            if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                yield from equations(getattr(inner, "jaxpr", inner))

found = list(equations(shown.jaxpr))
forward, _ = jax.make_jaxpr(
    lambda *given: model.stateless_call(*given, training=True), return_shape=True
)(like[0][0], like[0][1], like[1][0])
moments = [
    one for one in equations(forward.jaxpr)
    if one.primitive.name == "reduce_sum" and tuple(one.params["axes"]) == (0, 1, 2)
]
names = lambda some: sorted({str(one.invars[0].aval.dtype) for one in some})
print(json.dumps({
    "convolutions": names(one for one in found if one.primitive.name == "conv_general_dilated"),
    "moments": [len(moments), names(moments)],
    "fragile": names(one for one in found if one.primitive.name in ("exp", "log", "log1p")),
    "state": sorted({str(each.dtype) for each in jax.tree.leaves(after)}),
    "batchnorms": sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers),
}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("policy", HALF)
@pytest.mark.parametrize(("name", "shape"), [("mnist_conv_tiny", (28, 28, 1)), ("resnet50", (64, 64, 3))])
def test_jax_keeps_statistics_softmax_loss_and_weights_in_float32(name, shape, policy):
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX, json.dumps([name, shape, policy])],
        env=environment(KERAS_BACKEND="jax"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    count, types = found["moments"]
    assert count >= found["batchnorms"] > 0
    assert (found["convolutions"], types, found["fragile"]) == ([HALF[policy]], ["float32"], ["float32"])
    assert set(found["state"]) <= {"float32", "int32", "uint32"}
