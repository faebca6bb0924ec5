"""What predicts gives what the model gives, and is compiled once."""

import keras
import numpy as np

from zoo.inference.batches import predict_in_batches

# Ten images, each filled with its own number.
IMAGES = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)


def test_probabilities_are_those_of_the_whole_array_whatever_the_batch_size() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    expected = np.asarray(model(IMAGES.astype(np.float32)))
    for batch_size in (1, 3, 4, 10, 32):
        found = predict_in_batches(model, IMAGES, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_probabilities_trace_the_model_once_although_the_last_batch_is_smaller() -> None:
    shapes: set[tuple[int | None, ...]] = set()

    class Traced(keras.layers.Layer):
        def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
            shapes.add(tuple(inputs.shape))
            return inputs

    inputs = keras.Input((2, 2, 1))
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Flatten()(Traced()(inputs))))
    shapes.clear()
    predict_in_batches(model, IMAGES, batch_size=4)
    # On TensorFlow for batches of any size, so that no other size traces it again.
    assert shapes == {(None if keras.backend.backend() == "tensorflow" else 4, 2, 2, 1)}
