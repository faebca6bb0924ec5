"""What callbacks of users see: one training of the whole model, whatever a phase computes and how.

Keras' `fit` is called once for each phase, on what that phase trains: the layers above a frozen prefix, say, fed with
what the prefix gave. Callbacks that users give see none of that. Their `model` is the whole model from pixels to
probabilities, with the weights of the moment; `on_train_begin` and `on_train_end` come once a run; epochs are those of
the run; `params["phase"]` names the phase that trains.
"""

import importlib.util
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from zoo.errors import RecipeError
from zoo.recipe.schema import TrainSection
from zoo.training.compiling.losses import build_loss

TRAINING_METRICS = ("loss", "accuracy")
VALIDATION_METRICS = ("val_loss", "val_accuracy")

_RATE = "the recipe decides the learning rate: --set phases.NAME.schedule=... and phases.NAME.learning_rate=..."
# What does in Keras what a recipe or a run does here, and what to use.
REPLACED: dict[type[Any], str] = {
    keras.callbacks.LearningRateScheduler: _RATE,
    keras.callbacks.ReduceLROnPlateau: _RATE,
    keras.callbacks.BackupAndRestore: "a run saves itself and goes on: zoo.finetune(..., run=DIR, resume=True)",
    keras.callbacks.SwapEMAWeights: "the recipe averages weights, and validates and keeps the average: train.ema=0.99",
}

# What Keras finds missing in the first epoch only.
NEEDED: dict[type[Any], str] = {
    keras.callbacks.TensorBoard: "tensorboard",
    keras.callbacks.RemoteMonitor: "requests",
}


def check_callbacks(callbacks: object) -> list[Any]:
    """Takes callbacks as `fit` does: None, one, or several in lists.

    Raises:
        RecipeError: Something that is not a callback, or one that does what the recipe decides; it says what to use.
    """
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, keras.callbacks.Callback):
        return [_checked(callbacks)]
    if isinstance(callbacks, str | bytes | Mapping | type) or not isinstance(callbacks, Iterable):
        return [_checked(callbacks)]
    return [one for item in callbacks for one in (check_callbacks(item) if _is_group(item) else [_checked(item)])]


def _is_group(item: object) -> bool:
    return isinstance(item, list | tuple | keras.callbacks.CallbackList)


def _checked(callback: object) -> Any:
    if isinstance(callback, type):
        name = callback.__name__
        raise RecipeError(f"callbacks holds the class {name}; expected an object of it. Call it: {name}(...)")
    if not isinstance(callback, keras.callbacks.Callback):
        shown = f"{callback!r:.40}" if isinstance(callback, str | int | float | None) else type(callback).__name__
        raise RecipeError(
            f"callbacks holds {shown}, which is not a Keras callback; expected objects of classes that derive from "
            "keras.callbacks.Callback (Keras 3)"
        )
    for kind, instead in REPLACED.items():
        if isinstance(callback, kind):
            raise RecipeError(f"callbacks holds {_name(callback)}, which cannot work here: {instead}")
    for kind, package in NEEDED.items():
        if isinstance(callback, kind) and importlib.util.find_spec(package) is None:
            raise RecipeError(
                f"callbacks holds {_name(callback)}, which needs the package {package}; it is not installed. "
                f"Type: pip install {package}"
            )
    return callback


def _name(callback: Any) -> str:
    return type(callback).__name__


def check_monitors(callbacks: Sequence[Any], *, validates: bool) -> None:
    """Refuses callbacks that wait for a metric, or put one into a file's name, which a run does not give.

    Keras warns in each epoch and saves or stops nothing, or raises an error in the first epoch.

    Args:
        callbacks: As `check_callbacks` returned them.
        validates: Whether the run has validation images.

    Raises:
        RecipeError: There is one; the message says which metrics there are.
    """
    known = (*TRAINING_METRICS, *(VALIDATION_METRICS if validates else ()))
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.EarlyStopping | keras.callbacks.ModelCheckpoint):
            needed = [callback.monitor] if getattr(callback, "save_best_only", True) else []
            available = known
            if isinstance(callback, keras.callbacks.ModelCheckpoint):
                fields = [field for _, field, _, _ in string.Formatter().parse(str(callback.filepath)) if field]
                needed += [field for field in fields if field not in ("epoch", "batch")]
                if callback.save_freq != "epoch":
                    available = TRAINING_METRICS
            if missing := [name for name in needed if name not in available]:
                without = "" if validates else " (without validation images)"
                raise RecipeError(
                    f"{_name(callback)} needs '{missing[0]}'; a run{without} gives it {', '.join(available)}; "
                    "choose one of these"
                )


class OneRun:
    """The callbacks of a user, over all phases of a run.

    Attributes:
        stopped_by: The callback's class that asked to stop, or "" while none has.
        last_logs: The metrics of the last epoch.
    """

    def __init__(self, callbacks: Sequence[Any], model: Any, *, epochs: int) -> None:
        """Prepares.

        Args:
            callbacks: As `check_callbacks` returned them.
            model: The whole model, which holds the weights that train.
            epochs: Of all phases together.
        """
        self.stopped_by = ""
        self.last_logs: dict[str, Any] = {}
        self._callbacks = list(callbacks)
        self._model = model
        shows_bar = any(isinstance(callback, keras.callbacks.ProgbarLogger) for callback in callbacks)
        self._params: dict[str, Any] = {"verbose": int(shows_bar), "epochs": epochs, "steps": None, "phase": ""}
        self._has_begun = False

    def begin_phase(self, training_model: Any, train: TrainSection, *, phase_name: str, batches_per_epoch: int) -> None:
        """Shows what a phase trains as the whole model; tells callbacks that training begins, before the first one.

        Args:
            training_model: What `fit` is called on, compiled; its optimizer is shown.
            train: The recipe's section; its loss is shown.
            phase_name: Which phase begins.
            batches_per_epoch: What callbacks see as `params["steps"]`.
        """
        model = self._model
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
        model.compile(optimizer=training_model.optimizer, loss=build_loss(train), metrics=[accuracy])
        model.stop_training = False
        _sync_from(model, training_model)
        self._params.update(phase=phase_name, steps=batches_per_epoch)
        if not self._has_begun:
            self._has_begun = True
            for callback in self._callbacks:
                callback.set_params(self._params)
                callback.set_model(model)
            self.call("on_train_begin")

    def relay(self, *, first_epoch: int) -> keras.callbacks.Callback:
        """Returns what a phase's `fit` is given.

        Args:
            first_epoch: The run's epoch, counted from 0, with which the phase began.
        """
        return _Relay(self, first_epoch=first_epoch)

    def end(self) -> None:
        """Tells callbacks that training has ended; a run that fails does not come here, as with Keras."""
        if self._has_begun:
            self.call("on_train_end", self.last_logs)

    def call(self, hook: str, *arguments: Any) -> None:
        """Calls a method of each callback, and notes who asks to stop."""
        model = self._model
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments)
            if getattr(model, "stop_training", False) and not self.stopped_by:
                self.stopped_by = _name(callback)

    def listen(self, hook: str, *aliases: str) -> bool:
        """Returns whether a callback has a method of its own for what comes with each batch."""
        base = keras.callbacks.Callback
        # A LambdaCallback's methods are attributes of the object.
        return any(
            name in vars(callback) or getattr(type(callback), name) is not getattr(base, name)
            for callback in self._callbacks
            for name in (hook, *aliases)
        )


def _sync_from(model: Any, training_model: Any) -> None:
    """Lets who looks at the whole model see the weights of the moment, which the JAX backend keeps elsewhere."""
    own = getattr(type(model), "jax_state_sync", None)
    if own is None:
        return

    def sync() -> None:
        training_model.jax_state_sync()
        own(model)

    model.jax_state_sync = sync


class _Relay(keras.callbacks.Callback):
    """Passes what happens in a phase on to the user's callbacks, in the run's numbers."""

    def __init__(self, run: OneRun, *, first_epoch: int) -> None:
        super().__init__()
        self._run = run
        self._first_epoch = first_epoch
        self._hears = {
            f"on_{what}_batch_{when}": run.listen(
                f"on_{what}_batch_{when}", *([f"on_batch_{when}"] if what == "train" else [])
            )
            for what in ("train", "test")
            for when in ("begin", "end")
        }

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on the run's epoch."""
        self._run.call("on_epoch_begin", self._first_epoch + epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on the run's epoch; a callback that asked to stop, in this epoch or before it, ends the phase."""
        self._run.last_logs = dict(logs or {})
        self._run.call("on_epoch_end", self._first_epoch + epoch, logs)
        if self._run.stopped_by:
            training_model: Any = self.model
            training_model.stop_training = True

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on."""
        self._batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on."""
        self._batch("on_train_batch_end", batch, logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Passes on."""
        self._run.call("on_test_begin", logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Passes on."""
        self._run.call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on."""
        self._batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Passes on."""
        self._batch("on_test_batch_end", batch, logs)

    def _batch(self, hook: str, batch: int, logs: dict[str, Any] | None) -> None:
        if self._hears[hook]:
            self._run.call(hook, batch, logs)
