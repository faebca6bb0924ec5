"""What a user sees of a phase: a bar that advances at each batch, and a line an epoch."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from zoo.backend.distribution.own_time import slow_one
from zoo.training.callbacks.metrics_writer import MetricsWriter


class ProgressBar(keras.callbacks.Callback):
    """Advances a bar at each batch."""

    def __init__(self, move: Callable[[int, str], None], *, batches_per_epoch: int) -> None:
        super().__init__()
        self._move = move
        self._batches_per_epoch = batches_per_epoch
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch of the phase begins."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advances the bar; the loss and accuracy are those of the epoch so far."""
        detail = "  ".join(f"{name} {float(value):.3f}" for name, value in (logs or {}).items())
        self._move(self._epoch * self._batches_per_epoch + batch + 1, detail)


class EpochLine(keras.callbacks.Callback):
    """Shows what has been written of an epoch; comes after its checkpoint is saved."""

    def __init__(
        self, show: Callable[[Mapping[str, Any]], None], written: MetricsWriter, *, say: Callable[[str], object]
    ) -> None:
        super().__init__()
        self._show = show
        self._say = say
        self._written = written

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Shows the line, and which of several processes was slow."""
        self._show(self._written.row)
        if slow := slow_one(self._written.row.get("worker_seconds", [])):
            self._say(f"epoch {self._written.row['epoch']}: {slow}")
