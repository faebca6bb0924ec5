"""Plain descent on the sign of the gradient."""

from zoo.registry.optimizers import OPTIMIZERS, OptimizerRow
from zoo.registry.tables import Option


def sign_descent():
    import keras

    class SignDescent(keras.optimizers.Optimizer):
        def __init__(self, learning_rate, *, power, **settings):
            super().__init__(learning_rate, **settings)
            self.power = power

        def update_step(self, gradient, variable, learning_rate):
            rate = keras.ops.cast(learning_rate, variable.dtype)
            size = keras.ops.abs(gradient) ** self.power
            self.assign_sub(variable, rate * size * keras.ops.sign(gradient))

    return SignDescent


_POWER = Option(default=0.0, at_least=0, at_most=1, meaning="How much of the gradient's size counts.")
OPTIMIZERS.register(
    OptimizerRow(
        name="sign_descent", summary="The sign of the gradient.", options={"power": _POWER}, build=sign_descent
    )
)
