"""Which dtype policy a run trains in, and what a GPU makes of float32."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from zoo.backend import devices
from zoo.backend.devices import Accelerator
from zoo.backend.keras_internals.experimental import is_tensor_float_32, tensor_float_32

# The first NVIDIA generation that multiplies bfloat16, and float32 as TF32: Ampere.
AMPERE = (8, 0)
# JAX's names of precisions that XLA computes by TF32 where a GPU can:
# https://docs.jax.dev/en/latest/jax.lax.html#jax.lax.Precision
_BY_TF32 = (None, "default", "fastest", "high", "tensorfloat32")
# Of a process: with "0", NVIDIA's libraries multiply float32 with all of its bits, whatever they are asked for.
OVERRIDE = "NVIDIA_TF32_OVERRIDE"
# What has float32 computed with all of its bits, by the backend's name.
_FULL_FLOAT32 = {"jax": "JAX_DEFAULT_MATMUL_PRECISION=float32", "tensorflow": f"{OVERRIDE}=0"}


def resolve(precision: str, accelerator: Accelerator) -> str:
    """Turns a recipe's `train.precision` into a Keras dtype policy.

    `auto` is mixed_bfloat16 on TPUs and on GPUs of compute capability 8.0 and up, mixed_float16 (with Keras' dynamic
    loss scaling) on older GPUs, and float32 on a CPU, where mixed policies are several times slower.
    """
    if precision != "auto":
        return precision
    if accelerator.kind == "tpu":
        return "mixed_bfloat16"
    if accelerator.kind != "gpu":
        return "float32"
    return "mixed_bfloat16" if _is_ampere(accelerator) else "mixed_float16"


def _is_ampere(accelerator: Accelerator) -> bool:
    """Returns whether it is an NVIDIA GPU of that generation or a later one."""
    return accelerator.compute_capability is not None and accelerator.compute_capability >= AMPERE


def warning(policy: str, accelerator: Accelerator) -> str | None:
    """Says what speaks against a policy on a device, or None."""
    if accelerator.kind == "cpu" and policy != "float32":
        return f"{policy} on a CPU is several times slower than float32"
    if policy == "float32" and uses_tf32(accelerator):
        how = _FULL_FLOAT32[devices.name()]
        return f"{accelerator.name} multiplies float32 with 10 of its 23 bits (TF32); for all of them set {how}"
    return None


def uses_tf32(accelerator: Accelerator) -> bool:
    """Returns whether a device multiplies float32 with 10 of its 23 bits here, as backends let recent GPUs do."""
    if accelerator.kind != "gpu" or not _is_ampere(accelerator) or os.environ.get(OVERRIDE) == "0":
        return False
    backend = devices.name()
    if backend == "jax":
        import jax

        config: Any = jax.config
        return config.jax_default_matmul_precision in _BY_TF32
    return backend == "tensorflow" and is_tensor_float_32()


@contextmanager
def full_float32() -> Generator[None]:
    """Computes float32 with all of its bits: GPUs multiply with 10 of its 23 bits (TF32) unless they are told."""
    backend = devices.name()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("float32"):
            yield
        return
    if backend != "tensorflow":
        yield
        return
    before = tensor_float_32(enabled=False)
    try:
        yield
    finally:
        tensor_float_32(enabled=before)
