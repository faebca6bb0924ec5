"""What differs between Keras' backends: the only part of training that knows them by name."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.backend.distribution.placement import current
from zoo.backend.keras_internals.experimental import device_details
from zoo.backend.keras_internals.native_operations import native_operations


@dataclass(frozen=True)
class Accelerator:
    """The device that training runs on.

    Attributes:
        kind: `cpu`, `gpu` or `tpu`.
        name: As the backend calls it.
        compute_capability: Of an NVIDIA GPU, as (major, minor); else None.
    """

    kind: str
    name: str
    compute_capability: tuple[int, int] | None = None


def _tensorflow() -> Accelerator:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return Accelerator("cpu", "cpu")
    details = device_details(gpus[0])
    return Accelerator("gpu", details.get("device_name", "gpu"), details.get("compute_capability"))


# A plug-in may call the platform by the library that it is written for.
_GPUS_OF_JAX = ("gpu", "cuda", "rocm")


def _jax() -> Accelerator:
    import jax

    device = jax.devices()[0]
    capability = getattr(device, "compute_capability", None)
    version = tuple(int(part) for part in str(capability).split(".")) if capability else None
    kind = "gpu" if device.platform in _GPUS_OF_JAX else device.platform
    return Accelerator(kind, device.device_kind, version if version and len(version) == 2 else None)


_ACCELERATORS: dict[str, Callable[[], Accelerator]] = {"tensorflow": _tensorflow, "jax": _jax}


def name() -> str:
    """Returns the name of Keras' backend."""
    import keras

    return keras.backend.backend()


def accelerator() -> Accelerator:
    """Finds the device that Keras' backend uses; a backend that we do not know counts as a CPU."""
    import keras

    return _ACCELERATORS.get(keras.backend.backend(), lambda: Accelerator("cpu", "cpu"))()


def is_out_of_memory(fault: Exception) -> bool:
    """Returns whether a fault is that of a device whose memory is used up, as TensorFlow and JAX raise it."""
    return (
        isinstance(fault, MemoryError)
        or "ResourceExhausted" in type(fault).__name__
        or ("RESOURCE_EXHAUSTED" in str(fault))
    )


# Of the process: models share layers, as a classifier and its features do.
_PREDICTING = threading.Lock()


def one_prediction_at_a_time() -> AbstractContextManager[object]:
    """Keeps other threads waiting while Keras predicts with JAX: it gives the model's variables away meanwhile.

    `predict_on_batch` donates them to the computation and puts what comes back into their place, so that another thread
    would find "Buffer has been deleted or donated": https://github.com/keras-team/keras/pull/20851.
    """
    import keras

    return _PREDICTING if keras.backend.backend() == "jax" else nullcontext()


def sync(model: object) -> None:
    """Brings the model's variables up to date inside a batch callback; the JAX backend keeps them elsewhere."""
    jax_state_sync = getattr(model, "jax_state_sync", None)
    if jax_state_sync is not None:
        jax_state_sync()


def renew_lost(model: Any) -> None:
    """Gives the variables of a compiled model numbers again, zeros, where a failed step may have lost them.

    Keras' step on JAX gives them away, and a device whose memory is used up gives none back.
    """
    if name() != "jax":
        return
    model._jax_state = None
    for variable in (*model.variables, *model.optimizer.variables):
        variable.assign(np.zeros(variable.shape, variable.dtype))


def predictor(model: Any) -> Callable[[np.ndarray], Any]:
    """Returns what runs a model in inference mode on a batch of any size; traced once for a model and a dtype.

    Keras' `predict_on_batch` traces anew for other sizes, and TensorFlow then warns of that; it counts all models as
    one, since they share Keras' code, so that a handful of models in one process is enough:
    https://github.com/tensorflow/tensorflow/issues/34907.
    """
    if current().is_spread and name() == "jax":
        from zoo.backend.distribution.layout import spread_predictor

        return spread_predictor(model)
    if name() == "jax" and accelerator().kind != "cpu":
        return keeping_variables(model)
    if name() != "tensorflow" or model.run_eagerly:
        return model.predict_on_batch
    import tensorflow as tf

    return lambda batch: traced(model, batch)(tf.convert_to_tensor(batch))


def keeping_variables(model: Any) -> Callable[[np.ndarray], Any]:
    """Returns what runs a model on JAX in inference mode, as `predict_on_batch` does, and gives no variable away.

    A batch that does not fit into the device's memory then costs nothing but itself: see `one_prediction_at_a_time`.
    """
    import jax

    known: dict[Any, Any] = vars(model).setdefault("_zoo_predictors", {})
    if "jax" not in known:

        def forward(trainable: list[Any], others: list[Any], batch: Any) -> Any:
            return model.stateless_call(trainable, others, batch, training=False)[0]

        known["jax"] = jax.jit(forward)

    def run(batch: np.ndarray) -> Any:
        trainable = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        return known["jax"](trainable, others, batch)

    return run


def traced(model: Any, batch: np.ndarray) -> Any:
    """Returns TensorFlow's concrete function of a model in inference mode, for batches like one of any size."""
    import tensorflow as tf

    known: dict[Any, Any] = vars(model).setdefault("_zoo_predictors", {})
    key = (batch.shape[1:], batch.dtype)
    if key not in known:
        function = tf.function(
            lambda pixels: model(pixels, training=False), autograph=False, jit_compile=bool(model.jit_compile)
        )
        with native_operations(layers_of(model)):
            known[key] = function.get_concrete_function(tf.TensorSpec((None, *batch.shape[1:]), batch.dtype))
    return known[key]


def layers_of(model: Any) -> list[Any]:
    """Lists a model's layers, and those of models in it."""
    return [layer for one in model.layers for layer in (layers_of(one) if hasattr(one, "layers") else [one])]


def listed(outputs: Any) -> list[np.ndarray]:
    """Returns what a model gave as arrays, one for each of its outputs."""
    return [np.asarray(output) for output in (outputs if isinstance(outputs, list) else [outputs])]
