"""Writes metrics.jsonl: one line an epoch."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from zoo.runs.folder import RunFolder
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.compiling.optimizer_state import applied_steps, loss_scale
from zoo.training.feeding.streams import StopWatch


class MetricsWriter(keras.callbacks.Callback):
    """Writes a line of metrics.jsonl at each epoch's end.

    It comes before the checkpoint is saved: a resumed run drops the lines past its checkpoint, so that a kill in
    between loses nothing.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        phase_name: str,
        counts: PhaseCounts,
        rate_at: Callable[[int], float],
        data_wait: StopWatch,
    ) -> None:
        """Prepares the lines of one phase.

        Args:
            folder: Where they go.
            phase_name: The phase's name.
            counts: Where the phase begins or was left.
            rate_at: Learning rate by batch of the phase.
            data_wait: Counts the seconds spent on making batches.
        """
        super().__init__()
        self.row: Mapping[str, Any] = {}
        self._folder = folder
        self._phase_name = phase_name
        self._counts = counts
        self._rate_at = rate_at
        self._data_wait = data_wait
        self._began = 0.0
        self._applied_before = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clocks."""
        self._began = time.perf_counter()
        self._data_wait.take()
        training_model: Any = self.model
        self._applied_before = applied_steps(training_model.optimizer)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the line.

        Raises:
            OSError: It could not be written.
        """
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        progress = self._counts.after(epoch + 1)
        self.row = {
            "phase": self._phase_name,
            "epoch": progress.epoch,
            "epoch_in_phase": progress.epoch_in_phase,
            "step": progress.step,
            **{name: metrics.get(name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")},
            "learning_rate": self._rate_at((epoch + 1) * self._counts.batches_per_epoch - 1),
            "seconds": round(time.perf_counter() - self._began, 3),
            "data_wait_seconds": round(self._data_wait.take(), 3),
            **self._loss_scaling(),
        }
        self._folder.append_metrics(self.row)

    def _loss_scaling(self) -> dict[str, float]:
        """Returns the loss scale of mixed_float16, and how often gradients were not finite and were skipped.

        That is a step, or one of the batches that make it: another then takes its place.
        """
        training_model: Any = self.model
        scale = loss_scale(training_model.optimizer)
        if scale is None:
            return {}
        applied = applied_steps(training_model.optimizer) - self._applied_before
        skipped = "skipped_steps" if self._counts.accumulate == 1 else "skipped_batches"
        return {"loss_scale": scale, skipped: self._counts.batches_per_epoch - applied}
