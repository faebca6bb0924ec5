"""Standard streams as they are found: closed, missing, cut off, or unable to show a letter."""

import codecs
import contextlib
import os
import sys
from typing import Any, TextIO

DESCRIPTORS = {"stdin": 0, "stdout": 1, "stderr": 2}
# What a message calls it.
STDOUT = "standard output"


def prepare_streams() -> None:
    """Makes the standard streams usable, whatever state the caller left them in.

    A stream that is closed or missing reads and writes nothing, as `/dev/null` does, and its file descriptor is taken,
    so that no file of ours is opened in its place. What a stream's encoding cannot show is escaped.
    """
    for name, descriptor in DESCRIPTORS.items():
        _open_descriptor(descriptor)
        if _is_unusable(getattr(sys, name)):
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for the whole process
    for stream in (sys.stdout, sys.stderr):
        _escape_what_cannot_be_shown(stream)


def _open_descriptor(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


def _is_unusable(stream: TextIO | None) -> bool:
    return stream is None or bool(getattr(stream, "closed", False))


def _escape_what_cannot_be_shown(stream: Any) -> None:
    # A stream of an application's own, such as a notebook's, may have no such setting.
    errors = getattr(stream, "errors", None)
    # What Python sets in the C locale. It gives file names back byte by byte, and fails at all else that is not ASCII.
    is_utf8 = errors == "surrogateescape" and codecs.lookup(stream.encoding).name == "utf-8"
    if errors in (None, "backslashreplace") or is_utf8:
        return
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def finish_streams() -> None:
    """Writes what is still held back; a reader that has gone away, as `head` does, is not a fault.

    Raises:
        OSError: Stdout cannot be written, such as to a full disk.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
    except OSError as fault:
        fault.filename = fault.filename or STDOUT
        raise
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()


def abandon_stdout() -> None:
    """Lets the rest of stdout go nowhere, so that Python's last flush finds no broken pipe."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
