"""Trackers that replace `keras.Model.fit`, as MLflow's autolog does: they see one `fit` of the whole model.

They do not see what trains a phase: it is not the whole model, and there is one for each phase. So phases go
past what has replaced `fit`, and a `fit` of the whole model, whose epochs are those of the run, goes around them all.
"""

from collections.abc import Generator
from typing import Any

import keras

from zoo.training.user_callbacks.one_run import OneRun


def keras_own_fit() -> Any:
    """Returns `fit` as Keras has it: `keras.Model` inherits it, and who replaces it puts another there."""
    return next(vars(base)["fit"] for base in keras.Model.__mro__[1:] if "fit" in vars(base))


def replaced_by() -> str:
    """Returns the package that has replaced `keras.Model.fit`, or ""."""
    fit = vars(keras.Model).get("fit")
    if fit is None or fit is keras_own_fit():
        return ""
    return str(getattr(fit, "__module__", "") or "another package").partition(".")[0]


def unwatched_fit(model: Any, data: Any, **options: Any) -> Any:
    """Calls Keras' own `fit`, whatever has taken its place."""
    return keras_own_fit()(model, data, **options)


def watched_fit(
    model: Any,
    phases: Generator[None, None, None],
    data: Any,
    *,
    batches_per_epoch: int,
    one_run: OneRun,
    **options: Any,
) -> None:
    """Runs all phases inside one `keras.Model.fit` of the whole model. On the TensorFlow backend only.

    Keras' loop calls for an epoch, which the phases train; all batches of an epoch are one execution.

    Args:
        model: The whole model, compiled.
        phases: Yields before each epoch of the run, and has come to the first one.
        data: The batches of an epoch, for those who look at them; it trains nothing.
        batches_per_epoch: How many there are.
        one_run: Has the metrics of the last epoch.
        options: Of `fit`: its epochs, the first of them, and validation data.
    """

    finished = False

    def train_epoch(_batches: Any) -> dict[str, Any]:
        nonlocal finished
        finished = next(phases, one_run) is one_run
        # The next phase has compiled the model anew.
        model.train_function = train_epoch
        model.stop_training = finished or bool(one_run.stopped_by)
        return {name: value for name, value in one_run.last_logs.items() if not name.startswith("val_")}

    def evaluate(*_: Any, **__: Any) -> dict[str, Any]:
        return {name[4:]: value for name, value in one_run.last_logs.items() if name.startswith("val_")}

    stand_ins: dict[str, Any] = {
        "make_train_function": lambda force=False: setattr(model, "train_function", train_epoch),
        "evaluate": evaluate,
        "_get_metrics_result_or_logs": lambda logs: logs,
    }
    for name, stand_in in stand_ins.items():
        setattr(model, name, stand_in)
    model.steps_per_execution = batches_per_epoch
    try:
        model.fit(data, verbose=0, shuffle=False, **options)
    finally:
        for name in stand_ins:
            delattr(model, name)
        model.train_function = None
    if not finished and not one_run.stopped_by and model.stop_training:
        # A tracker's callback has asked to: the phase that trains is closed as it is.
        one_run.stopped_by = replaced_by()
