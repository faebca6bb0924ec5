"""What reaches `fit` is each batch once, in order; what classifies is compiled once."""

from typing import Any

import keras
import numpy as np
import pytest

from zoo.data import Batches
from zoo.training.feeding import FiniteBatches, StopWatch, predict_in_batches, training_data, validation_data


@pytest.fixture
def batches() -> Batches:
    """Ten images, each filled with its own number, in batches of four."""
    images = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Batches(images=images, labels=np.arange(10) % 3, classes=3, batch_size=4, seed=1, shuffle=True)


class Witness(keras.callbacks.Callback):
    """Notes the loss of each batch, which is the sum of its images' numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[float] = []
        self.validated: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.trained.append((logs or {})["sum"])

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.validated.append((logs or {})["sum"])


def test_fit_sees_the_stream_in_order_over_epochs_and_all_of_validation_in_each(batches: Batches) -> None:
    inputs = keras.Input((2, 2, 1))
    number = keras.layers.Flatten()(keras.layers.GlobalMaxPooling2D()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(number))

    class Sum(keras.metrics.Sum):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(y_pred)

    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[Sum(name="sum")])
    witness = Witness()
    model.fit(
        training_data(batches, 5, StopWatch()),
        steps_per_epoch=batches.steps,
        epochs=3,
        shuffle=False,
        verbose=0,
        validation_data=validation_data(batches),
        callbacks=[witness],
    )

    def running_sums(epoch: int) -> list[float]:
        order = batches.order(epoch)
        return [float(order[:stop].sum()) for stop in (4, 8, 10)]

    assert witness.trained == running_sums(5) + running_sums(6) + running_sums(7)
    assert witness.validated == running_sums(0) * 3


def test_validation_data_is_as_long_as_an_epoch(batches: Batches) -> None:
    assert len(list(validation_data(batches))) == len(FiniteBatches(batches)) == 3


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends take iterators as they are")
def test_tensorflow_tunes_no_dataset_of_ours(batches: Batches) -> None:
    """The tuning thread is what `fit` and each validation waited for at their end, up to a minute."""
    for data in (training_data(batches, 0, StopWatch()), validation_data(batches)):
        assert data.options().autotune.enabled is False


def test_probabilities_are_those_of_the_whole_array_whatever_the_batch_size(batches: Batches) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    expected = np.asarray(model(batches.images.astype(np.float32)))
    for batch_size in (1, 3, 4, 10, 32):
        found = predict_in_batches(model, batches.images, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_probabilities_trace_the_model_once_although_the_last_batch_is_smaller(batches: Batches) -> None:
    shapes: set[tuple[int | None, ...]] = set()

    class Traced(keras.layers.Layer):
        def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
            shapes.add(tuple(inputs.shape))
            return inputs

    inputs = keras.Input((2, 2, 1))
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.Flatten()(Traced()(inputs))))
    shapes.clear()
    predict_in_batches(model, batches.images, batch_size=4)
    assert shapes == {(4, 2, 2, 1)}
