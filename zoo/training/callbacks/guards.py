"""What ends training at once: a broken freezing contract, Ctrl-C, a loss that is not finite."""

import math
from typing import Any

import keras

from zoo.backend import devices
from zoo.errors import ZooError
from zoo.freezing.contract import Contract
from zoo.system.interruption import raise_lost
from zoo.training.callbacks.counting import PhaseCounts


class ContractGuard(keras.callbacks.Callback):
    """Checks the freezing contract after the first step, before hours are spent on a phase that breaks it.

    And at each epoch's end, before the epoch is saved: a resumed run must not begin with what broke it.
    """

    def __init__(self, contract: Contract, *, accumulate: int) -> None:
        super().__init__()
        self._contract = contract
        self._batches_left = accumulate

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks once, after as many batches as make a step; raises ContractError."""
        self._batches_left -= 1
        if self._batches_left == 0:
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


class TerminateOnNaN(keras.callbacks.Callback):
    """Ends training where a loss is not finite, as Keras' own does, and says what to do; the last checkpoint stays."""

    def __init__(self, *, phase_name: str, counts: PhaseCounts) -> None:
        super().__init__()
        self._phase_name = phase_name
        self._counts = counts
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes which epoch of the phase begins."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks; raises ZooError. The loss is the mean of the epoch so far, and remains NaN once it is."""
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            where = f"batch {batch + 1} of {self._counts.batches_per_epoch}"
            raise self._fault(where, "loss", loss, self._counts.step_of(self._epoch, batch))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Checks the validation loss, before anything of the epoch is written; raises ZooError."""
        loss = float((logs or {}).get("val_loss", 0.0))
        if not math.isfinite(loss):
            raise self._fault("validation", "val_loss", loss, self._counts.after(epoch + 1).step)

    def _fault(self, where: str, name: str, value: float, step: int) -> ZooError:
        phase = self._phase_name
        return ZooError(
            f"phase '{phase}', epoch {self._epoch + 1}, {where}: the {name} is {value} at step {step}; expected a "
            f"finite number; the last good checkpoint stays; try a lower learning rate: "
            f"--set phases.{phase}.learning_rate=..."
        )
