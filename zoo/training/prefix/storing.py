"""Activations in the cache: an entry as it is written, taken up after an interruption, read and verified.

    activations/<key>/activations.npy   float[n, ...], in the prefix's compute dtype; of bfloat16 its bits
    activations/<key>/manifest.json     sealed: key, dtype, a checksum that each reader compares, SHA-256

Rows are written in order. The journal of an unfinished entry holds, every other second, how many are on disk and the
checksum of all of them, so that the next run goes on behind the last one that holds.
"""

import hashlib
import math
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from zoo.system.array_files import bytes_of, npy_header, reserve, write_at
from zoo.system.cache import ENTRY_MANIFEST, make_room
from zoo.system.files import append, sha256, sync, write_atomic
from zoo.system.journal import journal_line, journal_lines, read_journal
from zoo.system.partial_entries import JOURNAL, complete, discard
from zoo.system.regular_files import open_regular
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

KIND = "activations"
ARRAY_FILE = "activations.npy"
# What a kill may cost, beside the batch in hand.
NOTE_SECONDS = 2.0
_READ_AT_ONCE = 1 << 20

# The state of each augmentation layer's generator.
Seeds = Sequence[Sequence[int]]


def find_entry(folder: Path) -> np.ndarray | None:
    """Opens an entry; one that is damaged is removed, and computed again.

    All of it is read and compared with its checksum, which takes a core 0.3 s for 1 GB.
    """
    try:
        faults, document = _faults(folder, is_thorough=False)
    except OSError:
        return None
    if faults:
        discard(folder)
        return None
    with suppress(OSError):  # a cache that can only be read
        os.utime(folder)
        (folder / JOURNAL).unlink(missing_ok=True)  # killed just before
    array = np.load(folder / ARRAY_FILE, mmap_mode="r")
    return array if array.dtype.name == document["dtype"] else array.view(_dtype(document["dtype"]))


def verify_entry(folder: Path) -> list[str]:
    """Compares all of an entry with what its manifest says, the SHA-256 of its activations too.

    Args:
        folder: `activations/<key>` in the cache.

    Returns:
        What is wrong, a line that begins with the file each; nothing where all is as it was written.
    """
    try:
        return _faults(folder, is_thorough=True)[0]
    except OSError as fault:
        return [f"{fault.filename or folder}: {fault.strerror or fault}"]


def _faults(folder: Path, *, is_thorough: bool) -> tuple[list[str], dict[str, Any]]:
    """Looks for what is wrong with an entry.

    Raises:
        OSError: There is no such entry, or it cannot be read.
    """
    try:
        document = read_document(folder / ENTRY_MANIFEST).values
        expected, checksum = document["sha256"], document.get("crc32")
        dtype = _dtype(document["dtype"])
    except DamagedDocumentError as fault:
        return [f"{folder / ENTRY_MANIFEST}: {fault}"], {}
    except (KeyError, TypeError, AttributeError) as fault:
        return [f"{folder / ENTRY_MANIFEST}: does not say {fault}; expected the manifest of activations"], {}
    if document.get("key", folder.name) != folder.name:
        return [f"{folder / ENTRY_MANIFEST}: is of {document['key']}; expected {folder.name}"], document
    file = folder / ARRAY_FILE
    # An earlier zoo kept the SHA-256 only.
    if checksum is not None and _checksum(file) != checksum:
        return [f"{file}: its checksum is not the one in {ENTRY_MANIFEST}; it has changed or is damaged"], document
    if (is_thorough or checksum is None) and sha256(file) != expected:
        return [f"{file}: its SHA-256 is not the one in {ENTRY_MANIFEST}; it has changed or is damaged"], document
    stored = np.load(file, mmap_mode="r").dtype
    if stored != _stored(dtype):
        return [f"{folder / ENTRY_MANIFEST}: says {dtype}; expected {stored}, as {ARRAY_FILE} holds"], document
    return [], document


def _checksum(path: Path) -> int:
    checksum = 0
    with open_regular(path) as file:
        while part := file.read(_READ_AT_ONCE):
            checksum = zlib.crc32(part, checksum)
    return checksum


def _dtype(name: str) -> "np.dtype[Any]":
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else name)


def _stored(dtype: "np.dtype[Any]") -> "np.dtype[Any]":
    # NumPy has no bfloat16 of its own; its bits are stored.
    return dtype if dtype.kind == "f" else np.dtype(f"uint{8 * dtype.itemsize}")


class _Sums:
    """Checksum and SHA-256 of the bytes of a file, as they come."""

    def __init__(self) -> None:
        self.crc32 = 0
        self.sha256 = hashlib.sha256()

    def add(self, content: "bytes | memoryview[int]") -> None:
        self.crc32 = zlib.crc32(content, self.crc32)
        self.sha256.update(content)

    def copy(self) -> "_Sums":
        copied = _Sums()
        copied.crc32, copied.sha256 = self.crc32, self.sha256.copy()
        return copied


@dataclass(frozen=True)
class _Layout:
    """How an entry's rows lie in its file."""

    count: int
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"

    @property
    def header(self) -> bytes:
        return npy_header((self.count, *self.shape), _stored(self.dtype))

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def position(self, row: int) -> int:
        return len(self.header) + row * self.row_bytes


class UnfinishedEntry:
    """An entry while it is written; rows come in order."""

    def __init__(self, folder: Path, count: int) -> None:
        """Goes on behind the rows that an interruption left, as far as their checksums hold.

        Args:
            folder: Where it is written; held by this process.
            count: How many rows there are to be.
        """
        self._folder = folder
        self._file, self._journal = folder / ARRAY_FILE, folder / JOURNAL
        self._count = count
        self._layout: _Layout | None = None
        self._sums = _Sums()
        self._done = self._noted = 0
        self._noted_at = time.monotonic()
        self._seeds: Seeds = ()
        folder.mkdir(exist_ok=True)
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            self._take_up()
        self._keep_journal()

    @property
    def done(self) -> int:
        """How many rows are written."""
        return self._done

    @property
    def seeds(self) -> Seeds:
        """Those that the last row was written with."""
        return self._seeds

    def write(self, rows: np.ndarray, seeds: Seeds) -> None:
        """Writes the next rows, float[m, ...], and notes now and then how far it came.

        Args:
            rows: What the prefix gives.
            seeds: What the next run needs to draw the images of these rows again.

        Raises:
            OSError: The disk is full, ...
        """
        if self._layout is None:
            self._begin(_Layout(self._count, rows.shape[1:], rows.dtype))
        assert self._layout is not None
        content = bytes_of(rows)
        with self._file.open("r+b") as file:
            write_at(file.fileno(), content, self._layout.position(self._done))
        self._sums.add(content)
        self._done += len(rows)
        self._seeds = seeds
        if time.monotonic() - self._noted_at > NOTE_SECONDS:
            self.note()

    def note(self) -> None:
        """Puts on disk what is written, and then notes that it is there.

        Raises:
            OSError: The disk is full, ...
        """
        if self._done > self._noted:
            sync(self._file)
            append(self._journal, journal_line(self._as_noted()))
        self._noted, self._noted_at = self._done, time.monotonic()

    def finish(self, entry: Path) -> None:
        """Gives the entry, of which all rows are written, its name.

        Raises:
            OSError: The disk is full, ...
        """
        self.note()
        assert self._layout is not None  # there are rows
        document = {
            "schema": 1,
            "kind": "activations",
            "key": entry.name,
            "dtype": self._layout.dtype.name,
            "crc32": self._sums.crc32,
            "sha256": self._sums.sha256.hexdigest(),
        }
        write_atomic(self._folder / ENTRY_MANIFEST, sealed(document))
        complete(self._folder, entry)

    def _as_noted(self) -> dict[str, Any]:
        return {"rows": self._done, "crc32": self._sums.crc32, "seeds": self._seeds}

    def _begin(self, layout: _Layout) -> None:
        make_room(KIND, layout.position(layout.count), beside=self._folder)
        reserve(self._file, (layout.count, *layout.shape), _stored(layout.dtype))
        self._layout = layout
        self._sums.add(layout.header)
        self._keep_journal()

    def _keep_journal(self) -> None:
        """Writes the journal anew, and removes all else that an interruption left."""
        layout = self._layout
        lines = [] if layout is None else [{"shape": list(layout.shape), "dtype": layout.dtype.name}]
        write_atomic(self._journal, journal_lines([*lines, *([self._as_noted()] if self._done else [])]))
        for path in self._folder.iterdir():
            if path not in ((self._file, self._journal) if lines else (self._journal,)):
                path.unlink()

    def _take_up(self) -> None:
        first, *notes = read_journal(self._journal)
        layout = _Layout(self._count, tuple(map(int, first["shape"])), _dtype(first["dtype"]))
        with open_regular(self._file, follow_links=False) as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(layout.header)) != layout.header or size != layout.position(layout.count):
                return
            self._layout = layout
            self._sums.add(layout.header)
            for note in notes:
                if not self._holds(file, layout, note):
                    return

    def _holds(self, file: IO[bytes], layout: _Layout, note: Mapping[str, Any]) -> bool:
        """Reads the rows up to those of a note, and goes on behind them where they have its checksum."""
        sums = self._sums.copy()
        left = (note["rows"] - self._done) * layout.row_bytes
        while left > 0 and (part := file.read(min(left, _READ_AT_ONCE))):
            sums.add(part)
            left -= len(part)
        if left or note["rows"] > layout.count or sums.crc32 != note["crc32"]:
            return False
        self._sums = sums
        self._done = self._noted = note["rows"]
        self._seeds = note["seeds"]
        return True
