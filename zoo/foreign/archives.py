"""Archives of SavedModels, as others made them: unpacked whole and within limits, or refused by name.

A `.tar.gz` is unpacked to a file first, so that its checksums are compared before anything in it is believed. A `.tar`
has no checksum of what its members hold.
"""

import io
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, cast

from zoo.errors import WeightsError
from zoo.foreign.gzip_stream import GzipError, unpacked
from zoo.system.regular_files import NotRegularError, open_regular

SUFFIXES = (".tar.gz", ".tgz", ".tar")
MAX_BYTES = 8 << 30
MAX_FILES = 10_000
# Weights hardly become smaller; a graph, as a small module mostly is, may tenfold.
MAX_BYTES_PER_BYTE = 20
# Any archive may unpack to as much.
ALWAYS_BYTES = 64 << 20
# What the headers of an archive may make a reader take, at once and in all.
MAX_HEADER_BYTES, MAX_HEADERS_BYTES = 1 << 20, 1 << 24
# Names that any file system takes.
_MAX_NAME_BYTES, _MAX_PATH_BYTES, _MAX_DEPTH = 255, 900, 32
_CHUNK = 1 << 20


def unpack(archive: Path, folder: Path) -> None:
    """Writes an archive's files into a new folder; every member is checked before a byte of it is written.

    Raises:
        WeightsError: It is not an archive, is damaged, larger than an archive of its size may be, or holds a member
            that is not a plain file or leads out of it.
    """
    if not archive.name.endswith(SUFFIXES):
        raise WeightsError(f"{archive}: is neither a folder nor a {' or '.join(SUFFIXES)} archive of a SavedModel")
    import tempfile  # here, because `zoo list` imports this module and need not wait for it

    try:
        with open_regular(archive) as file, tempfile.TemporaryFile(dir=folder.parent) as plain:
            limit = limit_of(os.fstat(file.fileno()).st_size)
            source: IO[bytes] = file
            if archive.suffix != ".tar":
                for data in unpacked(file, limit=limit):
                    plain.write(data)
                plain.seek(0)
                source = plain
            with tarfile.open(fileobj=cast("IO[bytes]", _Headers(source)), mode="r:") as tar:
                _write_members(tar, source, folder, limit, str(archive))
    except NotRegularError as fault:
        raise WeightsError(f"{archive}: {fault.strerror}") from fault
    except (tarfile.TarError, EOFError, GzipError, ValueError, OverflowError, RecursionError) as fault:
        raise WeightsError(f"{archive}: is not a whole archive ({fault}); fetch it again") from fault
    except OSError as fault:  # without the path, which is one of the cache
        raise WeightsError(f"{archive}: cannot be unpacked into the cache ({fault.strerror or fault})") from fault


def limit_of(size: int) -> int:
    """Returns to how many bytes an archive of `size` bytes may unpack."""
    return min(max(MAX_BYTES_PER_BYTE * size, ALWAYS_BYTES), MAX_BYTES)


def check_limits(size: int, count: int, origin: str, *, limit: int = MAX_BYTES) -> None:
    """Refuses more bytes or files than a module has.

    Raises:
        WeightsError: There are more.
    """
    if size > limit or count > MAX_FILES:
        raise WeightsError(f"{origin}: holds more than {limit:,} bytes or {MAX_FILES:,} files; expected a module")


class _Headers(io.RawIOBase):
    """What a reader of headers may read of an archive: a header's length is the archive's own claim."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_HEADERS_BYTES

    def read(self, size: int = -1) -> bytes:
        self._left -= max(size, 0)
        if not 0 <= size <= MAX_HEADER_BYTES or self._left < 0:
            raise ValueError(f"its headers hold more than {MAX_HEADER_BYTES:,} bytes at once")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _write_members(tar: tarfile.TarFile, source: IO[bytes], folder: Path, limit: int, origin: str) -> None:
    folder.mkdir()
    size = count = 0
    for member in tar:
        path = _path_of(member, origin)
        if member.size < 0:
            raise ValueError("a member has a negative size")
        size, count = size + member.size, count + 1
        check_limits(size, count, origin, limit=limit)
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            raise WeightsError(f"{origin}: member '{member.name}' is a link or not a file; nothing was unpacked")
        _write_member(source, member, folder / path, origin)
    _check_end(source, tar.offset)


def _path_of(member: tarfile.TarInfo, origin: str) -> PurePosixPath:
    path = PurePosixPath(member.name)
    shown = member.name[:100]
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name or "\0" in member.name:
        raise WeightsError(f"{origin}: member '{shown}' leads out of the archive; nothing was unpacked")
    sizes = [len(os.fsencode(part)) for part in path.parts]
    if max(sizes, default=0) > _MAX_NAME_BYTES or sum(sizes) > _MAX_PATH_BYTES or len(sizes) > _MAX_DEPTH:
        raise WeightsError(f"{origin}: member '{shown}...' has a name that is too long; nothing was unpacked")
    return path


def _write_member(source: IO[bytes], member: tarfile.TarInfo, target: Path, origin: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise WeightsError(f"{origin}: member '{member.name}' is there twice; nothing was unpacked") from None
    with file:
        source.seek(member.offset_data)
        left = member.size
        while left:
            data = source.read(min(left, _CHUNK))
            if not data:
                raise EOFError("it is cut off")
            file.write(data)
            left -= len(data)


def _check_end(source: IO[bytes], end: int) -> None:
    """Refuses what is behind the last member but zeros: a damaged header would else end an archive before its time."""
    source.seek(end)
    if source.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError("it has no end, or is damaged behind its last member")
    while data := source.read(_CHUNK):
        if data.count(0) != len(data):
            raise ValueError("it goes on behind its end")
