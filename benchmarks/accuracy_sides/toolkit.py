"""A recipe through `zoo.finetune`: the clock stands from each validation to the next epoch."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import keras
from stopwatch import Stopwatch, answer, task

import zoo


class TargetReachedError(Exception):
    """The target is reached: there is nothing more to train for."""


class Clock(keras.callbacks.Callback):
    """Measures after each epoch."""

    def __init__(self, watch: Stopwatch, *, stops: bool) -> None:
        super().__init__()
        self._watch = watch
        self._stops = stops

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the clock."""
        self._watch.start()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Stops the clock."""
        self._watch.stop()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the accuracy; raises TargetReachedError where it is enough and the last epoch need not come."""
        if self._watch.reached((logs or {})["val_accuracy"]) and self._stops:
            raise TargetReachedError


def main() -> None:
    """Trains the recipe that was asked for."""
    asked = task()
    watch = Stopwatch(asked["target"])
    settings = ["data.validation=test", f"train.seed={asked['seed']}", *asked["settings"]]
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(watch, stops=asked["stops"])
        with contextlib.suppress(TargetReachedError):
            zoo.finetune(
                asked["recipe"], asked["data"], overrides=settings, run=Path(folder) / "run", callbacks=[clock]
            )
    answer(asked, watch)


if __name__ == "__main__":
    main()
