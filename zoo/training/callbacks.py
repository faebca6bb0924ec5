"""What happens around `fit`: the freezing contract, one line an epoch, checkpoints, the bar."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from zoo.backend import devices
from zoo.data.augmentation import seed_augmentation
from zoo.errors import ZooError
from zoo.freezing.plans import Contract
from zoo.runs import checkpoint
from zoo.runs.checkpoint import Progress
from zoo.runs.folder import RunFolder
from zoo.system.interruption import raise_lost
from zoo.training.compiling.optimizers import applied_steps, loss_scale, moving_averages
from zoo.training.feeding.streams import StopWatch


class ContractGuard(keras.callbacks.Callback):
    """Checks the freezing contract after the first step, before hours are spent on a phase that breaks it.

    And at each epoch's end, before the epoch is saved: a resumed run must not begin with what broke it.
    """

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self._contract = contract
        self._checked = False

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks once; raises ContractError."""
        if not self._checked:
            self._checked = True
            devices.sync(self.model)
            self._contract.check()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks; raises ContractError."""
        self._contract.check()


class InterruptionGuard(keras.callbacks.Callback):
    """Ends training at the next batch's end where the exception of Ctrl-C was lost."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises KeyboardInterrupt."""
        raise_lost()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises KeyboardInterrupt."""
        raise_lost()


class AugmentationSeeds(keras.callbacks.Callback):
    """Seeds augmentation at each epoch's beginning, so that a resumed epoch draws what it would have drawn."""

    def __init__(self, augmenters: Sequence[Any], *, seed: int, first_epoch: int) -> None:
        super().__init__()
        self._augmenters = augmenters
        self._seed = seed
        self._first_epoch = first_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the generators; `epoch` counts within the phase, the seed is that of the run's epoch."""
        seed_augmentation(self._augmenters, seed=self._seed, epoch=self._first_epoch + epoch)


class AverageForValidation(keras.callbacks.Callback):
    """Validates with the moving average of the weights, which is what is kept, and puts the weights back.

    Keras' SwapEMAWeights swaps by addition and subtraction, which rounds: training would depend on validation.
    """

    def __init__(self, model: Any, averages: Mapping[str, Any]) -> None:
        super().__init__()
        self._pairs = [(weight, averages[weight.path]) for weight in model.weights if weight.path in averages]
        self._held: list[Any] = []

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the averages into the model."""
        # By copies: on JAX an assigned array is shared, and the next compiled step gives its memory away.
        self._held = [np.asarray(weight.value).copy() for weight, _ in self._pairs]
        for weight, average in self._pairs:
            weight.assign(np.asarray(average.value).copy())

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Puts the weights back, bit by bit."""
        for (weight, _), value in zip(self._pairs, self._held, strict=True):
            weight.assign(value)


class StopAtNoNumber(keras.callbacks.Callback):
    """Stops at the first batch whose loss is no number; the last good checkpoint stays."""

    def __init__(self, *, phase_name: str, first_step: int, steps_per_epoch: int) -> None:
        super().__init__()
        self._phase_name = phase_name
        self._step = first_step
        self._steps_per_epoch = steps_per_epoch
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch of the phase begins."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks; raises ZooError. The loss is the mean of the epoch so far, and stays no number once it is none."""
        self._step += 1
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise _no_number(
                self._phase_name, self._epoch, f"batch {batch + 1} of {self._steps_per_epoch}", "loss", loss, self._step
            )


def _no_number(phase: str, epoch: int, where: str, name: str, value: float, step: int) -> ZooError:
    return ZooError(
        f"phase '{phase}', epoch {epoch + 1}, {where}: the {name} is {value} at step {step}; expected a finite number; "
        f"the last good checkpoint stays; try a lower learning rate: --set phases.{phase}.learning_rate=..."
    )


class BatchBar(keras.callbacks.Callback):
    """Moves a bar at each step."""

    def __init__(self, move: Callable[[int, str], None], *, steps_per_epoch: int, first_epoch: int) -> None:
        super().__init__()
        self._move = move
        self._steps_per_epoch = steps_per_epoch
        self._epoch = first_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch of the phase begins."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar; the loss and accuracy are those of the epoch so far."""
        detail = "  ".join(f"{name} {float(value):.3f}" for name, value in (logs or {}).items())
        self._move(self._epoch * self._steps_per_epoch + batch + 1, detail)


class EpochRecorder(keras.callbacks.Callback):
    """At each epoch's end writes a line of metrics.jsonl, then a checkpoint.

    The order matters: a resumed run drops the lines past its checkpoint, so a kill in between loses nothing.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: Any,
        *,
        phase_name: str,
        start: Progress,
        steps_per_epoch: int,
        rate_at: Callable[[int], float],
        monitor: str | None,
        keep: int,
        patience: int,
        data_wait: StopWatch,
        on_epoch: Callable[[dict[str, Any]], None],
    ) -> None:
        """Prepares the records of one phase.

        Args:
            folder: Where they go.
            model: What is trained, without augmentation.
            phase_name: The phase's name.
            start: How far the run was when the phase began or was resumed.
            steps_per_epoch: Optimizer steps of an epoch.
            rate_at: Learning rate by step of the phase.
            monitor: The metric whose best checkpoint is kept, `val_loss` being best when lowest; None keeps the last.
            keep: Number of newest checkpoints to keep beside the best.
            patience: Epochs of the phase without a better one after which it ends; 0 never does.
            data_wait: Counts the seconds spent on making batches.
            on_epoch: Called with each line.
        """
        super().__init__()
        self.progress = start
        self._folder = folder
        self._bare_model = model
        self._phase_name = phase_name
        self._steps_per_epoch = steps_per_epoch
        self._rate_at = rate_at
        self._monitor = monitor
        self._keep = keep
        self._patience = patience
        self._data_wait = data_wait
        self._on_epoch = on_epoch
        self._began = 0.0
        self._applied_before = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clocks."""
        self._began = time.perf_counter()
        self._data_wait.take()
        trainee: Any = self.model
        self._applied_before = applied_steps(trainee.optimizer)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the line and the checkpoint.

        Raises:
            ZooError: The validation loss is not finite; the last good checkpoint stays.
        """
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        before = self.progress
        step = before.step + self._steps_per_epoch
        if not math.isfinite(metrics.get("val_loss", 0.0)):
            raise _no_number(self._phase_name, epoch, "validation", "val_loss", metrics["val_loss"], step)
        row = {
            "phase": self._phase_name,
            "epoch": before.epoch + 1,
            "epoch_in_phase": epoch + 1,
            "step": step,
            **{name: metrics.get(name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")},
            "learning_rate": self._rate_at((epoch + 1) * self._steps_per_epoch - 1),
            "seconds": round(time.perf_counter() - self._began, 3),
            "data_wait_seconds": round(self._data_wait.take(), 3),
            **self._loss_scaling(),
        }
        self._folder.write_metrics([*self._folder.metrics(), row])
        self.progress = replace(before, epoch_in_phase=epoch + 1, epoch=before.epoch + 1, step=step)
        if self._monitor is not None:
            self.progress = self._judged(metrics[self._monitor], metrics["val_loss"])
        trainee: Any = self.model
        averages = moving_averages(trainee.optimizer)
        checkpoint.save(
            self._folder.checkpoints,
            checkpoint.kept_weights(self._bare_model, averages),
            checkpoint.training_state(self._bare_model, trainee.optimizer, averages),
            self.progress,
            keep=self._keep,
        )
        self._on_epoch(row)
        if self._patience and self.progress.stale_epochs >= self._patience:
            trainee.stop_training = True

    def _loss_scaling(self) -> dict[str, float]:
        """Returns the loss scale of mixed_float16, and the steps whose gradients were not finite and were skipped."""
        trainee: Any = self.model
        scale = loss_scale(trainee.optimizer)
        if scale is None:
            return {}
        applied = applied_steps(trainee.optimizer) - self._applied_before
        return {"loss_scale": scale, "skipped_steps": self._steps_per_epoch - applied}

    def _judged(self, value: float, loss: float) -> Progress:
        """Notes whether the epoch is the best of the run, and of its phase; of equals the one of lower loss is."""
        progress = self.progress
        step = progress.step
        if self._patience and self._is_better(value, loss, progress.phase_best_value, progress.phase_best_loss):
            progress = replace(
                progress, phase_best_value=value, phase_best_step=step, phase_best_loss=loss, stale_epochs=0
            )
        elif self._patience:
            progress = replace(progress, stale_epochs=progress.stale_epochs + 1)
        if self._is_better(value, loss, progress.best_value, progress.best_loss):
            progress = replace(progress, best_value=value, best_step=step, best_loss=loss)
        return progress

    def _is_better(self, value: float, loss: float, best: float | None, loss_of_best: float | None) -> bool:
        if best is None:
            return math.isfinite(value)
        if value == best:
            return loss_of_best is not None and loss < loss_of_best
        return value < best if self._monitor == "val_loss" else value > best
