"""Early stopping: when a phase ends before its last epoch, and which epoch's weights it then goes back to."""

from dataclasses import replace
from typing import Any

import keras

from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder
from zoo.runs.progress import Progress
from zoo.training.callbacks.counting import PhaseCounts
from zoo.training.callbacks.monitor import Monitor
from zoo.training.compiling.optimizer_state import moving_averages
from zoo.training.compiling.training_state import restore_training_state, restore_weights
from zoo.training.preparation.checkpoints import require_best


class EarlyStopping(keras.callbacks.Callback):
    """Ends a phase after some epochs without a better one, and puts the best one's weights back.

    Attributes:
        best: The phase's best epoch; None before the first, and where the phase does not end early.
        stale_epochs: Epochs since then.
    """

    def __init__(self, monitor: Monitor | None, *, patience: int, counts: PhaseCounts) -> None:
        """Goes on from where the phase begins or was left.

        Args:
            monitor: Tells which epoch is better; None where nothing is validated, and nothing says so.
            patience: `train.early_stopping`: epochs without a better one after which the phase ends; 0 never does.
            counts: Where the phase begins or was left.
        """
        super().__init__()
        self.best = counts.start.phase_best
        self.stale_epochs = counts.start.stale_epochs
        self.patience = patience
        self._monitor = monitor
        self._counts = counts

    @property
    def is_over(self) -> bool:
        """Whether the phase has ended early."""
        return self._monitor is not None and 0 < self.patience <= self.stale_epochs

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares the epoch with the best; stops training where the phase is over."""
        if self._monitor is None or not self.patience:
            return
        before = self.best
        self.best = self._monitor.best_of(before, logs or {}, self._counts.after(epoch + 1))
        self.stale_epochs = self.stale_epochs + 1 if self.best is before else 0
        if self.is_over:
            training_model: Any = self.model
            training_model.stop_training = True

    def noted_in(self, progress: Progress) -> Progress:
        """Returns how far a run has come, with the phase's best epoch and the epochs since."""
        return replace(progress, phase_best=self.best, stale_epochs=self.stale_epochs)

    def restore_best(self, model: keras.Model, optimizer: Any, folder: RunFolder) -> bool:
        """Puts back the weights of the phase's best epoch, and what the optimizer knew then.

        Returns:
            Whether its checkpoint is there.

        Raises:
            RunError: Its checkpoint is damaged.
        """
        found = self.best and checkpoint.at_batch(folder.checkpoints, self.best.batch)
        if found is not None:
            require_best(found.path)
            restore_weights(model, found)
            restore_training_state(model, optimizer, moving_averages(optimizer), found.state_arrays())
        return found is not None
