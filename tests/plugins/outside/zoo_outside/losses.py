"""The distance of probabilities from a label, to a power."""

from zoo.registry.losses import LOSSES, LossRow
from zoo.registry.tables import Option


def distance(*, power):
    import keras

    class Distance(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.sum(keras.ops.abs(y_true - y_pred) ** power, axis=-1)

    return Distance(name="distance")


_POWER = Option(default=2.0, at_least=1, meaning="Of the distance.")
LOSSES.register(LossRow(name="distance", summary="A power of the distance.", options={"power": _POWER}, build=distance))
