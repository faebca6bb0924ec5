"""What zoo does otherwise than Keras, it does for these reasons; where one is gone, what rests on it can go too."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backend.internals_hold import branching
from zoo.backend.keras_internals import graphs, process_state
from zoo.backend.keras_internals.optimizers import moving_averages


def built(**settings):
    variable = keras.Variable(np.float32([[1.0, 2.0]]), name="kernel")
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, **settings)
    optimizer.build([variable])
    return optimizer, variable


def read(variable):
    return np.asarray(variable.value).tolist()


def test_swap_ema_weights_rounds():
    """Reason of AverageForValidation: keras/src/callbacks/swap_ema_weights.py."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)
    model.set_weights([np.float32([[1e8]])])
    moving_averages(model.optimizer)[0].assign([[1.2345]])
    callback = keras.callbacks.SwapEMAWeights()
    callback.set_model(model)
    callback.on_test_begin()
    assert model.get_weights()[0].item() != np.float32(1.2345)


def test_keras_averages_move_with_batches_that_apply_nothing():
    """Reason of the override of `_update_model_variables_moving_average`: base_optimizer.py."""
    optimizer, variable = built(gradient_accumulation_steps=2)
    for _ in range(2):
        optimizer.apply([keras.ops.zeros((1, 2))], [variable])
    variable.assign([[9.0, 9.0]])
    optimizer.apply([keras.ops.zeros((1, 2))], [variable])  # half a step: nothing is applied
    assert read(moving_averages(optimizer)[0]) == [[5.0, 5.5]]


def test_keras_puts_averages_into_the_model_when_fit_ends():
    """Reason of the override of `finalize_variable_values`: another phase may go on from the weights."""
    optimizer, variable = built()
    moving_averages(optimizer)[0].assign([[7.0, 7.0]])
    optimizer.finalize_variable_values([variable])
    assert read(variable) == [[7.0, 7.0]]


def test_keras_warns_of_an_empty_gradient_and_trains_the_others():
    """Reason of the override of `_filter_empty_gradients`."""
    optimizer, variable = built()
    other = keras.Variable(np.float32([1.0]), name="other")
    optimizer = keras.optimizers.SGD(1.0)
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        optimizer.apply([keras.ops.ones((1, 2)), None], [variable, other])


def test_augmix_draws_its_operations_with_pythons_random_numbers():
    """Reason of our AugMix: github.com/keras-team/keras/pull/20759 draws when a step is traced, once."""
    layer = keras.layers.AugMix(seed=1)
    images = tf.random.stateless_uniform((2, 8, 8, 3), (1, 2), 0, 255)
    traced = tf.function(lambda batch: layer(batch, training=True), autograph=False)
    before = random.getstate()
    traced(images)
    after_trace = random.getstate()
    traced(images)
    assert before != after_trace
    assert random.getstate() == after_trace


def test_rand_augment_turns_by_up_to_half_a_circle():
    """Reason of our RandAugment, whose largest angle is the paper's 30 degrees: rand_augment.py."""
    rotation = keras.layers.RandAugment().random_rotation.get_config()
    assert np.max(rotation["factor"]) == 0.5  # of a whole turn, either way


def test_predict_on_batch_is_traced_anew_for_another_size():
    """Reason of `devices.predictor`: github.com/tensorflow/tensorflow/issues/34907."""
    traces = []

    class Noting(keras.layers.Layer):
        def call(self, inputs):
            traces.append(inputs.shape)
            return inputs

    model = keras.Sequential([keras.Input((4,)), Noting()])
    traces.clear()
    for size in (2, 3):
        model.predict_on_batch(np.zeros((size, 4), "float32"))
    assert len(traces) == 2


def test_reading_keras_policy_stores_one():
    """Reason of `process_state.policy`: keras/src/dtype_policies/dtype_policy.py."""
    before = process_state.policy()
    process_state.restore_policy(None)
    keras.config.dtype_policy()
    assert process_state.policy() is not None
    process_state.restore_policy(before)


def test_the_public_input_of_a_nested_model_is_its_own():
    """Reason of `graphs.inputs_of`: keras/src/models/functional.py."""
    nested = branching()
    pixels = keras.Input((4,), name="outer")
    nested(pixels)
    assert nested.input is not pixels
    assert graphs.inputs_of(nested)[0] is not nested.input
