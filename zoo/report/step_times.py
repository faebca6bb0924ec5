"""Where the seconds of a run go, step by step."""

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

# In the order in which a run comes to them.
Step = Literal[
    "imports", "opening", "hashing", "decoding", "build", "first_pass", "phases", "measuring", "curves", "writing"
]
# What lies between the steps.
OTHER = "other"
_DIGITS = 3


class StepTimes:
    """A clock that knows which step is at work.

    A step inside another takes its seconds from it, so that all steps and what lies between them add up to the total.
    """

    def __init__(self, *, before: float = 0.0, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begins to count.

        Args:
            before: Seconds that count as imports: those since a command's process began, which does nothing else.
            clock: Tells the seconds.
        """
        self._clock = clock
        self._since = clock()
        self._at_work: list[tuple[str, str]] = []
        self._taken: dict[tuple[str, str], float] = {("imports", ""): before}

    @contextmanager
    def step(self, name: Step, phase: str = "") -> Generator[None]:
        """Counts the block's seconds for a step.

        Args:
            name: The step.
            phase: Of `phases`, which one.
        """
        self._charge()
        self._at_work.append((name, phase))
        try:
            yield
        finally:
            self._charge()
            self._at_work.pop()

    def _charge(self) -> None:
        """Gives the seconds since it was last called to the innermost step at work."""
        now = self._clock()
        step = self._at_work[-1] if self._at_work else (OTHER, "")
        self._taken[step] = self._taken.get(step, 0.0) + now - self._since
        self._since = now

    def seconds(self) -> dict[str, Any]:
        """Returns the seconds until now of each step that was come to, of the phases by name, and of all together."""
        self._charge()
        taken = {step: round(seconds, _DIGITS) for step, seconds in self._taken.items()}
        phases = {phase: seconds for (_, phase), seconds in taken.items() if phase}
        steps = {name: seconds for (name, phase), seconds in taken.items() if not phase}
        return {"total": round(sum(taken.values()), _DIGITS), **steps, "phases": phases}


def seconds_of_this_process() -> float:
    """Returns how long ago this process began, where Linux says it; else 0."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        # The name of the program, in brackets, may hold anything; the 22nd field of all is the 20th behind it.
        began = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK"))
    return 0.0
