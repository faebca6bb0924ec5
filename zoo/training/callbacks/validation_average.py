"""Validates with the moving average of the weights."""

import contextlib
from collections.abc import Generator, Mapping
from typing import Any

import keras

from zoo.backend.distribution.copies import first_copy


class AverageForValidation(keras.callbacks.Callback):
    """Validates with the moving average of the weights, which is what is kept, and puts the weights back.

    Keras' SwapEMAWeights swaps by addition and subtraction, which rounds: training would depend on validation.
    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/callbacks/swap_ema_weights.py
    """

    def __init__(self, model: Any, averages: Mapping[str, Any]) -> None:
        super().__init__()
        self._pairs = [(weight, averages[weight.path]) for weight in model.weights if weight.path in averages]
        self._held: list[Any] = []

    @contextlib.contextmanager
    def put_aside(self) -> Generator[None]:
        """Has the weights themselves in the model for a moment, also while it is validated."""
        if not self._held:
            yield
            return
        self.on_test_end()
        try:
            yield
        finally:
            self.on_test_begin()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the averages into the model."""
        # By copies: on JAX an assigned array is shared, and the next compiled step gives its memory away.
        self._held = [first_copy(weight).copy() for weight, _ in self._pairs]
        for weight, average in self._pairs:
            weight.assign(first_copy(average).copy())

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the weights back, bit by bit."""
        for (weight, _), value in zip(self._pairs, self._held, strict=True):
            weight.assign(value)
        self._held = []
