"""Adam's update of a variable by TensorFlow's one operation for it, in place of the ten that Keras 3 composes it of.

Each of the ten goes over as many numbers as the variable has: for a net of 25 million weights that was a sixth of a
step on two cores. `ResourceApplyAdam` is the same arithmetic in one pass; Keras has the formula in
https://github.com/keras-team/keras/blob/v3.15.1/keras/src/optimizers/adam.py.
"""

from typing import Any

from zoo.backend.keras_internals.guard import private

_SOURCE = "keras/src/optimizers/adam.py"


def is_known(optimizer: Any) -> bool:
    """Returns whether the operation computes an optimizer's updates: Keras' own Adam or AdamW, without AMSGrad.

    Not for all replicas of a `tf.distribute.Strategy` at once, which keep a variable in several places.

    Args:
        optimizer: Any.
    """
    import keras

    adam: Any = keras.optimizers.Adam
    if keras.backend.backend() != "tensorflow" or not isinstance(optimizer, adam) or optimizer.amsgrad:
        return False
    import tensorflow as tf

    # On one device Keras takes a step in the cross-replica context of TensorFlow's default strategy.
    is_of_all = tf.distribute.has_strategy() and tf.distribute.in_cross_replica_context()
    return type(optimizer).update_step is adam.update_step and not is_of_all


def update(optimizer: Any, gradient: Any, variable: Any, rate: Any) -> None:
    """Updates a variable and its slots, as `Adam.update_step` does, up to the rounding of its dtype.

    Args:
        optimizer: One that `is_known`, built; its `iterations` are the steps until now.
        gradient: Of the variable.
        variable: The tf.Variable inside of Keras' variable, of any float dtype.
        rate: The learning rate.

    Raises:
        ZooError: The installed Keras keeps its slots elsewhere.
    """
    import tensorflow as tf

    index = private(optimizer, "_get_variable_index", source=_SOURCE)(variable)
    momentum, velocity = (
        private(optimizer, name, source=_SOURCE)[index].value for name in ("_momentums", "_velocities")
    )
    dtype = variable.dtype
    step = tf.cast(optimizer.iterations + 1, dtype)
    beta_1, beta_2 = tf.cast(optimizer.beta_1, dtype), tf.cast(optimizer.beta_2, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.handle,
        v=velocity.handle,
        beta1_power=tf.pow(beta_1, step),
        beta2_power=tf.pow(beta_2, step),
        lr=tf.cast(rate, dtype),
        beta1=beta_1,
        beta2=beta_2,
        epsilon=tf.cast(optimizer.epsilon, dtype),
        grad=tf.cast(gradient, dtype),
    )
