"""Archives of NumPy arrays (`.npz`) that others made: numbers and texts, within limits that are compared beforehand.

`numpy.load` believes a header. Here what a member says of its shape, and of the length of the header itself, is
compared with the bytes that it unpacks to before memory is taken.
"""

import io
import itertools
import math
import os
import warnings
import zipfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zoo.foreign.zip_archives import ZipError, open_zip, unpacked
from zoo.system.regular_files import open_regular

# An archive may unpack to so many times its own size, or to so many bytes: drawings on one ground pack well.
MAX_BYTES_PER_BYTE, ALWAYS_BYTES = 50, 128 << 20
_SUFFIX = ".npy"
_MAGIC = b"\x93NUMPY"
# NumPy's own limit for the header of a file that is not trusted.
_MAX_HEADER_BYTES = 10_000
_READERS = {1: (2, np.lib.format.read_array_header_1_0), 2: (4, np.lib.format.read_array_header_2_0)}


class NpzArchive(Mapping[str, np.ndarray]):
    """The arrays of an open archive by name; each is read when it is asked for."""

    def __init__(self, archive: zipfile.ZipFile, limit: int) -> None:
        self._archive = archive
        self._members = {name.removesuffix(_SUFFIX): name for name in archive.namelist()}
        self._left = self._limit = limit

    @property
    def total_bytes(self) -> int:
        """How many bytes all members unpack to, as the directory says."""
        return sum(member.file_size for member in self._archive.infolist())

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, key: str) -> np.ndarray:
        """Reads an array.

        Raises:
            KeyError: There is none of the name.
            ZipError: It is damaged, not an array of numbers or texts, or takes more memory than the archive may.
        """
        name = self._members[key]
        pieces = unpacked(self._archive, name)
        start = b""
        for piece in pieces:
            start += piece
            if len(start) > _MAX_HEADER_BYTES + 12:
                break
        shape, is_fortran, dtype, begin = _header(name, start)
        size = math.prod(shape) * dtype.itemsize
        held = self._archive.NameToInfo[name].file_size - begin
        if size != held:
            raise ZipError(f"its member '{name}' says {size:,} bytes and holds {held:,}")
        self._left -= size
        if self._left < 0:
            raise ZipError(
                f"unpacks to more than {self._limit:,} bytes; numpy.savez, without _compressed, saves it so that it may"
            )
        array = np.empty(math.prod(shape), dtype)
        target = array.view(np.uint8) if size else np.empty(0, np.uint8)
        place = 0
        for piece in itertools.chain([start[begin:]], pieces):
            target[place : place + len(piece)] = np.frombuffer(piece, np.uint8)
            place += len(piece)
        return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)


def _header(name: str, start: bytes) -> tuple[tuple[int, ...], bool, "np.dtype[Any]", int]:
    """Reads what an array's header says (NumPy's format, NEP 1), and where its numbers begin."""
    if not start.startswith(_MAGIC) or start[6:7] not in (b"\1", b"\2"):
        raise ZipError(f"its member '{name}' is not an array as numpy.save writes one")
    width, read = _READERS[start[6]]
    length = int.from_bytes(start[8 : 8 + width], "little")
    begin = 8 + width + length
    if length > _MAX_HEADER_BYTES or begin > len(start):
        raise ZipError(f"its member '{name}' has a header of {length:,} bytes; expected at most {_MAX_HEADER_BYTES:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers of Python 2
            shape, is_fortran, dtype = read(io.BytesIO(start[8:begin]), max_header_size=_MAX_HEADER_BYTES)
    except Exception as fault:  # it is read as an expression of Python: tokenize, ast and NumPy raise what they will
        raise ZipError(f"its member '{name}' has a damaged header") from fault
    if dtype.hasobject:
        raise ZipError(f"its member '{name}' holds Python objects, which are not read; save numbers or texts")
    # NumPy takes no side beyond these, also where another is 0.
    sides = [max(side, 1) for side in shape if type(side) is int and side >= 0]
    if len(sides) < len(shape) or math.prod(sides) * max(dtype.itemsize, 1) > np.iinfo(np.intp).max:
        raise ZipError(f"its member '{name}' has a damaged header")
    return shape, is_fortran, dtype, begin


@contextmanager
def open_npz(path: Path) -> Generator[NpzArchive]:
    """Opens an archive.

    Raises:
        ZipError: It is not an archive.
        NotRegularError: It is not a regular file.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        limit = max(MAX_BYTES_PER_BYTE * os.fstat(file.fileno()).st_size, ALWAYS_BYTES)
        with open_zip(file) as archive:
            yield NpzArchive(archive, limit)
