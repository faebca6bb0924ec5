"""What happens around `fit`: the freezing contract, one line an epoch, checkpoints, the bar."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from zoo.errors import ZooError
from zoo.freezing import Contract
from zoo.runs import checkpoint
from zoo.runs.checkpoint import Progress
from zoo.runs.folder import RunFolder
from zoo.training import backend
from zoo.training.feeding import StopWatch


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
            backend.sync(self.model)
            self._contract.check()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks; raises ContractError."""
        self._contract.check()


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
        *,
        phase_name: str,
        start: Progress,
        steps_per_epoch: int,
        rate_at: Callable[[int], float],
        monitor: str | None,
        keep: int,
        data_wait: StopWatch,
        on_epoch: Callable[[dict[str, Any]], None],
    ) -> None:
        """Prepares the records of one phase.

        Args:
            folder: Where they go.
            phase_name: The phase's name.
            start: How far the run was when the phase began or was resumed.
            steps_per_epoch: Optimizer steps of an epoch.
            rate_at: Learning rate by step of the phase.
            monitor: The metric whose best checkpoint is kept, `val_loss` being best when lowest; None keeps the last.
            keep: Number of newest checkpoints to keep beside the best.
            data_wait: Counts the seconds spent on making batches.
            on_epoch: Called with each line.
        """
        super().__init__()
        self.progress = start
        self._folder = folder
        self._phase_name = phase_name
        self._steps_per_epoch = steps_per_epoch
        self._rate_at = rate_at
        self._monitor = monitor
        self._keep = keep
        self._data_wait = data_wait
        self._on_epoch = on_epoch
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clocks."""
        self._began = time.perf_counter()
        self._data_wait.seconds = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the line and the checkpoint.

        Raises:
            ZooError: A loss is not finite; the last good checkpoint stays.
        """
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        before = self.progress
        step = before.step + self._steps_per_epoch
        for name in ("loss", "val_loss"):
            if not math.isfinite(metrics.get(name, 0.0)):
                raise ZooError(
                    f"phase '{self._phase_name}', epoch {epoch + 1}: the {name} is {metrics[name]} at step {step}; "
                    "expected a finite number; try a lower learning rate: "
                    f"--set phases.{self._phase_name}.learning_rate=..."
                )
        row = {
            "phase": self._phase_name,
            "epoch": before.epoch + 1,
            "epoch_in_phase": epoch + 1,
            "step": step,
            **{name: metrics.get(name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")},
            "learning_rate": self._rate_at((epoch + 1) * self._steps_per_epoch - 1),
            "seconds": round(time.perf_counter() - self._began, 3),
            "data_wait_seconds": round(self._data_wait.seconds, 3),
        }
        self._folder.write_metrics([*self._folder.metrics(), row])
        better = self._is_better(metrics)
        self.progress = Progress(
            phase=before.phase,
            epoch_in_phase=epoch + 1,
            epoch=before.epoch + 1,
            step=step,
            best_value=metrics[self._monitor] if better and self._monitor else before.best_value,
            best_step=step if better else before.best_step,
        )
        model: Any = self.model
        checkpoint.save(
            self._folder.checkpoints,
            checkpoint.arrays_of(model.weights),
            checkpoint.training_state(model),
            self.progress,
            keep=self._keep,
        )
        self._on_epoch(row)

    def _is_better(self, metrics: dict[str, float]) -> bool:
        if self._monitor is None:
            return False
        value, best = metrics[self._monitor], self.progress.best_value
        if best is None:
            return math.isfinite(value)
        return value < best if self._monitor.endswith("loss") else value > best
