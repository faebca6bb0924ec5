"""Saves a checkpoint at each epoch's end and inside of it, and keeps count of the run's best one."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from zoo.backend import devices
from zoo.runs.checkpoint import Snapshot
from zoo.runs.progress import PartialEpoch, Progress
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.callbacks.early_stopping import EarlyStopping
from zoo.training.callbacks.metrics_writer import MetricsWriter
from zoo.training.callbacks.monitor import Monitor
from zoo.training.callbacks.save_interval import SaveInterval
from zoo.training.callbacks.validation_average import AverageForValidation
from zoo.training.compiling.optimizer_state import moving_averages
from zoo.training.compiling.training_model import TrainingModel
from zoo.training.compiling.training_state import epoch_state, saved_weights, training_state, weights_outside
from zoo.training.of_all_phases import Training


class CheckpointSaver(keras.callbacks.Callback):
    """Saves a checkpoint at each epoch's end, and inside an epoch when one is due.

    Numbers are copied between two batches; a thread of its own writes them. Comes after early stopping and the line of
    metrics, whose judgement it keeps.

    Attributes:
        progress: How far the run had come when an epoch ended last.
    """

    def __init__(
        self,
        training: Training,
        training_model: TrainingModel,
        *,
        counts: PhaseCounts,
        monitor: Monitor | None,
        early_stopping: EarlyStopping,
        average: AverageForValidation,
        metrics: MetricsWriter,
    ) -> None:
        """Prepares the checkpoints of one phase.

        Args:
            training: The run.
            training_model: What `fit` trains. Weights that it does not hold are read here, once for all checkpoints.
            counts: Where the phase begins or was left.
            monitor: Tells which epoch is better; None keeps the last.
            early_stopping: What compared the epoch with the best.
            average: What stands in for the weights while they are validated.
            metrics: What the epoch has taken so far.
        """
        super().__init__()
        self.progress = counts.start
        self._training = training
        self._counts = counts
        self._monitor = monitor
        self._early_stopping = early_stopping
        self._average = average
        self._metrics = metrics
        self._augmentation_layers = training_model.augmentation_layers
        self._outside = weights_outside(training.model, training_model.model)
        self._interval = SaveInterval(training.recipe.checkpoint.every)
        self._has_begun = False
        self._epoch = 0
        self._batches = 0
        self._saved_at: tuple[int, int] | None = None
        self._logs: Mapping[str, Any] = {}
        self._is_validating = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch of the phase begins, and how much of it is done."""
        start = self._counts.start
        self._epoch = epoch
        before = start.partial_epoch if epoch == start.epoch_in_phase else None
        self._batches = before.batches if before else 0
        self._logs = before.metrics if before else {}

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves where a checkpoint is due; `batch` is counted from the epoch's beginning, from 0."""
        self._batches, self._logs = batch + 1, logs or {}
        if not self._has_begun:  # what came before was compiling
            self._has_begun = True
            self._interval.begin(self._counts.start.step)
        if self._batches < self._counts.batches_per_epoch:
            self._save_if_due()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Saves where a checkpoint is due."""
        self._is_validating = True
        self._save_if_due()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves where a checkpoint is due."""
        self._save_if_due()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Notes that the weights are what is trained again."""
        self._is_validating = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves the epoch.

        Raises:
            OSError: The checkpoint before could not be written; earlier ones are untouched.
        """
        progress = self._early_stopping.noted_in(self._counts.after(epoch + 1))
        best = self.progress.best
        if self._monitor is not None:
            best = self._monitor.best_of(best, logs or {}, progress)
        self.progress = replace(progress, best=best, first_losses=self._training.first_losses.losses)
        self._batches = 0
        self._training.writer.add_line(self._metrics.row)
        self._save(self.progress)

    @property
    def next_batch(self) -> tuple[int, int] | None:
        """Which epoch of the phase and which of its batches is at work, from 0; None while it validates."""
        at_work = self._batches < self._counts.batches_per_epoch and not self._is_validating
        return (self._epoch, self._batches) if at_work else None

    def save_at_once(self) -> None:
        """Saves what is done, and waits until it is on disk.

        Raises:
            OSError: It could not be written; earlier checkpoints are untouched.
        """
        writer = self._training.writer
        writer.wait()
        if self._batches and not (self._is_saved and writer.has_saved):
            self._save(self._inside_the_epoch())
            writer.wait()

    @property
    def _is_saved(self) -> bool:
        """Whether no batch was trained since the last checkpoint inside the epoch: while it is validated, none is."""
        return self._saved_at == (self._epoch, self._batches)

    def _save_if_due(self) -> None:
        if not self._batches or self._is_saved or self._training.writer.is_busy:
            return
        if self._interval.is_due(self._step, is_whole_step=self._counts.ends_step(self._epoch, self._batches)):
            self._save(self._inside_the_epoch())

    @property
    def _step(self) -> int:
        """Steps of the run so far."""
        return self._counts.after(self._epoch, PartialEpoch(batches=self._batches)).step

    def _inside_the_epoch(self) -> Progress:
        is_whole = self._batches == self._counts.batches_per_epoch
        partial_epoch = PartialEpoch(
            batches=self._batches,
            metrics={name: float(value) for name, value in self._logs.items()} if is_whole else {},
            **self._metrics.so_far(),
        )
        progress = self._counts.after(self._epoch, partial_epoch)
        losses = self._training.first_losses.losses
        return replace(self._early_stopping.noted_in(progress), best=self.progress.best, first_losses=losses)

    def _save(self, progress: Progress) -> None:
        """Copies the numbers, and hands them over."""
        writer = self._training.writer
        writer.wait()
        began = time.process_time()
        training_model: Any = self.model
        devices.sync(training_model)
        averages = moving_averages(training_model.optimizer)
        with self._average.put_aside():
            model = saved_weights(self._training.model, averages, known=self._outside)
            state = training_state(self._training.model, training_model.optimizer, averages)
        if progress.partial_epoch is not None and not progress.awaits_validation:
            state |= epoch_state(training_model, self._augmentation_layers)
        snapshot = Snapshot(
            model=_copied(model), state=_copied(state), progress=progress, history=tuple(writer.history)
        )
        writer.write(snapshot, cost=time.process_time() - began)
        self._interval.saved(progress.step, cost=writer.cost)
        self._saved_at = (self._epoch, self._batches)


def _copied(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Copies what another may own: on JAX the next compiled step gives its memory away."""
    return {name: array if array.flags.owndata else array.copy() for name, array in arrays.items()}
