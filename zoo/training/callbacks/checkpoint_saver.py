"""Saves a checkpoint at each epoch's end, and keeps count of the run's best one."""

from dataclasses import replace
from typing import Any

import keras

from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.callbacks.early_stopping import EarlyStopping
from zoo.training.callbacks.monitor import Monitor
from zoo.training.compiling.optimizer_state import moving_averages


class CheckpointSaver(keras.callbacks.Callback):
    """Writes a checkpoint at each epoch's end; comes after early stopping, whose judgement it keeps.

    Attributes:
        progress: How far the run has come.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: keras.Model,
        *,
        counts: PhaseCounts,
        monitor: Monitor | None,
        early_stopping: EarlyStopping,
        keep: int,
    ) -> None:
        """Prepares the checkpoints of one phase.

        Args:
            folder: Where they go.
            model: What is trained, without augmentation.
            counts: Where the phase begins or was left.
            monitor: Tells which epoch is better; None keeps the last.
            early_stopping: What compared the epoch with the best.
            keep: Number of newest checkpoints to keep beside the best.
        """
        super().__init__()
        self.progress = counts.start
        self._folder = folder
        self._whole_model = model
        self._counts = counts
        self._monitor = monitor
        self._early_stopping = early_stopping
        self._keep = keep

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the checkpoint.

        Raises:
            OSError: It could not be written; earlier checkpoints are untouched.
        """
        progress = self._early_stopping.noted_in(self._counts.after(epoch + 1))
        best = self.progress.best
        if self._monitor is not None:
            best = self._monitor.best_of(best, logs or {}, progress)
        self.progress = replace(progress, best=best)
        training_model: Any = self.model
        averages = moving_averages(training_model.optimizer)
        checkpoint.save(
            self._folder.checkpoints,
            checkpoint.saved_weights(self._whole_model, averages),
            checkpoint.training_state(self._whole_model, training_model.optimizer, averages),
            self.progress,
            keep=self._keep,
        )
