"""A lock on an open file that goes with the process, however it ends, on each operating system."""

import contextlib
import errno
import importlib
from typing import IO, Any


def lock(file: IO[Any], *, wait: bool = True) -> bool:
    """Locks an open file, until it is closed.

    Where the system has neither of the two ways (a browser's Python has one process), nothing is locked.

    Args:
        file: Open for writing.
        wait: Whether to wait for another process that holds it.

    Returns:
        Whether it is held now; False only without `wait`.
    """
    unix, windows = _module("fcntl"), _module("msvcrt")
    if unix is not None:
        try:
            unix.flock(file, unix.LOCK_EX | (0 if wait else unix.LOCK_NB))
        except BlockingIOError:
            return False
    elif windows is not None:
        return _lock_first_byte(windows, file, wait=wait)
    return True


def _module(name: str) -> Any | None:
    with contextlib.suppress(ImportError):
        return importlib.import_module(name)
    return None


def _lock_first_byte(windows: Any, file: IO[Any], *, wait: bool) -> bool:
    """Locks as Windows does: a range of bytes, which may lie past the end."""
    file.seek(0)
    while True:
        try:
            # LK_LOCK itself gives up after ten seconds.
            windows.locking(file.fileno(), windows.LK_LOCK if wait else windows.LK_NBLCK, 1)
        except OSError as fault:
            if wait and fault.errno == errno.EDEADLK:
                continue
            if not wait and fault.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True
