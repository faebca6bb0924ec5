"""Whether a result is the one that a lock expects: bitwise equal, within tolerance, or neither.

A whole run is within tolerance where its accuracy is

- of several locked runs: within the 95 % prediction interval of the next one, mean ± t · deviation · sqrt(1 + 1/n),
  where t is Student's for n - 1 degrees of freedom;
- of one run: within its 95 % interval, which says how sure the figure is for so many images.

First batches are within tolerance where each loss is within a thousandth of the locked one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zoo.sharing.locks.lock import ExpectedLock, ExpectedMetric
from zoo.sharing.reproduction.trying import Outcome

Verdict = Literal["bitwise equal", "within tolerance", "does not hold"]
# The metric that decides.
METRIC = "accuracy"
# How far a loss may be from the locked one, as a part of it.
OF_LOSSES = 1e-3
# Student's t that 97.5 % lie below, for 1, 2, ... degrees of freedom; beyond, the normal distribution's is near.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_NORMAL = 1.96


@dataclass(frozen=True, kw_only=True)
class ComparedMetric:
    """A figure of then and of now.

    Attributes:
        name: Its name.
        then: As it is locked.
        now: As it was measured.
        low: The least that is within tolerance; None where nothing says it.
        high: The most.
    """

    name: str
    then: float
    now: float
    low: float | None = None
    high: float | None = None

    @property
    def is_within(self) -> bool:
        """Whether it is within tolerance."""
        return self.low is not None and self.high is not None and self.low <= self.now <= self.high

    def to_json(self) -> dict[str, Any]:
        """Returns it as `--json` prints it."""
        return {"name": self.name, "then": self.then, "now": self.now, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class ComparedLosses:
    """The losses of the first batches of then and of now.

    Attributes:
        batches: How many were compared.
        equal: How many of the first are the same, bit for bit.
        gap: The largest difference, as a part of the locked loss; None where a loss is zero, infinite or no number.
    """

    batches: int
    equal: int
    gap: float | None

    def to_json(self) -> dict[str, Any]:
        """Returns it as `--json` prints it."""
        return {"batches": self.batches, "equal": self.equal, "gap": self.gap}


def compared_metrics(expected: ExpectedLock, outcome: Outcome) -> tuple[ComparedMetric, ...]:
    """Puts the figures of then and of now side by side."""
    now = outcome.result.metrics if outcome.result else {}
    return tuple(
        ComparedMetric(name=name, then=one.value, now=now[name], **_bounds(one, expected.runs))
        for name, one in expected.metrics.items()
        if name in now
    )


def _bounds(metric: ExpectedMetric, runs: int) -> dict[str, float]:
    if metric.mean is not None and metric.deviation is not None and runs > 1:
        student = _STUDENT[runs - 2] if runs - 2 < len(_STUDENT) else _NORMAL
        reach = student * metric.deviation * math.sqrt(1 + 1 / runs)
        return {"low": metric.mean - reach, "high": metric.mean + reach}
    if metric.interval is not None and len(metric.interval) == 2:
        return {"low": metric.interval[0], "high": metric.interval[1]}
    return {}


def compared_losses(then: Sequence[str], now: Sequence[str]) -> ComparedLosses:
    """Puts the losses of the first batches side by side."""
    pairs = list(zip(then, now, strict=False))
    equal = next((number for number, (one, other) in enumerate(pairs) if one != other), len(pairs))
    gaps = [_gap(float.fromhex(one), float.fromhex(other)) for one, other in pairs if one != other]
    is_measured = all(map(math.isfinite, gaps))
    return ComparedLosses(batches=len(pairs), equal=equal, gap=max(gaps, default=0.0) if is_measured else None)


def _gap(then: float, now: float) -> float:
    return abs(now / then - 1) if then and math.isfinite(then) else math.inf


def verdict_of_losses(then: Sequence[str], now: Sequence[str]) -> Verdict:
    """Decides on the first batches."""
    if len(then) != len(now) or not then:
        return "does not hold"
    found = compared_losses(then, now)
    if found.equal == found.batches:
        return "bitwise equal"
    return "within tolerance" if found.gap is not None and found.gap <= OF_LOSSES else "does not hold"


def verdict_of_run(expected: ExpectedLock, outcome: Outcome) -> Verdict:
    """Decides on a whole run."""
    metrics = compared_metrics(expected, outcome)
    has_same_figures = len(metrics) == len(expected.metrics) and all(one.then == one.now for one in metrics)
    if outcome.model_sha256 == expected.model_sha256 and has_same_figures:
        return "bitwise equal"
    deciding = next((one for one in metrics if one.name == METRIC), None)
    return "within tolerance" if deciding is not None and deciding.is_within else "does not hold"
