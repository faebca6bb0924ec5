"""Two ways to start the command: a process of its own, and a copy of one that has imported everything."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.tiny import HERE, environment


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line, and where it runs.

    Attributes:
        arguments: Those of `zoo`.
        folder: The current one.
        output: The file that stdout and stderr are added to.
        environment: Variables beside those of this process.
        report: The file that says where it is, or None; only a copy of a process can report.
    """

    arguments: Sequence[str]
    folder: Path
    output: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    report: Path | None = None


class Started(Protocol):
    """A command that runs."""

    began: float

    def kill(self, number: signal.Signals) -> None: ...

    def wait(self, seconds: float) -> int | None:
        """Returns the exit code, that of a signal negative; None where the command still runs after so long."""
        ...


class Starter(Protocol):
    """A way to start commands, one after another."""

    def start(self, command: Command) -> Started: ...

    def close(self) -> None: ...


class FreshProcess:
    """Starts the command as a shell does."""

    def __init__(
        self, *, backend: str = "tensorflow", through: Sequence[str] = (), options: Sequence[str] = ()
    ) -> None:
        """Chooses Keras' backend, a program that runs the command, such as strace, and options of Python."""
        self._backend = backend
        self._through = through
        self._options = options

    def start(self, command: Command) -> Started:
        with command.output.open("ab") as output:
            process = subprocess.Popen(
                [*self._through, sys.executable, *self._options, "-m", "tests.survival.command", *command.arguments],
                cwd=command.folder,
                env=environment(KERAS_BACKEND=self._backend, **command.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        return _Process(process)

    def close(self) -> None:
        """There is nothing to close."""


class _Process:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.began = time.monotonic()
        self._process = process

    def kill(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Zygote:
    """Starts the command by copying a process; see `tests.survival.zygote`."""

    def __init__(self, *, backend: str = "tensorflow", nice: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.survival.zygote"],
            cwd=HERE,
            env=environment(KERAS_BACKEND=backend),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.nice(nice) and None,
        )
        assert self._read()["ready"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline() or '{"code": null}')

    def start(self, command: Command) -> Started:
        assert self._process.stdin is not None
        request = {
            "arguments": list(command.arguments),
            "folder": str(command.folder),
            "output": str(command.output),
            "environment": dict(command.environment),
            "report": str(command.report) if command.report else None,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return _Copy(self._read()["process"], self._read)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class _Copy:
    def __init__(self, process: int, read: Any) -> None:
        self.began = time.monotonic()
        self._process = process
        self._code: int | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(read,), daemon=True).start()

    def _watch(self, read: Any) -> None:
        self._code = read()["code"]
        self._ended.set()

    def kill(self, number: signal.Signals) -> None:
        os.kill(self._process, number)  # it may have ended: its number stays its own until the next start

    def wait(self, seconds: float) -> int | None:
        return self._code if self._ended.wait(seconds) else None
