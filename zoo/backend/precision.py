"""Which dtype policy a run trains in, and what a GPU makes of float32."""

from collections.abc import Generator
from contextlib import contextmanager

from zoo.backend import devices
from zoo.backend.devices import Accelerator
from zoo.backend.keras_internals.experimental import tensor_float_32


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
    recent = accelerator.compute_capability is not None and accelerator.compute_capability >= (8, 0)
    return "mixed_bfloat16" if recent else "mixed_float16"


def warning(policy: str, accelerator: Accelerator) -> str | None:
    """Says what speaks against a policy on a device, or None."""
    if accelerator.kind == "cpu" and policy != "float32":
        return f"{policy} on a CPU is several times slower than float32"
    return None


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
