"""What zoo relies on inside Keras' optimizers, and what is said where a release differs."""

import random

import keras
import numpy as np
import pytest

from zoo.backend.keras_internals import optimizers
from zoo.errors import ZooError


def built(**settings):
    variable = keras.Variable(np.float32([[1.0, 2.0]]), name="kernel")
    optimizer = keras.optimizers.SGD(0.5, **settings)
    optimizer.build([variable])
    return optimizer, variable


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Lion", "Lamb"])
def test_keras_calls_every_hook_that_zoo_overrides(name):
    optimizers.require_hooks(getattr(keras.optimizers, name))


def test_a_hook_that_keras_no_longer_calls_is_a_fault_that_names_the_release():
    class Renamed(keras.optimizers.SGD):
        def _backend_apply_gradients(self, grads, trainable_variables):
            self._shrink(trainable_variables)

        def _shrink(self, variables):
            pass

    with pytest.raises(ZooError) as fault:
        optimizers.require_hooks(Renamed)
    assert str(fault.value) == (
        f"keras {keras.__version__}: Renamed.apply does not call _apply_weight_decay, "
        "_update_model_variables_moving_average; expected one call each (keras/src/optimizers/base_optimizer.py); "
        "install a release that zoo was tested with: pip install 'keras>=3.13.0,<=3.15.1'"
    )


def test_a_hook_with_other_arguments_is_a_fault():
    class Changed(keras.optimizers.SGD):
        def _apply_weight_decay(self, variables, learning_rate):
            pass

    with pytest.raises(ZooError, match=r"Changed\._apply_weight_decay takes \(variables, learning_rate\); expected"):
        optimizers.require_hooks(Changed)


def test_the_check_of_hooks_draws_no_random_number():
    class Fresh(keras.optimizers.Adam):
        pass

    keras.utils.set_random_seed(5)
    drawn = float(keras.random.uniform(())), np.random.random(), random.random()
    keras.utils.set_random_seed(5)
    optimizers.require_hooks(Fresh)
    assert (float(keras.random.uniform(())), np.random.random(), random.random()) == drawn


def test_batches_are_counted_apart_from_steps():
    optimizer, variable = built(gradient_accumulation_steps=2)
    for _ in range(3):
        optimizer.apply([keras.ops.ones((1, 2))], [variable])
    assert int(optimizers.applied_batches(optimizer)) == 3
    assert int(optimizer.iterations) == 1


def test_variables_are_known_by_place_and_by_decay():
    optimizer, variable = built(weight_decay=0.1)
    assert [each.path for each in optimizers.trained_variables(optimizer)] == ["kernel"]
    assert optimizers.variable_index(optimizer, variable) == 0
    assert optimizers.has_weight_decay(optimizer, variable)
    excluding = keras.optimizers.SGD(0.5, weight_decay=0.1)
    excluding.exclude_from_weight_decay(var_list=[variable])
    excluding.build([variable])
    assert not optimizers.has_weight_decay(excluding, variable)


def test_averages_are_those_of_the_variables():
    optimizer, variable = built(use_ema=True, ema_momentum=0.5)
    optimizer.apply([keras.ops.ones((1, 2))], [variable])
    (average,) = optimizers.moving_averages(optimizer)
    assert np.asarray(average.value).tolist() == [[0.5, 1.5]]  # the first step: the value itself
    assert optimizers.moving_averages(built()[0]) == ()


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (optimizers.applied_batches, "_iterations"),
        (optimizers.trained_variables, "_trainable_variables"),
        (lambda optimizer: optimizers.variable_index(optimizer, None), "_get_variable_index"),
        (lambda optimizer: optimizers.has_weight_decay(optimizer, None), "_use_weight_decay"),
        (optimizers.moving_averages, "_model_variables_moving_average"),
    ],
)
def test_a_name_that_is_gone_is_a_fault_that_names_the_release(read, name):
    class SGD:
        use_ema = True

    with pytest.raises(
        ZooError, match=rf"^keras {keras.__version__}: SGD has no '{name}'; .* install a release that zoo was"
    ):
        read(SGD())
