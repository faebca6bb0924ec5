"""How much memory may be taken, and where in it a tensor may lie."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Where the memory of a tensor begins, in bytes (EIGEN_MAX_ALIGN_BYTES).
TENSOR_ALIGNMENT = 64


def available_bytes() -> int | None:
    """Returns the memory that can be taken without swapping, or `None` where the system does not say."""
    try:
        return int(min(_system_bytes(), _container_bytes()))
    except (OSError, ValueError, AttributeError, KeyError):
        return None


def has_memory(size: int) -> bool:
    """Returns whether so many bytes can be taken for long: less than a quarter of what is available."""
    available = available_bytes()
    return available is not None and size < available / 4


def aligned(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> "np.ndarray":
    """Makes an array, with arbitrary contents, that TensorFlow takes as a tensor without copying it."""
    import numpy as np  # here, because `zoo doctor` imports this module and needs no arrays

    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + TENSOR_ALIGNMENT, np.uint8)
    first = -room.ctypes.data % TENSOR_ALIGNMENT
    return room[first : first + size].view(dtype).reshape(shape)


def is_aligned(array: "np.ndarray") -> bool:
    """Returns whether TensorFlow takes an array as a tensor without copying it."""
    return array.flags.c_contiguous and array.ctypes.data % TENSOR_ALIGNMENT == 0


def _system_bytes() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _container_bytes() -> float:
    # /proc/meminfo shows the host: inside a container the limit of its cgroup (v2) is what kills.
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return math.inf if text == "max" else int(text)
