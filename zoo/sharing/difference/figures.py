"""What was measured, with how sure it is: of a run by its interval, of the runs of several seeds by their spread."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.runs.record import ResultRecord
from zoo.sharing.locks.lock import Lock


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric.

    Attributes:
        value: Of the run; of several their mean.
        interval: The 95 % interval of one run, where it was measured.
        deviation: The sample standard deviation of several runs; None of one.
        runs: How many there are.
    """

    value: float
    interval: tuple[float, float] | None = None
    deviation: float | None = None
    runs: int = 1

    def __str__(self) -> str:
        if self.deviation is not None:
            return f"{self.value:.4f} (deviation {self.deviation:.4f} over {self.runs} runs)"
        return f"{self.value:.4f}" + (f" ({self.interval[0]:.4f} to {self.interval[1]:.4f})" if self.interval else "")

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        interval = None if self.interval is None else list(self.interval)
        return {"value": self.value, "interval": interval, "deviation": self.deviation, "runs": self.runs}


def figures_of_runs(results: Sequence[ResultRecord]) -> dict[str, Figure]:
    """Returns the metrics of a run, or of several runs of one recipe, by name."""
    if not results:
        return {}
    if len(results) == 1:
        (result,) = results
        return {
            name: Figure(value=value, interval=_interval(result.intervals.get(name)))
            for name, value in result.metrics.items()
        }
    names = [name for name in results[0].metrics if all(name in one.metrics for one in results)]
    values = {name: [one.metrics[name] for one in results] for name in names}
    return {
        name: Figure(value=statistics.fmean(each), deviation=statistics.stdev(each), runs=len(each))
        for name, each in values.items()
    }


def figures_of_lock(lock: Lock) -> dict[str, Figure]:
    """Returns the metrics of which a lock knows the spread over several runs, by name."""
    expected = lock.expected
    if expected is None:
        return {}
    return {
        name: Figure(value=one.mean, deviation=one.deviation, runs=expected.runs)
        for name, one in expected.metrics.items()
        if one.mean is not None and one.deviation is not None
    }


def _interval(ends: Sequence[float] | None) -> tuple[float, float] | None:
    return (ends[0], ends[1]) if ends is not None and len(ends) == 2 else None
