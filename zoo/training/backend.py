"""What differs between Keras' backends: the only part of training that knows them by name."""

from collections.abc import Callable
from dataclasses import dataclass


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
    details = tf.config.experimental.get_device_details(gpus[0])
    return Accelerator("gpu", details.get("device_name", "gpu"), details.get("compute_capability"))


def _jax() -> Accelerator:
    import jax

    device = jax.devices()[0]
    capability = getattr(device, "compute_capability", None)
    version = tuple(int(part) for part in str(capability).split(".")) if capability else None
    return Accelerator(device.platform, device.device_kind, version if version and len(version) == 2 else None)


_ACCELERATORS: dict[str, Callable[[], Accelerator]] = {"tensorflow": _tensorflow, "jax": _jax}


def accelerator() -> Accelerator:
    """Finds the device that Keras' backend uses; a backend that we do not know counts as a CPU."""
    import keras

    return _ACCELERATORS.get(keras.backend.backend(), lambda: Accelerator("cpu", "cpu"))()


def sync(model: object) -> None:
    """Brings the model's variables up to date inside a batch callback; the JAX backend keeps them elsewhere."""
    jax_state_sync = getattr(model, "jax_state_sync", None)
    if jax_state_sync is not None:
        jax_state_sync()
