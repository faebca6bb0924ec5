"""Epochs, steps and batches of a run, counted through one of its phases."""

from dataclasses import dataclass, replace

from zoo.runs.progress import PartialEpoch, Progress


@dataclass(frozen=True, kw_only=True)
class PhaseCounts:
    """What is counted in a phase, as a function of its epoch.

    A batch goes through the model, a step applies the optimizer. Gradients go on over an epoch's end until they are a
    step, and not over a phase's end: its last batches may come to none.

    Attributes:
        start: How far the run was when the phase began or was resumed.
        batches_per_epoch: Batches that an epoch trains on.
        accumulate: Batches of a step.
    """

    start: Progress
    batches_per_epoch: int
    accumulate: int

    @property
    def first_epoch(self) -> int:
        """Epochs of the run before the phase."""
        return self.start.epoch - self.start.epoch_in_phase

    @property
    def first_step(self) -> int:
        """Steps of the run before the phase."""
        return self.start.step - self._batches_before // self.accumulate

    @property
    def _batches_before(self) -> int:
        """Batches of the phase before it began or was left."""
        return self.start.epoch_in_phase * self.batches_per_epoch + self.start.batches_of_epoch

    def after(self, epochs: int, partial_epoch: PartialEpoch | None = None) -> Progress:
        """Returns how far the run is after some epochs of the phase; what is best is not known here.

        Args:
            epochs: Finished ones.
            partial_epoch: What has begun of the next one, or None.
        """
        batches = epochs * self.batches_per_epoch + (partial_epoch.batches if partial_epoch else 0)
        return replace(
            self.start,
            epoch_in_phase=epochs,
            epoch=self.first_epoch + epochs,
            step=self.first_step + batches // self.accumulate,
            batch=self.start.batch + batches - self._batches_before,
            partial_epoch=partial_epoch,
        )

    def ends_step(self, epoch: int, batches: int) -> bool:
        """Returns whether the last of an epoch's batches so far completed a step; `epoch` is counted from 0."""
        return (epoch * self.batches_per_epoch + batches) % self.accumulate == 0

    def step_of(self, epoch: int, batch: int) -> int:
        """Returns the step that a batch of an epoch takes part in, counted from 1; `epoch` and `batch` from 0."""
        return self.first_step + (epoch * self.batches_per_epoch + batch) // self.accumulate + 1
