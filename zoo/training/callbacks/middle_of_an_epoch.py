"""How an epoch that has begun before goes on: Keras' `fit` only begins epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from zoo.training.compiling.mirrored_model import build_metrics
from zoo.training.compiling.training_state import restore_epoch_state


class CountedFrom(keras.callbacks.CallbackList):
    """Tells callbacks the number of a training batch in its epoch, where `fit` counts those that are left."""

    def __init__(self, first_batch: int, callbacks: Sequence[keras.callbacks.Callback], **options: Any) -> None:
        super().__init__(list(callbacks), add_history=True, **options)
        self._first_batch = first_batch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on the batch's number in its epoch."""
        super().on_train_batch_begin(self._first_batch + batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on the batch's number in its epoch."""
        super().on_train_batch_end(self._first_batch + batch, logs)


def counted_from(
    first_batch: int, callbacks: Sequence[keras.callbacks.Callback], model: Any, *, epochs: int, steps: int
) -> Any:
    """Returns callbacks as `fit` takes them.

    Args:
        first_batch: Batches of the epoch that are finished already.
        callbacks: What is called.
        model: What `fit` trains.
        epochs: What `fit` is asked for.
        steps: Batches of an epoch, those included that are finished.
    """
    return CountedFrom(first_batch, callbacks, model=model, epochs=epochs, steps=steps) if first_batch else callbacks


class EpochStateRestorer(keras.callbacks.Callback):
    """Puts an epoch that has begun before back to where it was left: its metrics, and what augmentation draws next."""

    def __init__(self, layers: Sequence[Any], arrays: Mapping[str, np.ndarray], *, classes: int) -> None:
        """Prepares.

        Args:
            layers: Those of augmentation and mixing.
            arrays: The epoch's state, from the checkpoint; empty where none has begun.
            classes: How many the labels tell apart.
        """
        super().__init__()
        self._layers = layers
        self._arrays = arrays
        self._classes = classes

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Restores in the first epoch that begins; Keras has reset the metrics just before."""
        if not self._arrays:
            return
        training_model: Any = self.model
        build_metrics(training_model, self._classes)
        restore_epoch_state(training_model, self._layers, self._arrays)
        self._arrays = {}


def validate_epoch(
    model: Any,
    validation: Any,
    callbacks: Sequence[keras.callbacks.Callback],
    *,
    epoch: int,
    metrics: Mapping[str, float],
    steps: int | None,
) -> None:
    """Ends an epoch whose batches are all finished, as `fit` does after the last one.

    Args:
        model: Compiled.
        validation: What it is validated on.
        callbacks: What is called.
        epoch: Of the phase, counted from 0.
        metrics: What its training came to.
        steps: Batches that it is validated on, where the data does not know.
    """
    called = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epoch + 1)
    model.stop_training = False
    called.on_train_begin()
    called.on_epoch_begin(epoch)
    validated = model.evaluate(validation, steps=steps, callbacks=called, return_dict=True, verbose=0)
    logs = {**metrics, **{f"val_{name}": value for name, value in validated.items()}}
    called.on_epoch_end(epoch, logs)
    called.on_train_end(logs)
