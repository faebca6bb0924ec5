"""A process beside each that trains with others: it says in one line what ended it, and removes what it left.

JAX ends a process whose peer is gone by an abort inside of compiled code, which no Python can catch, and writes some
twenty lines to file descriptor 2. So each of the processes runs as a child of one that does nothing but wait.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from zoo.backend.distribution.faults import HEARTBEAT_SECONDS
from zoo.backend.distribution.joining import Member, join_seconds
from zoo.system.interruption import SIGNALS

# How a child knows that it is one: where it leaves things, and the numbers of the pipes' ends that it has.
VARIABLE = "ZOO_SUPERVISED"
# What a process tells the one beside it: how to go on with the run.
ADVICE_FILE = "advice"
_KEPT = 100_000

# What JAX' coordination service says in its abort.
_NOBODY = re.compile(r"DEADLINE_EXCEEDED.*RegisterTask", re.DOTALL)
_SILENT = re.compile(r"unhealthy \(stopped sending heartbeats\)[^\n]*\n(\d+)")
_FATAL = "JAX distributed service detected fatal errors"


def scratch() -> Path | None:
    """Returns the folder that is removed when this process has ended; None where none waits beside it."""
    told = os.environ.get(VARIABLE)
    return Path(told.split(",")[0]) if told else None


def is_supervised() -> bool:
    """Whether another process waits for this one to end."""
    return VARIABLE in os.environ


def leave_advice(text: str) -> None:
    """Leaves what to say where this process is ended from outside."""
    folder = scratch()
    if folder is not None:
        (folder / ADVICE_FILE).write_text(text, encoding="utf-8")


def advice() -> str:
    """Returns what was left to say last; empty where nothing was."""
    folder = scratch()
    file = folder and folder / ADVICE_FILE
    return file.read_text(encoding="utf-8") if file is not None and file.is_file() else ""


def begin_as_child() -> None:
    """Keeps what compiled code writes out of sight, for the process that waits; ends where that one has.

    Python's own stdout and stderr stay what they are. Gloo writes to stdout, where documents go.
    """
    _, log, life = os.environ[VARIABLE].split(",")
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream: TextIO = getattr(sys, name)
        stream.flush()
        shown = os.fdopen(os.dup(descriptor), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
        setattr(sys, name, shown)
        os.dup2(int(log), descriptor)
    os.close(int(log))
    threading.Thread(target=_end_with_parent, args=(int(life),), daemon=True).start()


def leave_at_once(code: int) -> NoReturn:
    """Ends this process after a fault: at Python's own end JAX would wait for the other processes, for minutes."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _end_with_parent(life: int) -> None:
    while os.read(life, 1):
        pass
    os._exit(1)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a child has ended.

    Attributes:
        code: Its exit code; 1 where it was ended by a signal.
        said: What is to be said of that, where it could not say so itself; else empty.
    """

    code: int
    said: str = ""


def run_supervised(command: Sequence[str], member: Member) -> int:
    """Runs a command, and says what ended it where it could not say so itself.

    Args:
        command: Program and arguments of this same command.
        member: Which process it is.

    Returns:
        Its exit code; 1 where it was ended by a signal that nobody sent to this process.
    """
    with _handed_on() as child:
        ending = supervise(command, member, begun=child.append)
    if ending.said:
        print(f"zoo: {ending.said}", file=sys.stderr, flush=True)
    return ending.code


def supervise(
    command: Sequence[str],
    member: Member,
    *,
    begun: "Callable[[subprocess.Popen[bytes]], object]",
    variables: Mapping[str, str] = os.environ,
    **options: Any,
) -> Ending:
    """Runs a command as a child that ends where this process does.

    Args:
        command: Program and arguments.
        member: Which process it is.
        begun: Called with the child once it is there.
        variables: Its environment.
        options: Others of `subprocess.Popen`.
    """
    with tempfile.TemporaryDirectory(prefix="zoo-", ignore_cleanup_errors=True) as folder:
        log_read, log_write = os.pipe()
        life_read, life_write = os.pipe()
        environment = {**variables, VARIABLE: f"{folder},{log_write},{life_read}"}
        try:
            kept_open = (log_write, life_read)
            child: Any = subprocess.Popen(command, env=environment, pass_fds=kept_open, **options)
        finally:
            os.close(log_write)
            os.close(life_read)
        begun(child)
        log = _Log(log_read)
        code = child.wait()
        os.close(life_write)
        if code >= 0:
            return Ending(code=code)
        advice = Path(folder) / ADVICE_FILE
        told = advice.read_text(encoding="utf-8") if advice.is_file() else "begin it again"
        return Ending(code=1, said=f"{_said(-code, log.text(), member)}; {told}")


class _Log:
    """What a child writes to its file descriptor 2, the end of it."""

    def __init__(self, handle: int) -> None:
        self._kept = b""
        self._thread = threading.Thread(target=self._read, args=(handle,), daemon=True)
        self._thread.start()

    def _read(self, handle: int) -> None:
        with os.fdopen(handle, "rb", buffering=0) as pipe:
            while part := pipe.read(65536):
                self._kept = (self._kept + part)[-_KEPT:]

    def text(self) -> str:
        """Returns it, once the child has ended; what it has started may hold the pipe open for longer."""
        self._thread.join(1)
        return self._kept.decode(errors="replace")


def _said(number: int, log: str, member: Member) -> str:
    """Says what ended a child."""
    count = member.processes
    if _FATAL not in log:
        name = signal.Signals(number).name
        last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
        return f"{member} was ended by {name}{f' ({last.strip()[:200]})' if last else ''}"
    if _NOBODY.search(log):
        return f"{member}: not all of the {count} processes came within {join_seconds()} s"
    silent = _SILENT.search(log)
    gone = int(silent.group(1)) if silent else 0
    # Of process 0, where the service is, the connection breaks at once.
    return (
        f"process {gone} of {count} is gone (no sign of life within {HEARTBEAT_SECONDS} s)"
        if silent
        else (f"process 0 of {count} is gone")
    )


@contextlib.contextmanager
def _handed_on() -> Generator[list["subprocess.Popen[bytes]"]]:
    """Hands signals on to a child; a terminal has sent Ctrl-C to it too, which is one request within half a second."""
    child: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, _frame: FrameType | None) -> None:
        for one in child:
            with contextlib.suppress(ProcessLookupError):
                one.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in SIGNALS}
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
