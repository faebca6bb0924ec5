"""What determinism sets, and that it is taken back."""

import keras
import pytest

from zoo.backend import determinism
from zoo.backend.keras_internals.process_state import operations_are_deterministic

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own settings")


@on_tensorflow
def test_operations_are_deterministic_for_a_while_and_then_as_they_were():
    import tensorflow as tf

    with determinism.deterministic_operations(False):
        assert not operations_are_deterministic()
        assert determinism.fixed_threads() is None
    with pytest.raises(ValueError, match="a fault"), determinism.deterministic_operations(True):
        assert operations_are_deterministic()
        assert determinism.fixed_threads() == determinism.threads()
        with determinism.deterministic_operations(True):
            pass
        assert operations_are_deterministic()
        raise ValueError("a fault")
    assert not operations_are_deterministic()
    assert determinism.fixed_threads() is None
    tf.config.experimental.enable_op_determinism()  # the caller's own stays
    try:
        with determinism.deterministic_operations(True):
            pass
        assert operations_are_deterministic()
    finally:
        from zoo.backend.keras_internals.process_state import undo_deterministic_operations

        undo_deterministic_operations()


@on_tensorflow
def test_an_operation_that_is_refused_is_told_from_other_faults_and_named():
    import tensorflow as tf

    def fault_of(compute):
        with pytest.raises(Exception, match=r".") as raised, determinism.deterministic_operations(True):
            try:
                compute()
            except Exception as fault:
                assert determinism.is_refused(fault) == (compute is tf.timestamp)
                raise
        return raised.value

    assert str(determinism.refused("phase 'all'", fault_of(tf.timestamp))).startswith(
        "phase 'all': train.deterministic = true refuses an operation ("
    )
    assert "Timestamp cannot be called" in str(determinism.refused("phase 'all'", fault_of(tf.timestamp)))
    fault_of(lambda: tf.zeros((2, 3)) @ tf.zeros((2, 3)))


def test_threads_are_those_that_there_are_once_something_was_computed():
    keras.ops.add(1.0, 1.0)
    number = determinism.threads()
    assert number >= 1
    assert determinism.fix_threads(number)
    assert not determinism.fix_threads(number + 1)
    assert determinism.threads() == number
