"""Noise on images, and a policy that is the same noise."""

from zoo.registry.augmentations import AUGMENTATIONS, AugmentationRow
from zoo.registry.tables import Option


def speckle(*, channels, name, amount):
    import keras

    class Speckle(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="float32", name=name)
            self.generator = keras.random.SeedGenerator(0)

        def call(self, images, training=None):
            if not training:
                return images
            noise = keras.random.uniform(keras.ops.shape(images), -amount, amount, seed=self.generator)
            return keras.ops.clip(images + noise, 0, 255)

    return Speckle()


_AMOUNT = Option(default=10.0, meaning="The largest change of a value.", at_least=0, at_most=255)
AUGMENTATIONS.register(
    AugmentationRow(name="speckle", summary="adds noise", options={"amount": _AMOUNT}, build=speckle)
)
AUGMENTATIONS.register(
    AugmentationRow(name="speckled", summary="noise alone", options={"amount": _AMOUNT}, is_policy=True, build=speckle)
)
