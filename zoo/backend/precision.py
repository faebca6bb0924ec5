"""Which dtype policy a run trains in."""

from zoo.backend.devices import Accelerator


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
