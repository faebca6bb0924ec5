"""What the card is, and how fast it multiplies matrices."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpu_steps.plan import Sizes
from gpu_steps.running import say

PACKAGES = ("jax", "jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "keras", "tensorflow", "torch", "numpy")
QUERY = "name,driver_version,memory.total,clocks.max.sm,power.limit"
PRODUCTS = 20


def main(sizes: Sizes, _work: Path, _: str) -> None:
    """Says versions, the card, and TFLOP/s of a product in bfloat16, TF32 and float32."""
    say(python=platform.python_version(), cpus=os.cpu_count(), versions=_versions(), nvidia_smi=_nvidia_smi())
    import jax
    import jax.numpy as jnp

    from zoo.backend import devices
    from zoo.backend.compute.peaks import peak_of
    from zoo.backend.compute.precision import resolve, uses_tf32

    device = devices.accelerator()
    policy = resolve("auto", device)
    peak = peak_of(device, policy)
    say(
        device=device.name,
        kind=device.kind,
        compute_capability=device.compute_capability,
        auto_precision=policy,
        float32_by_tf32=uses_tf32(device),
        peak_tflops=peak and peak.flops / 1e12,
        memory_stats=_memory(jax.devices()[0]),
    )
    kinds: dict[str, tuple[Any, str | None]] = {
        "bfloat16": (jnp.bfloat16, None),
        "float32, default": (jnp.float32, None),
        "float32, all bits": (jnp.float32, "float32"),
    }
    for kind, (dtype, precision) in kinds.items():
        say(product=kind, side=sizes.matrix, tflops=round(_tflops(sizes.matrix, dtype, precision), 2))


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _nvidia_smi() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    ran = subprocess.run(
        ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"], capture_output=True, text=True, timeout=20
    )
    return ran.stdout.strip() or ran.stderr.strip()


def _memory(device: Any) -> int | None:
    with suppress(Exception):
        return device.memory_stats()["bytes_limit"]
    return None


def _tflops(side: int, dtype: Any, precision: str | None) -> float:
    import jax

    key = jax.random.key(0)
    one, other = (jax.random.normal(each, (side, side)).astype(dtype) for each in jax.random.split(key))
    product = jax.jit(lambda a, b: jax.lax.dot(a, b, precision=precision))
    jax.block_until_ready(product(one, other))
    began = time.perf_counter()
    # One after another: a product of products would overflow, and be computed as fast.
    results = [product(one, other) for _ in range(PRODUCTS)]
    jax.block_until_ready(results)
    return 2 * side**3 * PRODUCTS / (time.perf_counter() - began) / 1e12
