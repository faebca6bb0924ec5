"""Zip archives that others made: `.npz` and `.keras`. Their directory is bounded, members are unpacked in pieces.

Of a member only what NumPy and Keras write is read: stored or deflated, not encrypted. Python's `zipfile` would make an
entry of a million members first, and a member packed by LZMA may ask for gigabytes.
"""

import os
import struct
import zipfile
from collections.abc import Iterator
from typing import IO

# An entry takes 46 bytes and its name: some ten thousand members.
MAX_DIRECTORY_BYTES = 1 << 20
_CHUNK = 1 << 18
# APPNOTE.TXT, 4.3.14 and 4.3.16: the end of the directory says how large it is; a comment of 64 kB may stand behind it.
_ENDS = ((b"PK\5\6", "<I", 12), (b"PK\6\6", "<Q", 40))
_TAIL_BYTES = 22 + 65_535 + 20 + 56
_ENCRYPTED = 1
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ZipError(ValueError):
    """An archive or a member of it cannot be read; the message is the reason."""


class NoZipError(ZipError):
    """What is not an archive at all."""


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Reads the directory of an archive.

    Raises:
        ZipError: It is not an archive, is damaged, or has far too many members.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = file.read(_TAIL_BYTES)
    for signature, kind, place in _ENDS:
        found = tail.find(signature)
        while found >= 0:
            said = tail[found + place : found + place + struct.calcsize(kind)]
            # Wherever the marks stand: which of several is believed is zipfile's affair.
            if len(said) == struct.calcsize(kind) and MAX_DIRECTORY_BYTES < struct.unpack(kind, said)[0] <= size:
                raise ZipError(f"has a directory of more than {MAX_DIRECTORY_BYTES:,} bytes")
            found = tail.find(signature, found + 1)
    if _ENDS[0][0] not in tail:
        raise NoZipError("is not a zip archive, or cut off")
    file.seek(0)
    try:
        return zipfile.ZipFile(file)
    except Exception as fault:  # of a directory that is damaged zipfile raises what it comes upon
        raise NoZipError(f"is not a zip archive, or damaged: {fault}") from fault


def unpacked(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """Unpacks a member piece by piece, and compares its checksum at the end.

    Raises:
        ZipError: It is not there, is packed in another way, or is damaged.
    """
    member = archive.NameToInfo.get(name)
    if member is None:
        raise ZipError(f"holds no '{name}'")
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _PACKINGS:
        what = "is encrypted" if member.flag_bits & _ENCRYPTED else f"is packed by method {member.compress_type}"
        raise ZipError(f"its member '{name}' {what}; expected one that is stored or deflated")
    left = member.file_size
    try:
        with archive.open(member) as packed:
            while piece := packed.read(_CHUNK):
                left -= len(piece)
                yield piece
    except Exception as fault:  # BadZipFile, zlib.error, EOFError, RuntimeError; of a wrong place ValueError
        raise ZipError(f"its member '{name}' is damaged: {fault}") from fault
    if left:
        raise ZipError(f"its member '{name}' is cut off")
