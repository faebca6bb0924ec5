"""LiteRT takes photos of the size that the model has, and no other."""

import numpy as np
import pytest

from zoo.inference.runtimes.litert import open_model

SIDE = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model whose answer depends on how many pixels there are: LiteRT would take any number of them."""
    import tensorflow as tf

    def mean(pixels):
        return tf.reduce_sum(tf.cast(pixels, tf.float32), axis=(1, 2))

    traced = tf.function(mean).get_concrete_function(tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8))
    folder = tmp_path_factory.mktemp("litert")
    (folder / "model.tflite").write_bytes(
        tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module()).convert()
    )
    return folder


def test_any_number_of_photos_of_one_size(folder):
    run = open_model(folder, 1)
    photos = np.full((3, SIDE, SIDE, 3), 255, np.uint8)
    for count in (3, 1, 2):
        np.testing.assert_array_equal(run(photos[:count]), np.full((count, 3), 255 * SIDE * SIDE, np.float32))


def test_photos_of_another_size_are_refused_and_the_next_are_answered(folder):
    run = open_model(folder, 1)
    photos = np.full((2, SIDE, SIDE, 3), 255, np.uint8)
    expected = run(photos)
    for shape in ((2, SIDE - 1, SIDE, 3), (2, SIDE, SIDE, 1), (2, 1, 1, 3)):
        with pytest.raises(RuntimeError, match="ResizeInputTensorStrict"):
            run(np.zeros(shape, np.uint8))
        np.testing.assert_array_equal(run(photos), expected)
