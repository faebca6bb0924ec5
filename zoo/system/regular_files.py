"""Opening what somebody else may have put there: a regular file of a size that is expected, or a refusal at once."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a FIFO would wait for a writer for ever
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


class NotRegularError(OSError):
    """What a path leads to is a folder, a device, a pipe or a socket, or a link where none is followed."""


class TooLargeError(OSError):
    """A file is larger than anything that is expected in its place."""


def open_regular(path: Path, *, follow_links: bool = True, limit: int | None = None) -> BufferedReader:
    """Opens a file to read; what is opened is what was looked at.

    Args:
        path: Where it is.
        follow_links: Whether the path itself may be a symbolic link; folders above it always may.
        limit: Most bytes that it may hold; None for any number.

    Raises:
        NotRegularError: It is not a regular file.
        TooLargeError: It holds more bytes.
        OSError: It is not there, or cannot be read.
    """
    return open(open_number(path, follow_links=follow_links, limit=limit), "rb")


def open_number(path: Path, *, follow_links: bool = True, limit: int | None = None) -> int:
    """Opens a file as `open_regular` does, without a file object, whose buffers take longer than a small file.

    Returns:
        The number that the system gave it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _NONBLOCK | _BINARY | (0 if follow_links else _NOFOLLOW))
    except OSError as fault:
        if fault.errno in (errno.ENXIO, errno.ELOOP):  # a socket; a link that is not followed, or a circle of them
            link = "one of links in a circle" if follow_links else "a symbolic link"
            what = link if fault.errno == errno.ELOOP else "a socket"
            raise _not_regular(path, what) from None
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(path, kind_of(status.st_mode))
        if limit is not None and status.st_size > limit:
            found = f"holds {status.st_size:,} bytes; expected at most {limit:,}"
            raise TooLargeError(errno.EFBIG, found, str(path))
    except BaseException:
        os.close(handle)
        raise
    return handle


def open_below(folder: Path, name: str, *, limit: int | None = None) -> BufferedReader:
    """Opens a file of a folder that came from elsewhere; the folder itself may be a link, and nothing below it.

    Args:
        folder: Where it is.
        name: Its path below the folder, with slashes.
        limit: As for `open_regular`.

    Raises:
        NotRegularError: It is not a regular file, or a folder on the way to it is a link.
        TooLargeError: It holds more bytes.
        OSError: It is not there, or cannot be read.
    """
    path = folder / name
    for above in path.parents:
        if above == folder:
            break
        if above.is_symlink():
            raise NotRegularError(errno.EINVAL, "is a symbolic link; expected a folder", str(above))
    return open_regular(path, follow_links=False, limit=limit)


def read_regular(path: Path, *, limit: int, follow_links: bool = True) -> bytes:
    """Reads a small file whole; raises as `open_regular` does.

    A file that grows while it is read is cut at the limit and refused.
    """
    with open_regular(path, follow_links=follow_links, limit=limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLargeError(errno.EFBIG, f"holds more than {limit:,} bytes", str(path))
    return content


def _not_regular(path: Path, what: str) -> NotRegularError:
    return NotRegularError(errno.EINVAL, f"is {what}; expected a regular file", str(path))


def kind_of(mode: int) -> str:
    """Names what a path leads to that is not a regular file, from the mode that `stat` gives."""
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for is_kind, name in kinds if is_kind(mode)), "a special file")
