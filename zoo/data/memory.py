"""Where packed pixels live: in memory while they are few, else in a file that no name leads to."""

import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from zoo.cache import cache_folder
from zoo.errors import DataError

# Where the memory of a tensor begins, in bytes (EIGEN_MAX_ALIGN_BYTES).
TENSOR_ALIGNMENT = 64


def available_bytes() -> int | None:
    """Returns the memory that can be taken without swapping, or `None` where the system does not say."""
    try:
        return int(min(_system_bytes(), _container_bytes()))
    except (OSError, ValueError, AttributeError, KeyError):
        return None


def has_memory(size: int) -> bool:
    """Says whether so many bytes can be taken for long: less than a quarter of what is available."""
    available = available_bytes()
    return available is not None and size < available / 4


def aligned(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> np.ndarray:
    """Makes an array, with arbitrary contents, that TensorFlow takes as a tensor without copying it."""
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + TENSOR_ALIGNMENT, np.uint8)
    first = -room.ctypes.data % TENSOR_ALIGNMENT
    return room[first : first + size].view(dtype).reshape(shape)


def is_aligned(array: np.ndarray) -> bool:
    """Says whether TensorFlow takes an array as a tensor without copying it."""
    return array.flags.c_contiguous and array.ctypes.data % TENSOR_ALIGNMENT == 0


def allocate_images(shape: tuple[int, ...]) -> np.ndarray:
    """Makes room for images.

    A plain array when it takes less than a quarter of the available memory. Otherwise a memory-mapped file
    in the cache folder (`$XDG_CACHE_HOME/zoo`, by default `~/.cache/zoo`) that is unlinked from the
    start: its space is free again when the array is, also after a crash.

    Args:
        shape: `(n, height, width, channels)`.

    Returns:
        uint8 of that shape, with arbitrary contents.

    Raises:
        DataError: The cache folder cannot be written, or has too little space left.
    """
    size = math.prod(shape)
    if has_memory(size):
        return aligned(shape, np.dtype(np.uint8))
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A sparse file that outgrows the disk kills the process (SIGBUS) instead of raising.
        if size > (free := shutil.disk_usage(folder).free):
            raise DataError(
                f"{folder}: {free / 1e9:.1f} GB are free; the packed images need {size / 1e9:.1f} GB. "
                "Free some space, set XDG_CACHE_HOME to a larger disk, or lower data.image_size."
            )
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.asarray(np.memmap(file, np.uint8, mode="w+", shape=shape))
    except OSError as fault:
        raise DataError(
            f"{folder}: the packed images cannot be written there ({fault.strerror}). "
            "Set XDG_CACHE_HOME to a folder that can be written."
        ) from fault


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
