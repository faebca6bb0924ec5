"""Files that are whole or not there, and what they are known by."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


def write_atomic(path: Path, content: str | bytes, *, lasts: bool = True) -> None:
    """Writes a file so that a reader, and whoever comes after a crash, finds the old content or the new, never a part.

    Args:
        path: The file.
        content: What it is to hold.
        lasts: Whether it outlasts a power cut once this returns; else it may be empty after one, which the caller has
            to notice.

    Raises:
        OSError: The folder is read-only, the disk is full, ...
    """
    import tempfile  # here, because `zoo list` imports this module and need not wait for it

    data = content.encode() if isinstance(content, str) else content
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as fault:
        say_room(fault, path, needed=len(data))
        raise
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if lasts:
                os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        if lasts:
            sync(path.parent)  # without it a power cut may take the name back
    except BaseException as fault:
        with suppress(OSError):
            Path(temporary).unlink()
        if isinstance(fault, OSError):
            say_room(fault, path, needed=len(data))
        raise


def append(path: Path, content: str) -> None:
    """Adds to the end of a file, made where it is not there; after a crash a part of it may be there.

    Raises:
        OSError: The folder is read-only, the disk is full, ...
    """
    try:
        with path.open("ab") as file:
            file.write(content.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        say_room(fault, path, needed=len(content.encode()))
        raise


# What it takes to write after all, by the fault.
TO_WRITE_AFTER_ALL = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on a file's size (ulimit -f)",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make it writable"),
}


def advise(fault: BaseException, advice: str) -> None:
    """Notes on a fault what to do next."""
    remedy = TO_WRITE_AFTER_ALL.get(fault.errno or 0) if isinstance(fault, OSError) else None
    fault.add_note(f"{remedy} and {advice}" if remedy else advice)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def say_room(fault: OSError, path: Path, *, needed: int) -> None:
    """Names in a fault what could not be written, and where there was no room for it how much is missing.

    Args:
        fault: Of the system; a write to a full disk does not say where, and others name a temporary file.
        path: What was to be written, or the folder that it was to be in.
        needed: Its bytes.
    """
    is_new = fault.filename != str(path)
    fault.filename = str(path)
    if fault.errno in _FULL and is_new:
        reason = os.strerror(fault.errno)
        with suppress(OSError):
            places = (path.absolute(), *path.absolute().parents)
            free = shutil.disk_usage(next(place for place in places if place.is_dir())).free
            reason += f" ({needed:,} bytes needed, {free:,} free)"
        fault.strerror = reason


def make_folder(path: Path, *, parents: bool = False) -> None:
    """Makes a folder where there is none, so that it lasts through a power cut.

    Args:
        path: The folder.
        parents: Whether to make those above it too.

    Raises:
        OSError: It cannot be made, ...
    """
    new = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=parents, exist_ok=True)
    for place in new:
        sync(place.parent)


def sync(path: Path) -> None:
    """Makes what a file holds, or the renames in a folder, last through a power cut.

    Where the file system syncs no folders, as some of networks do not, it sees to renames by itself or not at all.
    """
    if os.name == "nt" and path.is_dir():  # Windows opens no folder, and writes renames through by itself
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as fault:
        if fault.errno == errno.EINVAL and path.is_dir():
            return
        fault.filename = str(path)
        raise
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(content: str | bytes) -> str:
    """Returns the SHA-256 of what a file holds or will hold, in hex."""
    import hashlib

    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def is_still_there(path: Path, file: IO[Any]) -> bool:
    """Returns whether an open file, such as a lock that was waited for, is the one that its path leads to.

    Who held a lock until now may have removed the file after we opened it; then others lock the next one.
    """
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
