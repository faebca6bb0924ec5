"""The lock on a run folder, so that two processes never write the same run.

`.claim` holds one line: who works here, and since when. The lock on it goes with the process, however that ends, so
what a dead process left is known by its lock, which is free. Where a file system has no locks, the line has to do.
"""

import errno
import os
import platform
import shlex
import stat
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from zoo.errors import RunError
from zoo.runs.folder import SCHEMA, read_only
from zoo.system.files import is_still_there
from zoo.system.locks import lock
from zoo.system.sealing import DamagedDocumentError, parse_document, sealed

FILE = ".claim"

_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_LIMIT = 10_000
_LONGEST_COMMAND = 1_000
# What says that locks are not supported: NFS without its lock service, and file systems in user space.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who claims a run folder.

    Attributes:
        pid: Its process number.
        host: The machine's name.
        boot: What tells this start of the machine from others; empty where the system does not say.
        since: UTC, to the second.
        command: What was typed, cut.
    """

    pid: int
    host: str
    boot: str
    since: str
    command: str

    @classmethod
    def this(cls) -> "Holder":
        """Describes this process."""
        return cls(
            pid=os.getpid(),
            host=platform.node() or "this machine",
            boot=_boot(),
            since=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            command=shlex.join(sys.argv)[:_LONGEST_COMMAND],
        )

    @classmethod
    def read(cls, content: bytes) -> "Holder | None":
        """Reads the line of a claim; None where there is none, as an earlier zoo left it, or it is damaged."""
        try:
            values = parse_document(content).values
            holder = cls(**{field.name: values[field.name] for field in fields(cls)})
        except (DamagedDocumentError, KeyError):
            return None
        texts = (holder.host, holder.boot, holder.since, holder.command)
        is_whole = isinstance(holder.pid, int) and all(isinstance(text, str) for text in texts)  # pyright: ignore[reportUnnecessaryIsInstance] -- a file may hold anything
        return holder if is_whole else None

    @property
    def may_live(self) -> bool:
        """Whether it may be at work, as far as its line tells."""
        here = Holder.this()
        if self.host != here.host:
            return True
        return (not self.boot or self.boot == here.boot) and _is_alive(self.pid)

    def __str__(self) -> str:
        """Returns process and machine."""
        return f"process {self.pid} on {self.host[:100]}"


@contextmanager
def claim(path: Path) -> Generator[tuple[str, ...]]:
    """Holds a run folder for as long as the process lives; the lock goes with the process, however it ends.

    Yields:
        What the user should know: that a dead process left its claim, or that the file system has no locks.

    Raises:
        RunError: Another process holds it, this user may not write in it, or `.claim` is not a file of its own.
    """
    file_path = path / FILE
    with _opened(path, file_path, os.O_CREAT) as file:
        lacking = _locked(path, file)
        if not is_still_there(file_path, file):
            raise _held(path, None)
        left = Holder.read(_content(file))
        try:
            _write(file, file_path)
            ended = left and f"takes over from {left}, which worked on this run since {left.since[:20]} and has ended"
            yield tuple(f"{path}: {note}" for note in (ended, lacking) if note)
        finally:
            # Nothing of this may hide what ended the work. Windows removes no open file; an empty one may stay.
            with suppress(OSError):
                if is_still_there(file_path, file):
                    file_path.unlink()


def refuse_claimed(path: Path) -> None:
    """Checks that no process works on a run folder; nothing is made or written.

    Raises:
        RunError: One does, or `.claim` is not a file of its own.
    """
    try:
        with _opened(path, path / FILE, 0) as file:
            _locked(path, file)
    except (FileNotFoundError, NotADirectoryError):
        return


def is_claimed(path: Path) -> bool:
    """Returns whether a process works on a run folder, as far as can be known."""
    try:
        refuse_claimed(path)
    except (RunError, OSError):
        return True
    return False


def _opened(path: Path, file_path: Path, flags: int) -> IO[bytes]:
    """Opens the file that is locked; a run folder may come from anywhere, with anything in its place.

    Raises:
        RunError: It is not a regular file, or has a second name elsewhere, or this user may not write it.
    """
    try:
        with suppress(FileNotFoundError):
            _refuse_special(file_path, file_path.lstat())  # opening a device may do something already
        handle = os.open(file_path, _FLAGS | flags, 0o644)
    except OSError as fault:
        if fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise read_only(path, fault.strerror) from fault
        raise
    try:
        _refuse_special(file_path, os.fstat(handle))
        return os.fdopen(handle, "r+b", buffering=0)
    except BaseException:
        os.close(handle)
        raise


def _refuse_special(file_path: Path, status: os.stat_result) -> None:
    is_own = stat.S_ISREG(status.st_mode) and status.st_nlink <= 1
    if not is_own:
        raise RunError(
            f"{file_path}: is a link, a folder or a special file; expected a file of its own that only zoo writes; "
            "remove it"
        )


def _locked(path: Path, file: IO[bytes]) -> str:
    """Locks the file.

    Returns:
        What is lacking where the file system has no locks; else nothing.

    Raises:
        RunError: Another process holds it.
    """
    try:
        if not lock(file, wait=False):
            raise _held(path, _told(file))
    except OSError as fault:
        if fault.errno not in _NO_LOCKS:
            raise
        holder = Holder.read(_content(file))
        if holder is not None and holder.may_live:
            raise _held(path, holder, f"where it has ended, remove {path / FILE}; ") from None
        return (
            f"warning: its file system has no locks ({fault.strerror}); a second run at the same moment is not noticed"
        )
    return ""


def _held(path: Path, holder: Holder | None, otherwise: str = "") -> RunError:
    who = "another process works on this run"
    if holder is not None:
        who = f"{holder} has worked on this run since {holder.since[:20]}"
    return RunError(f"{path}: {who}; {otherwise}wait for it, or choose another --run")


def _told(file: IO[bytes]) -> Holder | None:
    """Reads who holds the lock; the holder may be about to write it."""
    for _ in range(5):
        if (holder := Holder.read(_content(file))) is not None:
            return holder
        time.sleep(0.005)
    return None


# The first byte is what Windows locks, and nobody else may read it then; it is a space.
def _content(file: IO[bytes]) -> bytes:
    file.seek(1)
    return file.read(_LIMIT)


def _write(file: IO[bytes], file_path: Path) -> None:
    line = sealed({"schema": SCHEMA, "kind": "claim", **asdict(Holder.this())}, indent=None)
    try:
        file.truncate(0)
        file.seek(0)
        file.write(b" " + line.encode())
    except OSError as fault:
        fault.filename = str(file_path)
        raise


def _boot() -> str:
    """Returns what tells this start of the machine from others: Linux has an id, macOS the time of the start."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    if sys.platform == "darwin":
        import subprocess  # here, because few systems need it

        with suppress(OSError, subprocess.SubprocessError):
            asked = subprocess.run(
                ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"],
                capture_output=True,
                text=True,
                timeout=2,
                check=False,
            )
            return asked.stdout.strip()
    return ""


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":  # there os.kill ends the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
