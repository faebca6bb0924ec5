"""Which of several differences explain another result: found by putting them back, and confirmed by a run."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import INTERRUPTIONS
from zoo.runs.exactness import listed
from zoo.sharing.reproduction.causes import Cause
from zoo.sharing.reproduction.minimizing import smallest_enough
from zoo.sharing.reproduction.trying import Outcome, without_traces
from zoo.sharing.reproduction.verdicts import Verdict

# Carries out a trial with some causes put back.
Try = Callable[[Sequence[Cause]], Outcome]
# Is told of each trial: its number, about how many there will be, what is put back, seconds left or None.
Say = Callable[[int, int, Sequence[Cause], float | None], None]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What explains another result.

    Attributes:
        causes: The smallest set that explains it, as far as it was found by putting differences back.
        left: What cannot be put back, and explains the rest by elimination.
        without_effect: What differs, and changes nothing.
        trials: How many there were.
        is_explained: Whether all of the difference is explained.
        is_repeatable: Whether the same comes to the same bits here; else no trial says anything.
    """

    causes: tuple[Cause, ...] = ()
    left: tuple[Cause, ...] = ()
    without_effect: tuple[Cause, ...] = ()
    trials: int = 0
    is_explained: bool = True
    is_repeatable: bool = True

    @property
    def named(self) -> tuple[Cause, ...]:
        """All that is named as a cause."""
        return (*self.causes, *self.left)


@dataclass
class Trials:
    """Carries trials out, counts them, and says how long it will take."""

    carry_out: Try
    say: Say
    expected: int = 1
    number: int = 0
    seconds: float = 0.0
    known: dict[tuple[str, ...], Outcome] = field(default_factory=dict[tuple[str, ...], Outcome])

    def __call__(self, causes: Sequence[Cause]) -> Outcome:
        """Returns what a trial comes to; none is carried out twice."""
        key = tuple(one.name for one in causes)
        if key not in self.known:
            left = None
            if self.number:
                left = self.seconds / self.number * max(self.expected - self.number, 1)
            self.number += 1
            self.say(self.number, max(self.expected, self.number), causes, left)
            began = time.monotonic()
            self.known[key] = self.carry_out(causes)
            self.seconds += time.monotonic() - began
        return self.known[key]


def explain(
    causes: Sequence[Cause], then: Outcome, now: Outcome, trials: Trials, *, is_bitwise: bool = True
) -> Explanation:
    """Finds which causes explain that a result is another.

    All that can be put back is put back first. Where the result is then the one of then, what cannot be put back has no
    effect; else it is what is left. Either way the smallest set is found that comes to the same as all of it.

    Args:
        causes: All that differs; at least one.
        then: What the result was.
        now: What it is.
        trials: Carries trials out.
        is_bitwise: Whether a repetition is sure to come to the same bits; else that is tried first.
    """
    revertible = [one for one in causes if one.is_revertible]
    fixed = [one for one in causes if not one.is_revertible]
    if not revertible:
        return Explanation(left=tuple(fixed), is_explained=True)
    if not is_bitwise and not now.fault and not trials(()).is_same(now):
        return Explanation(trials=trials.number, is_explained=False, is_repeatable=False)
    trials.known[()] = now
    trials.expected = 1 + 2 * len(revertible).bit_length() if len(revertible) > 1 else 1
    all_back = trials(revertible)
    is_then = all_back.is_same(then)
    if all_back.fault or (not is_then and all_back.is_same(now)):
        found: tuple[Cause, ...] = ()
    else:
        target = then if is_then else all_back
        found = smallest_enough(revertible, lambda some: trials(some).is_same(target))
    idle = tuple(one for one in revertible if one not in found)
    return Explanation(
        causes=found,
        left=() if is_then else tuple(fixed),
        without_effect=(*idle, *fixed) if is_then else idle,
        trials=trials.number,
        is_explained=is_then or bool(fixed),
    )


@contextmanager
def ended_in_order(verdict: Verdict, differences: Sequence[Cause], run: Path | None = None) -> Generator[None]:
    """Lets trials leave nothing in the cache, and notes on an interruption what is known by then.

    Args:
        verdict: Of the result that is to be explained.
        differences: All that differs.
        run: The run that came to the result; None of first batches.
    """
    try:
        with without_traces():
            yield
    except INTERRUPTIONS as fault:
        made = "" if run is None else f"; the run is {run}"
        fault.add_note(f"so far: {verdict}{made}; differs: {listed(differences) or 'nothing that is recorded'}")
        raise
