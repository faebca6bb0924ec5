"""What ends training before its time: a broken freezing contract, a signal, NaN, devices that do not agree."""

import contextlib
import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import keras

from zoo.backend import devices
from zoo.backend.distribution import mirrored
from zoo.backend.distribution.copies import differing, first_copy
from zoo.backend.distribution.stopping import AgreedStop
from zoo.errors import ZooError
from zoo.freezing.contract import Contract
from zoo.recipe.schema import Phase, TrainSection
from zoo.system import interruption
from zoo.training.callbacks.checkpoint_saver import CheckpointSaver
from zoo.training.callbacks.counting import PhaseCounts

# Of the focal loss; its authors tried 0 to 5 (arXiv:1708.02002, table 1b).
SHARPEST_FOCUS = 10


class ContractGuard(keras.callbacks.Callback):
    """Checks the freezing contract after the first step, before hours are spent on a phase that breaks it.

    And at each epoch's end, before the epoch is saved: a resumed run must not begin with what broke it. Then only what
    `fit` trains is compared: of the rest, checkpoints hold what the phase began with.
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
        self._contract.check(within=self.model)


class CopiesGuard(keras.callbacks.Callback):
    """Makes sure that several devices have the same weights: a checkpoint holds the first one's, and all validate.

    After the first step, and at each epoch's end, before the epoch is saved. On one device it does nothing.
    """

    def __init__(self, *, accumulate: int) -> None:
        super().__init__()
        self._batches_left = accumulate

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares once, after as many batches as make a step; raises ZooError."""
        self._batches_left -= 1
        if self._batches_left == 0:
            self._compare()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares; raises ZooError."""
        self._compare()

    def _compare(self) -> None:
        several = mirrored.current()
        if several is None:
            return
        training_model: Any = self.model
        if unlike := differing([*training_model.weights, *training_model.optimizer.variables]):
            raise ZooError(
                f"{', '.join(several.devices)}: the same steps gave each other numbers for {len(unlike)} tensors, "
                f"{unlike[0]} first; expected devices that compute alike; type --devices 1"
            )


class InterruptionGuard(keras.callbacks.Callback):
    """Saves and ends training at the next batch's end where a signal asked for it; comes after all others.

    It is a context manager around `fit`: from the first batch's end on, the first signal waits for the next one's.
    Before, there is nothing to save, and compiling takes long.
    """

    def __init__(
        self, saver: CheckpointSaver, stop: AgreedStop, *, batches_per_epoch: int, say: Callable[[str], object]
    ) -> None:
        """Prepares.

        Args:
            saver: Saves what is done.
            stop: Agrees with other processes on where to end.
            batches_per_epoch: The last one's end is the epoch's where nothing is validated.
            say: Told that a signal waits.
        """
        super().__init__()
        self._saver = saver
        self._stop = stop
        self._batches_per_epoch = batches_per_epoch
        self._say = say
        self._waiting: contextlib.ExitStack | None = None

    def __enter__(self) -> Self:
        self._waiting = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Lets signals act at once again; raises the exception of one that still waits."""
        return self._waiting.__exit__(kind, fault, trace) if self._waiting else None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises KeyboardInterrupt or Terminated."""
        if self._waiting is None:
            self._waiting = contextlib.ExitStack()
            self._waiting.enter_context(interruption.deferred(self._say))
        if batch + 1 < self._batches_per_epoch:
            self._end_if_asked()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Raises KeyboardInterrupt or Terminated."""
        self._end_if_asked()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises KeyboardInterrupt or Terminated."""
        self._end_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Raises KeyboardInterrupt or Terminated."""
        self._end_if_asked()

    def _end_if_asked(self) -> None:
        fault = interruption.pending()
        number = self._stop.reached(None if fault is None else interruption.number_of(fault))
        if number is not None:
            self._saver.save_at_once()
            raise interruption.exception_of(number) if fault is None else fault


class TerminateOnNaN(keras.callbacks.Callback):
    """Ends training where a loss is not finite, as Keras' own does, and says what to do; the last checkpoint stays.

    And where a weight is not: TensorFlow's fused ReLU makes 0 of NaN, so that the loss may never show it.
    """

    def __init__(self, *, phase: Phase, train: TrainSection, counts: PhaseCounts) -> None:
        super().__init__()
        self._phase_name = phase.name
        self._advice = advice_on_nan(phase, train)
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
        """Checks the validation loss and the weights, before anything of the epoch is written; raises ZooError."""
        step = self._counts.after(epoch + 1).step
        loss = float((logs or {}).get("val_loss", 0.0))
        if not math.isfinite(loss):
            raise self._fault("validation", "val_loss", loss, step)
        training_model: Any = self.model
        for weight in training_model.weights:
            array = first_copy(weight)
            if not array.size or array.dtype.kind != "f":
                continue
            for extreme in (float(array.max()), float(array.min())):
                if not math.isfinite(extreme):
                    raise self._fault("its end", f"weight {weight.path}", extreme, step)

    def _fault(self, where: str, name: str, value: float, step: int) -> ZooError:
        phase = self._phase_name
        return ZooError(
            f"phase '{phase}', epoch {self._epoch + 1}, {where}: the {name} is {value} at step {step}; expected a "
            f"finite number; the last good checkpoint stays; {self._advice}"
        )


def advice_on_nan(phase: Phase, train: TrainSection) -> str:
    """Says what to change where a loss is not finite: the number that is far from what trains, else the rate."""
    decay = phase.learning_rate * phase.weight_decay
    if decay >= 1:
        return (
            f"each step takes weight_decay x learning_rate = {decay:g} times a weight off it; expected far below 1: "
            f"--set phases.{phase.name}.weight_decay=0.01"
        )
    gamma = train.loss_options.get("gamma", 0)
    if train.loss == "focal" and gamma > SHARPEST_FOCUS:
        return f"the loss has gamma = {gamma:g}; expected about 2: --set train.loss_options.gamma=2"
    return f"try a lower learning rate: --set phases.{phase.name}.learning_rate=..."
