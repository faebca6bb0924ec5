"""Files of NumPy's format (.npy, NEP 1) that are written a part at a time, at its place."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np


def npy_header(shape: tuple[int, ...], dtype: "np.dtype[Any]") -> bytes:
    """Returns what a .npy file of a shape and dtype begins with."""
    import io

    header = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)  # pyright: ignore[reportArgumentType] -- a dict it is
    return header.getvalue()


def reserve(path: Path, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> None:
    """Makes a file of its full size, so that a disk too small is known at once.

    Raises:
        OSError: The disk is full, ...; there is no file then.
    """
    header = npy_header(shape, dtype)
    try:
        with path.open("wb") as file:
            file.write(header)
            file.flush()
            size = len(header) + math.prod(shape) * dtype.itemsize
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    except OSError:
        path.unlink(missing_ok=True)  # of a full disk it may hold the rest
        raise


def write_at(file: int, content: "memoryview[int]", position: int) -> None:
    """Writes bytes into an open file; not through a mapping, which a full disk would end the process for."""
    written = 0
    while written < len(content):
        written += os.pwrite(file, content[written:], position + written)


def bytes_of(array: np.ndarray) -> "memoryview[int]":
    """Returns an array's bytes in order, also of a dtype that has no buffer of its own, such as bfloat16."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
