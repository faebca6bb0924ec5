"""What predicts gives what the model gives, and is compiled once."""

import keras
import numpy as np
import pytest

from zoo.backend import devices
from zoo.backend.devices import Accelerator
from zoo.inference.batches import predict_each_batch, predict_in_batches
from zoo.inference.engines import Compiled

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


def sums(*, fitting: int) -> tuple[Compiled, list[int]]:
    """Gives what sums up each image, where no more come at once than fit, and the sizes that it was given."""
    sizes: list[int] = []

    def run(batch: np.ndarray) -> list[np.ndarray]:
        sizes.append(len(batch))
        if len(batch) > fitting:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes")
        return [batch.sum(axis=(1, 2, 3), dtype=np.float32)]

    return Compiled("sums", run), sizes


MANY = np.arange(700, dtype=np.float32)[:, None, None, None]


def test_an_accelerator_takes_as_many_as_fit_and_remembers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "accelerator", lambda: Accelerator("gpu", "small", (8, 0)))
    model, sizes = sums(fitting=100)
    found: list[np.ndarray] = []
    predict_each_batch(model, MANY, found.append)
    assert np.concatenate(found).tolist() == list(range(700))
    assert sizes == [256, 128] + [64] * 11
    predict_each_batch(model, MANY[:300], found.append, first=64)
    assert np.concatenate(found[11:]).tolist() == list(range(64, 300))
    assert sizes[13:] == [64] * 4
    roomy, sizes = sums(fitting=1000)
    predict_each_batch(roomy, MANY, found.append)
    assert sizes == [256] * 3


def test_what_fits_nowhere_or_is_asked_for_is_not_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = sums(fitting=0)
    with pytest.raises(RuntimeError, match="Out of memory"):
        predict_each_batch(model, MANY, print)
    assert sizes == [32]  # a CPU's memory is another matter: its process is killed
    monkeypatch.setattr(devices, "accelerator", lambda: Accelerator("gpu", "small", (8, 0)))
    with pytest.raises(RuntimeError, match="Out of memory"):
        predict_each_batch(model, MANY, print, batch_size=8)
    assert sizes == [32, 8]
    with pytest.raises(RuntimeError, match="Out of memory"):
        predict_each_batch(model, MANY, print)
    assert sizes[2:] == [256, 128, 64, 32, 16, 8, 4, 2, 1]
