"""How long a process has worked itself, told from how long it has waited for the others.

Processes that train together end each step at the same time, so a clock tells nothing of who was slow. What tells it
are the seconds that batches took to be made, and on a CPU those that threads computed, or waited for a core to compute
on. A thread that waits for another process does neither.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median

# A process that takes so many times as long as the middle one is said to be slow.
SLOW = 1.2


class OwnTime:
    """Sums up what a process works itself."""

    def __init__(self, *, threads: int) -> None:
        """Begins.

        Args:
            threads: How many compute together.
        """
        self._threads = threads
        self._sum = 0.0
        self._is_paused = False
        self._mark()

    def take(self) -> float:
        """Returns the seconds since it was last asked, as if all threads had worked all the time; a pause ends."""
        if self._is_paused:
            self.go_on()
        else:
            self._count()
        seconds, self._sum = self._sum, 0.0
        return seconds

    def pause(self) -> None:
        """Leaves out what is done from here on."""
        if not self._is_paused:
            self._count()
        self._is_paused = True

    def go_on(self) -> None:
        """Counts again after a pause."""
        self._is_paused = False
        self._mark()

    def _count(self) -> None:
        before, waited = self._computed, self._waited
        self._mark()
        # Of a thread that has ended meanwhile, what it waited is not known any more.
        more = sum(max(0.0, seconds - waited.get(thread, 0.0)) for thread, seconds in self._waited.items())
        self._sum += (self._computed - before + more) / self._threads

    def _mark(self) -> None:
        self._computed = time.process_time()
        self._waited = _waited_for_a_core()


def _waited_for_a_core() -> Mapping[str, float]:
    """Returns how long each thread was ready and had no core, in seconds, where Linux says it.

    https://docs.kernel.org/scheduler/sched-stats.html
    """
    waited: dict[str, float] = {}
    with suppress(OSError):
        for thread in Path("/proc/self/task").iterdir():
            with suppress(OSError, ValueError, IndexError):  # it has ended, or the kernel does not count
                waited[thread.name] = int((thread / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return waited


def slow_one(seconds: list[float]) -> str:
    """Says which process is slower than the others; empty where none is.

    Args:
        seconds: What each has worked itself.
    """
    if len(seconds) < 2 or max(seconds) <= SLOW * median(seconds):
        return ""
    middle, slowest = median(seconds), max(seconds)
    return (
        f"process {seconds.index(slowest)} of {len(seconds)} is slow: it took {slowest:.1f} s itself, the middle one "
        f"{middle:.1f} s"
    )
