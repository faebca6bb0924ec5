"""What a whole command takes: seconds, CPU seconds and memory, those of its children included."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Between two looks at the memory: short beside a run, and long beside a look.
PAUSE_SECONDS = 0.5
PROCESSES = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: From its start to its end.
        cpu_seconds: Of all its processes, on all cores.
        peak_bytes: The most memory that its processes held at once, what they share counted once; where the system
            does not tell, the most that one of them held.
        code: Its exit code.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    code: int


def run(command: Sequence[str], *, log: Path, variables: Mapping[str, str]) -> Cost:
    """Runs a command to its end; what it prints goes to a file."""
    with log.open("w", encoding="utf-8") as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            start_new_session=True,
        )
        memory = _Memory(process.pid)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            peak = memory.stop()
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    # For commands that end before the first look, and other systems. Linux counts in KiB, and before the command begins
    # the process holds what ours does.
    largest = usage.ru_maxrss * (1024 if PROCESSES.is_dir() else 1)
    return Cost(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=peak or largest,
        code=process.returncode,
    )


class _Memory:
    """Looks from time to time at what the processes of a session hold."""

    def __init__(self, session: int) -> None:
        self._session = session
        self._peak = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def stop(self) -> int:
        """Stops; returns the most that was seen."""
        self._stopped.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._stopped.wait(PAUSE_SECONDS):
            self._peak = max(self._peak, sum(map(held_by, processes_of(self._session))))


def processes_of(session: int) -> list[int]:
    """Returns the processes of a session; none where the system does not tell."""
    found: list[int] = []
    for stat in PROCESSES.glob("[0-9]*/stat"):
        try:
            # After the name, which may hold anything: state, parent, group, session.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            found.append(int(stat.parent.name))
    return found


def held_by(process: int) -> int:
    """Returns the bytes that a process holds, of what it shares its part; 0 where the system does not tell."""
    try:
        lines = (PROCESSES / str(process) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
