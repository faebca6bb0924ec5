"""When a checkpoint inside an epoch is due; at an epoch's end one is written in any case."""

import math
import time
from collections.abc import Callable

# Bounds of "epoch", in seconds: a kill costs no more than the one where saving is cheap, and the other elsewhere.
SHORTEST, LONGEST = 4.0, 30.0
# What saving may take of the time.
SHARE = 0.01
_SECONDS = {"s": 1, "m": 60, "h": 3600}


class SaveInterval:
    """Tells when to save inside an epoch: `checkpoint.every` of the recipe.

    "epoch" saves inside a long one as often as costs at most 1 % of the time, between every 4 and every 30 seconds.
    """

    def __init__(self, every: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads what a recipe says.

        Args:
            every: "epoch", "epoch_end", a number of steps such as "200 steps" or a time such as "5m".
            clock: Gives seconds.
        """
        self._by_cost = every == "epoch"
        self._steps = int(every.removesuffix(" steps")) if every.endswith(" steps") else 0
        self._seconds = math.inf
        if self._by_cost:
            self._seconds = SHORTEST
        elif every[:-1].isdecimal():
            self._seconds = int(every[:-1]) * _SECONDS[every[-1]]
        self._clock = clock
        self._saved_at = clock()
        self._saved_step = 0

    def begin(self, step: int) -> None:
        """Counts from now on: there is nothing to lose yet."""
        self._saved_at, self._saved_step = self._clock(), step

    def saved(self, step: int, *, cost: float) -> None:
        """Notes that a checkpoint is being written.

        Args:
            step: Steps of the run so far.
            cost: Processor seconds that the last one took in all.
        """
        self._saved_at, self._saved_step = self._clock(), step
        if self._by_cost:
            self._seconds = min(max(cost / SHARE, SHORTEST), LONGEST)

    def is_due(self, step: int, *, is_whole_step: bool) -> bool:
        """Returns whether to save now.

        Args:
            step: Steps of the run so far.
            is_whole_step: Whether the batch that ended was the last one of a step.
        """
        if self._steps:
            # One that was left out, because the one before was still at work, is made up for.
            return is_whole_step and step // self._steps > self._saved_step // self._steps
        return self._clock() - self._saved_at >= self._seconds
