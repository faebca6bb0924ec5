"""The figures that a run keeps: a line of metrics.jsonl an epoch, and the losses of its first batches."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from zoo.backend.determinism import threads
from zoo.backend.distribution.agreement import gathered
from zoo.backend.distribution.own_time import OwnTime
from zoo.backend.distribution.placement import current
from zoo.runs.progress import Progress
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.compiling.optimizer_state import applied_steps, loss_scale
from zoo.training.feeding.streams import StopWatch
from zoo.training.feeding.throughput import Throughput

# Of so many batches a run keeps the loss, by which another machine sees in seconds whether it trains the same.
FIRST_BATCHES = 20


class MetricsWriter(keras.callbacks.Callback):
    """Makes a line of metrics.jsonl at each epoch's end, which is written after the epoch's checkpoint.

    Attributes:
        row: The last line.
    """

    def __init__(
        self,
        *,
        phase_name: str,
        counts: PhaseCounts,
        rate_at: Callable[[int], float],
        data_wait: StopWatch,
        throughput: Throughput,
    ) -> None:
        """Prepares the lines of one phase.

        Args:
            phase_name: The phase's name.
            counts: Where the phase begins or was left.
            rate_at: Learning rate by batch of the phase.
            data_wait: Counts the seconds in which training waits for batches.
            throughput: What the speed is reckoned by.
        """
        super().__init__()
        self.row: Mapping[str, Any] = {}
        self._phase_name = phase_name
        self._counts = counts
        self._rate_at = rate_at
        self._data_wait = data_wait
        self._throughput = throughput
        self._began = 0.0
        self._training_seconds: float | None = None
        self._waited = 0.0
        self._applied_before = 0
        self._own_time = OwnTime(threads=threads()) if current().processes > 1 else None
        self._compiles = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clocks; those of an epoch that has begun before go on."""
        training_model: Any = self.model
        self._compiles = epoch == self._counts.start.epoch_in_phase
        before = self._counts.start.partial_epoch if self._compiles else None
        self._began = time.perf_counter() - (before.seconds if before else 0.0)
        self._training_seconds = None
        if self._own_time is not None:
            self._own_time.take()
        self._data_wait.take()
        self._waited = before.data_wait_seconds if before else 0.0
        applied = applied_steps(training_model.optimizer)
        self._applied_before = before.applied_steps_before if before else applied

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops the clock of what this process works itself where the batch is compiled."""
        if self._own_time is not None and self._is_compiled(batch):
            self._own_time.pause()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Lets that clock go on."""
        if self._own_time is not None and self._is_compiled(batch):
            self._own_time.go_on()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Notes what training took: the epoch's validation begins, which is compiled in the first one."""
        self._training_seconds = time.perf_counter() - self._began
        if self._own_time is not None and self._compiles:
            self._own_time.pause()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Makes the line."""
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        progress = self._counts.after(epoch + 1)
        taken = self.so_far()
        trained = taken["seconds"] if self._training_seconds is None else self._training_seconds
        self.row = {
            "phase": self._phase_name,
            "epoch": progress.epoch,
            "epoch_in_phase": progress.epoch_in_phase,
            "step": progress.step,
            **{name: metrics.get(name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")},
            "learning_rate": self._rate_at((epoch + 1) * self._counts.batches_per_epoch - 1),
            **{name: taken[name] for name in ("seconds", "data_wait_seconds")},
            **self._throughput.of_epoch(trained, taken["data_wait_seconds"]),
            **self._loss_scaling(),
            **self._of_workers(),
        }

    def so_far(self) -> dict[str, Any]:
        """Returns what the epoch has taken until now, as `PartialEpoch` names it."""
        self._waited += self._data_wait.take()
        return {
            "seconds": round(time.perf_counter() - self._began, 3),
            "data_wait_seconds": round(self._waited, 3),
            "applied_steps_before": self._applied_before,
        }

    def _of_workers(self) -> dict[str, list[float]]:
        """Returns the seconds that each of several processes worked itself since the epoch began, or went on."""
        if self._own_time is None:
            return {}
        seconds = f"{self._own_time.take() + self._waited:.3f}"
        return {"worker_seconds": [float(text) for text in gathered("seconds of an epoch", seconds)]}

    def _is_compiled(self, batch: int) -> bool:
        """Whether a batch of training is one that is compiled: the first, and the last, which may be smaller."""
        ends = (self._counts.start.batches_of_epoch, self._counts.batches_per_epoch - 1)
        return self._compiles and batch in ends

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


class FirstLosses(keras.callbacks.Callback):
    """Keeps the losses that Keras reports after each of a run's first batches, over all phases.

    Keras has made numbers of them for its callbacks already: nothing is computed or fetched.

    Attributes:
        losses: As hexadecimal floats; each is the mean of its epoch until then.
    """

    def __init__(self, progress: Progress) -> None:
        """Prepares.

        Args:
            progress: Where the run begins, or goes on: what it has of them is kept.
        """
        super().__init__()
        self.losses = progress.first_losses
        # A run that an earlier zoo began has none, and its next batches are not the first.
        self._are_first = len(progress.first_losses) == min(progress.batch, FIRST_BATCHES)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keeps the loss of one of the first batches; comes after what refuses a loss that is not finite."""
        if self._are_first and len(self.losses) < FIRST_BATCHES and logs and "loss" in logs:
            self.losses = (*self.losses, float(logs["loss"]).hex())
