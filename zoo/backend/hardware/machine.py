"""What this machine computes with, found without starting Keras: cores, memory, instructions, and who can use them."""

import importlib.metadata
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoo.backend.keras_internals import native_operations
from zoo.backend.memory import available_bytes

# What Linux calls the instructions that convolutions are faster by, on processors of Intel and AMD, and of ARM.
_FLAGS = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "bf16": ("avx512_bf16", "amx_bf16", "bf16"),
    "NEON": ("asimd",),
}
_OF_ARM = ("NEON", "bf16")
# What runs models -> the package that it comes in.
_ENGINES = {
    "TensorFlow": "tensorflow",
    "JAX": "jax",
    "OpenVINO": "openvino",
    "LiteRT": "ai-edge-litert",
    "ONNX Runtime": "onnxruntime",
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine has.

    Attributes:
        cores: How many this process may use.
        all_cores: How many the machine has.
        memory: Bytes that this process may have; None where the system does not say.
        free_memory: Bytes that can be taken without swapping, or None.
        instructions: Which of those that matter the processor has; None where the system does not say.
        engines: The version of each library that runs models; None of one that is not installed.
        has_nvidia: Whether a driver of NVIDIA's has found a GPU.
    """

    cores: int
    all_cores: int
    memory: int | None
    free_memory: int | None
    instructions: Mapping[str, bool] | None
    engines: Mapping[str, str | None]
    has_nvidia: bool


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What would make training or predictions faster.

    Attributes:
        why: What is found, and what it costs.
        type: What to type.
    """

    why: str
    type: str


def this_machine(root: Path = Path("/")) -> Machine:
    """Looks at the machine.

    Args:
        root: Where the system's files are.
    """
    return Machine(
        cores=usable_cores(root),
        all_cores=os.cpu_count() or 1,
        memory=_memory(root),
        free_memory=available_bytes(),
        instructions=_instructions(root),
        engines={name: _version(package) for name, package in _ENGINES.items()},
        has_nvidia=has_nvidia(root),
    )


def usable_cores(root: Path = Path("/")) -> int:
    """Returns how many cores this process may use: those that it is bound to, or fewer where a container's quota is."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    return min(bound, math.ceil(quota)) if quota else bound


def has_nvidia(root: Path = Path("/")) -> bool:
    """Returns whether a driver of NVIDIA's has found a GPU."""
    return (root / "proc/driver/nvidia/version").exists()


def advice_for(machine: Machine, environment: Mapping[str, str]) -> tuple[Advice, ...]:
    """Says what would make training faster on a machine, the most first.

    Args:
        machine: What it has.
        environment: The variables of the process.
    """
    found: list[Advice] = []
    if machine.has_nvidia and machine.engines["TensorFlow"] and not _version("nvidia-cudnn-cu12"):
        found.append(Advice(why="a GPU is here, and TensorFlow cannot use it", type="pip install 'zoo[cuda]'"))
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        asked = environment.get(name, "")
        if asked.isdecimal() and 0 < int(asked) < machine.cores:
            found.append(Advice(why=f"{name} is {asked}, and {machine.cores} cores may be used", type=f"unset {name}"))
    if native_operations.is_switched_off(environment):
        why = "nets train by Keras' own operations, which are slower"
        found.append(Advice(why=why, type=f"unset {native_operations.SWITCH}"))
    if machine.engines["OpenVINO"] and environment.get("ZOO_ENGINE") == "keras":
        found.append(Advice(why="frozen layers are left to Keras, which is slower", type="unset ZOO_ENGINE"))
    if machine.engines["OpenVINO"] is None and _has(machine, "AVX2") and _has_extra("openvino"):
        why = "OpenVINO, which runs frozen layers faster on this processor, is not installed"
        found.append(Advice(why=why, type="pip install 'zoo[openvino]'"))
    if machine.engines.get("LiteRT", "") is None and _has_extra("export"):
        why = "each prediction starts TensorFlow, since LiteRT is not installed"
        found.append(Advice(why=why, type="pip install 'zoo[export]'"))
    if not _has_fast_jpeg():
        why = "Pillow decodes JPEG without libjpeg-turbo, several times slower"
        found.append(Advice(why=why, type="pip install --force-reinstall --only-binary :all: pillow"))
    return tuple(found)


def _has(machine: Machine, instruction: str) -> bool:
    return bool(machine.instructions and machine.instructions.get(instruction))


def _has_fast_jpeg() -> bool:
    from PIL import features

    return bool(features.check_feature("libjpeg_turbo"))


def _has_extra(name: str) -> bool:
    """Returns whether zoo itself, as it is installed, knows what to do with a library."""
    try:
        return name in (importlib.metadata.metadata("zoo").get_all("Provides-Extra") or [])
    except importlib.metadata.PackageNotFoundError:  # it runs from its sources
        return False


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _quota(root: Path) -> float | None:
    """Returns how many cores' time a container may take (cgroup v2), or None."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    return None


def _memory(root: Path) -> int | None:
    with suppress(OSError, ValueError, KeyError):
        fields = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text().splitlines())
        total = int(fields["MemTotal"].split()[0]) * 1024
        with suppress(OSError, ValueError):  # "max", or no container
            total = min(total, int((root / "sys/fs/cgroup/memory.max").read_text()))
        return total
    return None


def _instructions(root: Path) -> dict[str, bool] | None:
    """Reads the flags of the first core; an ARM processor has others than one of Intel or AMD."""
    with suppress(OSError):
        for line in (root / "proc/cpuinfo").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                flags, is_arm = set(value.split()), key.strip() == "Features"
                names = [name for name in _FLAGS if (name in _OF_ARM if is_arm else name != "NEON")]
                return {name: not flags.isdisjoint(_FLAGS[name]) for name in names}
    return None
