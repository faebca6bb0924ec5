import keras
import numpy as np
import pytest

from zoo.recipe.schema import Phase
from zoo.training.optimizers import MOMENTUM, OPTIMIZERS, build_optimizer
from zoo.training.schedules import RateByStep

RATE, DECAY = 0.25, 0.5


def net():
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="hidden")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="classifier")(x))


def optimizer_for(model, name, **keys):
    settings = {"learning_rate": RATE, "schedule": "constant", **keys}
    phase = Phase(name="all", train="all", optimizer=name, **settings)
    rate = RateByStep(peak=phase.learning_rate, schedule=phase.schedule, steps=10)
    optimizer = build_optimizer(phase, rate, model=model)
    optimizer.build(model.trainable_variables)
    return optimizer


def zeros(model):
    return [np.zeros(variable.shape, "float32") for variable in model.trainable_variables]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_shrinks_kernels_and_leaves_biases_and_normalisation(name):
    # With a gradient of zero only the decay acts: w <- w (1 - rate * decay), decoupled (arXiv:1711.05101).
    model = net()
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    before = {variable.path: variable.numpy().copy() for variable in model.trainable_variables}
    optimizer = optimizer_for(model, name, weight_decay=DECAY)
    for _ in range(2):
        optimizer.apply([keras.ops.convert_to_tensor(zero) for zero in zeros(model)])
    kernels = {path for path in before if path.endswith("kernel")}
    assert len(kernels) == 2
    assert len(before) == 6
    for variable in model.trainable_variables:
        if variable.path in kernels:
            np.testing.assert_allclose(variable.numpy(), before[variable.path] * (1 - RATE * DECAY) ** 2, rtol=1e-6)
        else:
            assert variable.numpy().tobytes() == before[variable.path].tobytes(), variable.path


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_decay_and_gradient_nothing_moves(name):
    model = net()
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    optimizer_for(model, name).apply([keras.ops.convert_to_tensor(zero) for zero in zeros(model)])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        assert variable.numpy().tobytes() == value.tobytes()


def test_sgd_is_nesterovs_momentum():
    # Sutskever et al. 2013, section 2, as every framework writes it: m <- 0.9 m - rate g; w <- w + 0.9 m - rate g.
    model = net()
    kernel = model.get_layer("hidden").kernel
    start = kernel.numpy().astype("float64")
    optimizer = optimizer_for(model, "sgd")
    gradients = [np.random.default_rng(step).normal(size=start.shape) for step in range(2)]
    for gradient in gradients:
        given = zeros(model)
        given[0] = gradient.astype("float32")
        optimizer.apply([keras.ops.convert_to_tensor(array) for array in given])
    first, second = gradients
    after_one = start - RATE * (1 + MOMENTUM) * first
    after_two = after_one - RATE * (MOMENTUM**2 * first + (1 + MOMENTUM) * second)
    assert MOMENTUM == 0.9
    np.testing.assert_allclose(kernel.numpy(), after_two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_first_step_of_adam_is_the_rate_towards_the_sign(name):
    # Kingma and Ba 2015, section 2.1: with bias correction the first step is rate * g / (|g| + epsilon).
    model = net()
    kernel = model.get_layer("hidden").kernel
    start = kernel.numpy().copy()
    gradient = np.random.default_rng(0).normal(size=start.shape).astype("float32")
    given = zeros(model)
    given[0] = gradient
    optimizer_for(model, name).apply([keras.ops.convert_to_tensor(array) for array in given])
    np.testing.assert_allclose(kernel.numpy(), start - RATE * np.sign(gradient), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "slots"), [("sgd", 1), ("adam", 2), ("adamw", 2)])
def test_slots_have_names_of_their_own_that_do_not_change_from_build_to_build(name, slots):
    first, second = ([v.path for v in optimizer_for(net(), name).variables] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first) == 1 + slots * 6  # iterations, and slots of each tensor
    assert all(path.startswith(f"{name}/") for path in first)
    assert sum("hidden_kernel" in path for path in first) == slots
