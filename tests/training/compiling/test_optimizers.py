import keras
import numpy as np
import pytest

from zoo.backend.keras_internals.native_operations import SWITCH
from zoo.errors import ContractError
from zoo.recipe.schema import Phase
from zoo.registry.optimizers import OPTIMIZERS
from zoo.training.compiling.optimizer_state import OF_ONE_PHASE, load_averages, load_state, moving_averages, state_of
from zoo.training.compiling.optimizers import build_optimizer
from zoo.training.compiling.per_variable import LossScaleOptimizer
from zoo.training.compiling.schedules import LearningRateSchedule

RATE, DECAY = 0.25, 0.5
MOMENTUM = 0.9
NAMES = [row.name for row in OPTIMIZERS.rows()]
# Those whose update is one operation of TensorFlow.
FUSED = ("adam", "adamw")


def net():
    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="hidden")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="classifier")(x))


def optimizer_for(model, name, *, factors=None, ema=0.0, accumulate=1, clip_norm=0.0, **keys):
    settings = {"learning_rate": RATE, "schedule": "constant", **keys}
    phase = Phase(name="all", train="all", optimizer=name, **settings)
    rate = LearningRateSchedule(peak=phase.learning_rate, schedule=phase.schedule, batches=10)
    further = {"factors": factors, "ema": ema, "accumulate": accumulate, "clip_norm": clip_norm}
    optimizer = build_optimizer(phase, rate, model=model, **further)
    optimizer.build(model.trainable_variables)
    return optimizer


def zeros(model):
    return [np.zeros(variable.shape, "float32") for variable in model.trainable_variables]


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has zeros where the loss does not depend on a weight")
@pytest.mark.parametrize("name", NAMES)
def test_what_is_to_be_trained_and_has_no_gradient_breaks_the_contract(name):
    class Wall(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.stop_gradient(inputs)

    inputs = keras.Input((3,))
    x = keras.layers.Dense(4, name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="classifier")(Wall()(x)))
    model.compile(optimizer=optimizer_for(model, name), loss="mse")
    with pytest.raises(ContractError) as raised:
        model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    assert str(raised.value) == (
        "phase 'all': 2 tensors are to be trained, yet have no gradient: hidden/kernel, hidden/bias; "
        "no checkpoint holds it"
    )
    assert raised.value.exit_code == 3


@pytest.mark.parametrize("name", NAMES)
def test_without_decay_and_gradient_nothing_changes(name):
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
    np.testing.assert_allclose(kernel.numpy(), after_two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax", "lion"])
def test_the_first_step_of_adam_is_the_rate_towards_the_sign(name):
    # Kingma and Ba 2015, section 2.1: with bias correction the first step is rate * g / (|g| + epsilon).
    model = net()
    kernel = model.get_layer("hidden").kernel
    start = kernel.numpy().copy()
    gradient = np.random.default_rng(0).normal(size=start.shape).astype("float32")
    given = zeros(model)
    given[0] = gradient
    optimizer_for(model, name).apply([keras.ops.convert_to_tensor(array) for array in given])
    # Epsilon is 1e-7 of the root of the second moment, a thirtieth of the gradient.
    np.testing.assert_allclose(kernel.numpy(), start - RATE * np.sign(gradient), atol=1e-4)


# One or two a tensor; Adafactor has the rows and the columns of a matrix besides; Muon none of squares for a matrix.
SLOTS = {"sgd": 6, "adamax": 12, "adagrad": 6, "rmsprop": 6, "lion": 6, "adafactor": 18, "muon": 11}


@pytest.mark.parametrize(("name", "slots"), [(name, SLOTS.get(name, 12)) for name in NAMES])
def test_slots_have_names_of_their_own_that_do_not_change_from_build_to_build(name, slots):
    first, second = ([v.path for v in optimizer_for(net(), name).variables] for _ in range(2))
    assert first == second
    assert len(set(first)) == len(first) == 2 + slots  # iterations, ages, and slots of each tensor
    assert all(path.startswith(f"{name}/") for path in first)
    tensors = [path.replace("/", "_") for path in weights_of(net()) if "moving" not in path]
    assert all(any(tensor in path for tensor in tensors) for path in first if not path.endswith(OF_ONE_PHASE))


def random_gradients(model, step):
    random = np.random.default_rng(step)
    return [
        keras.ops.convert_to_tensor(random.normal(size=variable.shape).astype("float32"))
        for variable in model.trainable_variables
    ]


def weights_of(model):
    return {weight.path: weight.numpy().copy() for weight in model.weights}


def same_net():
    keras.utils.set_random_seed(0)
    return net()


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("name", NAMES)
def test_two_phases_that_train_the_same_are_one_training_bit_by_bit(name, ema):
    whole, parted = same_net(), same_net()
    uninterrupted = optimizer_for(whole, name, ema=ema, weight_decay=DECAY)
    for step in range(5):
        uninterrupted.apply(random_gradients(whole, step))
    first = optimizer_for(parted, name, ema=ema, weight_decay=DECAY)
    for step in range(3):
        first.apply(random_gradients(parted, step))
    second = optimizer_for(parted, name, ema=ema, weight_decay=DECAY)
    load_state(second, state_of(first))
    for step in range(3, 5):
        second.apply(random_gradients(parted, step))
    assert all(np.array_equal(values, weights_of(whole)[path]) for path, values in weights_of(parted).items())
    slots, others = state_of(second), state_of(uninterrupted)
    assert slots.steps == others.steps == dict.fromkeys(slots.steps, 5)
    assert slots.slots.keys() == others.slots.keys()
    assert all(np.array_equal(slots.slots[path], others.slots[path]) for path in slots.slots)
    assert len(moving_averages(second)) == (6 if ema else 0)


# Of which the first step is the rate towards the sign of the gradient, if the bias is corrected by the age.
@pytest.mark.parametrize("name", ["adam", "adamw", "adamax"])
def test_what_is_new_in_a_phase_begins_as_new(name):
    model = same_net()
    hidden = model.get_layer("hidden")
    hidden.trainable = False
    head = optimizer_for(model, name)
    for step in range(3):
        head.apply(random_gradients(model, step))
    hidden.trainable = True
    start = hidden.kernel.numpy().copy()
    everything = optimizer_for(model, name)
    load_state(everything, state_of(head))
    gradients = random_gradients(model, 3)
    everything.apply(gradients)
    # As the first step of Adam above, though the classifier is at its fourth.
    np.testing.assert_allclose(hidden.kernel.numpy(), start - RATE * np.sign(gradients[0]), atol=1e-4)
    assert state_of(everything).steps["hidden/kernel"] == 1
    assert state_of(everything).steps["classifier/kernel"] == 4


def test_another_kind_of_optimizer_begins_anew():
    model = same_net()
    first = optimizer_for(model, "sgd")
    first.apply(random_gradients(model, 0))
    second = optimizer_for(model, "adamw")
    load_state(second, state_of(first))
    assert set(state_of(second).steps.values()) == {0}


def test_a_factor_is_that_of_the_step_exactly():
    plain, slowed = same_net(), same_net()
    before = weights_of(plain)
    for model, factors in ((plain, {}), (slowed, {"hidden/kernel": 0.5, "hidden/bias": 0.5, "bn/gamma": 0.25})):
        optimizer_for(model, "sgd", factors=factors).apply(random_gradients(model, 0))
    for path, factor in {"hidden/kernel": 0.5, "hidden/bias": 0.5, "bn/gamma": 0.25, "classifier/kernel": 1}.items():
        step, slow_step = (weights_of(model)[path].astype("float64") - before[path] for model in (plain, slowed))
        # Powers of two: the step itself is exact, the sum is rounded.
        np.testing.assert_allclose(slow_step, factor * step, atol=1e-7, err_msg=path)


@pytest.mark.parametrize("name", NAMES)
def test_decay_is_as_slow_as_the_steps(name):
    model = same_net()
    before = weights_of(model)
    optimizer = optimizer_for(model, name, weight_decay=DECAY, factors={"hidden/kernel": 0.125})
    optimizer.apply([keras.ops.convert_to_tensor(zero) for zero in zeros(model)])
    for path, factor in {"hidden/kernel": 0.125, "classifier/kernel": 1}.items():
        np.testing.assert_allclose(weights_of(model)[path], before[path] * (1 - RATE * factor * DECAY), rtol=1e-6)


def test_gradients_are_clipped_by_their_global_norm():
    plain, clipped = same_net(), same_net()
    before = weights_of(plain)
    gradients = random_gradients(plain, 0)
    norm = float(np.sqrt(sum(float(np.sum(np.square(gradient))) for gradient in gradients)))
    for model, clip_norm in ((plain, 0.0), (clipped, norm / 4)):
        optimizer_for(model, "sgd", clip_norm=clip_norm).apply(gradients)
    for path, start in before.items():
        step, small_step = (weights_of(model)[path] - start for model in (plain, clipped))
        np.testing.assert_allclose(small_step, step / 4, atol=1e-6, err_msg=path)


@pytest.mark.parametrize("ema", [0.0, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_accumulated_batches_make_the_step_of_their_mean(name, ema):
    whole, parts = same_net(), same_net()
    one, two = optimizer_for(whole, name, ema=ema), optimizer_for(parts, name, ema=ema, accumulate=2)
    for step in range(2):
        halves = [random_gradients(parts, 2 * step + half) for half in (0, 1)]
        one.apply([(first + second) / 2 for first, second in zip(*halves, strict=True)])
        for half in halves:
            two.apply(half)
    for path, values in weights_of(whole).items():
        np.testing.assert_allclose(weights_of(parts)[path], values, rtol=1e-5, atol=1e-6, err_msg=path)
    for path, average in moving_averages(one).items():
        np.testing.assert_allclose(moving_averages(two)[path], average, rtol=1e-5, atol=1e-6, err_msg=path)
    assert set(state_of(two).steps.values()) == {2}


def test_what_is_trained_no_more_takes_its_average():
    model = same_net()
    first = optimizer_for(model, "sgd", ema=0.5)
    for step in range(3):
        first.apply(random_gradients(model, step))
    state = state_of(first)
    model.get_layer("hidden").trainable = False
    before = weights_of(model)
    load_averages(model, state)
    after = weights_of(model)
    assert not np.array_equal(after["hidden/kernel"], before["hidden/kernel"])
    np.testing.assert_array_equal(after["hidden/kernel"], state.averages["hidden/kernel"])
    np.testing.assert_array_equal(after["classifier/kernel"], before["classifier/kernel"])


@pytest.mark.parametrize("native", ["0", "1"])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_keras_own_where_all_weights_train_alike(name, native, monkeypatch):
    monkeypatch.setenv(SWITCH, native)
    row = OPTIMIZERS.lookup(name)
    ours, theirs = same_net(), same_net()
    optimizer = optimizer_for(ours, name)
    further = row.arguments(theirs, 0.0)
    own = row.build()(RATE, **row.filled({}), **{"weight_decay": None, **further})
    own.build(theirs.trainable_variables)
    for step in range(3):
        optimizer.apply(random_gradients(ours, step))
        own.apply(random_gradients(theirs, step))
    for path, values in weights_of(theirs).items():
        if name == "adafactor":  # a schedule takes the place of its relative step: the same here, with another rounding
            np.testing.assert_allclose(weights_of(ours)[path], values, rtol=1e-5, atol=1e-7, err_msg=path)
        elif native == "1" and name in FUSED:  # a rate of 0.25 for weights of that size
            np.testing.assert_allclose(weights_of(ours)[path], values, rtol=1e-4, atol=1e-5, err_msg=path)
        else:
            np.testing.assert_array_equal(weights_of(ours)[path], values, err_msg=path)


@pytest.mark.parametrize("name", NAMES)
def test_a_phase_of_its_own_is_the_same_whatever_was_trained_before(name):
    # The classifier is three steps old when the hidden layer begins, which learns as it would by itself.
    fresh, aged = same_net(), same_net()
    everything = optimizer_for(fresh, name)
    everything.apply(random_gradients(fresh, 3))
    aged.get_layer("hidden").trainable = False
    head = optimizer_for(aged, name)
    for step in range(3):
        head.apply(random_gradients(aged, step))
    aged.get_layer("hidden").trainable = True
    later = optimizer_for(aged, name)
    load_state(later, state_of(head))
    later.apply(random_gradients(fresh, 3))
    for path in ("hidden/kernel", "hidden/bias"):
        np.testing.assert_array_equal(weights_of(aged)[path], weights_of(fresh)[path], err_msg=path)


def test_options_of_a_recipe_reach_the_optimizer():
    optimizer = optimizer_for(net(), "lion", optimizer_options={"beta_1": 0.5})
    assert (optimizer.beta_1, optimizer.beta_2) == (0.5, 0.99)
    plain = optimizer_for(net(), "sgd", optimizer_options={"momentum": 0, "nesterov": False})
    assert len(plain.variables) == 2


def test_muon_leaves_the_classifier_and_vectors_to_adam():
    optimizer = optimizer_for(net(), "muon")
    of_adam = [variable.path for variable in optimizer.variables if variable.path.endswith("velocity")]
    assert of_adam == [
        f"muon/{tensor}_velocity"
        for tensor in ("hidden_bias", "bn_gamma", "bn_beta", "classifier_kernel", "classifier_bias")
    ]


def test_another_optimizer_inside_a_scale_of_the_loss_begins_anew():
    model = same_net()
    before = LossScaleOptimizer(optimizer_for(model, "sgd"), name="scale")
    before.build(model.trainable_variables)
    before.apply(random_gradients(model, 0))
    after = LossScaleOptimizer(optimizer_for(model, "adamw"), name="scale")
    after.build(model.trainable_variables)
    load_state(after, state_of(before))
    assert set(state_of(after).steps.values()) == {0}
    assert int(after.step_counter) == 1
