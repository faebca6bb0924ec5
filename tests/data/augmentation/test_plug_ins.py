"""What the layers of plug-ins are refused for, each in one line that names the row."""

import keras
import numpy as np
import pytest

from zoo.data.augmentation.plug_ins import check_layer
from zoo.errors import ZooError
from zoo.registry.augmentations import AugmentationRow

ops = keras.ops


def build():
    """The builder of a row of this module, which is not one of zoo's modules."""


ROW = AugmentationRow(name="mine", summary="", build=build)


def noise(images, **drawn):
    return keras.random.uniform(ops.shape(images), 0, 255, **drawn)


def layer_of(function, *, always=False):
    class Mine(keras.layers.Layer):
        def __init__(self):
            super().__init__(name="mine", dtype="float32")
            self.generator = keras.random.SeedGenerator(0)

        def call(self, images, training=False):
            return function(self, images) if training or always else images

    return Mine()


def refused(layer):
    with pytest.raises(ZooError) as raised:
        check_layer(ROW, layer, channels=1, name="mine")
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(f"augmentation 'mine' ({__name__}): ")
    return str(raised.value).partition("): ")[2]


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda layer, x: x[:, :8], "it gives float32[3, 8, 48, 1] for float32[3, 32, 48, 1]; expected the same"),
        (lambda layer, x: x[:2], "it gives float32[2, 32, 48, 1] for float32[3, 32, 48, 1]; expected the same"),
        (lambda layer, x: ops.cast(x, "uint8"), "it gives uint8[3, 32, 48, 1] for float32[3, 32, 48, 1]"),
        (lambda layer, x: x / 255, "it gives values up to 1 for pixels up to 255; expected [0, 255]"),
        (lambda layer, x: x - 255, "it gives values from -255 to 0; expected [0, 255]: clip them"),
        (lambda layer, x: x * np.nan, "it gives values from nan to nan; expected [0, 255]: clip them"),
        (lambda layer, x: noise(x), "it draws differently from one seed; expected every draw with seed=self.generator"),
        (lambda layer, x: 1 / 0, "its layer fails on images: ZeroDivisionError: division by zero"),
    ],
)
def test_a_layer_that_does_not_give_images_like_those_it_takes_is_refused(function, text):
    assert refused(layer_of(function)).startswith(text)


def test_a_layer_that_draws_from_its_generator_is_taken():
    check_layer(ROW, layer_of(lambda layer, x: noise(x, seed=layer.generator)), channels=1, name="mine")


def test_a_layer_that_changes_images_outside_of_training_is_refused():
    found = refused(layer_of(lambda layer, x: 255 - x, always=True))
    assert found == "it changes images outside of training; expected call(self, images, training=False) to return them"


def test_what_is_not_a_layer_of_the_given_name_is_refused():
    assert refused(None) == "its builder gave None; expected an instance of keras.layers.Layer"
    found = refused(keras.layers.RandomFlip(seed=0, name="other"))
    assert found == "its layer is called 'other'; expected the name that build is given, 'mine'"
    convolution = keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="mine")
    assert refused(convolution) == "its layer has weights that train, mine/kernel"
