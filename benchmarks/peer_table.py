"""The table of benchmarks/peers.py: what the runs of each side came to, beside the toolkit's."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accuracy_of_seeds import difference, mean_and_interval, rightness

OURS = "zoo"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run of a side.

    Attributes:
        photos: How many train.
        way: `probe`, `default` or `all`.
        side: Who trains.
        seed: Of all chance.
    """

    photos: int
    way: str
    side: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.photos}-{self.way}-{self.side}-{self.seed}"


def rows_of(
    trials: Sequence[Trial], found: Mapping[Trial, Mapping[str, Any]], failed: Mapping[Trial, str]
) -> list[dict[str, Any]]:
    """Sums up all runs.

    Args:
        trials: All that were asked for.
        found: Of those that were finished: `seconds`, `cpu_seconds`, `peak_bytes` and `predicted`, a label by photo.
        failed: Of the others, the reason.

    Returns:
        A row for some photos, a way and a side, the toolkit's first.
    """
    rows: list[dict[str, Any]] = []
    for photos, way in dict.fromkeys((trial.photos, trial.way) for trial in trials):
        of_case = [trial for trial in trials if (trial.photos, trial.way) == (photos, way)]
        ours = [found[trial] for trial in of_case if trial.side == OURS and trial in found]
        for side in sorted({trial.side for trial in of_case}, key=lambda side: (side != OURS, side)):
            mine = [trial for trial in of_case if trial.side == side]
            finished = [found[trial] for trial in mine if trial in found]
            reasons = [failed[trial] for trial in mine if trial in failed]
            figures = _figures(finished, ours, is_ours=side == OURS) if finished else {}
            rows.append(_row(photos, way, side, figures, reasons[0] if reasons else None))
    return rows


def _row(photos: int, way: str, side: str, figures: Mapping[str, object], note: str | None) -> dict[str, Any]:
    columns = ("seconds", "times the toolkit's", "CPU seconds", "peak GB", "accuracy", "95 % interval")
    return {
        "photos": photos,
        "way": way,
        "side": side,
        **{column: figures.get(column) for column in (*columns, "points above the toolkit")},
        "seeds": figures.get("seeds", 0),
        "note": note,
        "runs": figures.get("runs", []),
    }


def _figures(found: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]], *, is_ours: bool) -> dict[str, Any]:
    right = [rightness(one["predicted"]) for one in found]
    seconds = statistics.median(one["seconds"] for one in found)
    mean, low, high = mean_and_interval(right)
    figures: dict[str, Any] = {
        "seconds": round(seconds, 1),
        "CPU seconds": round(statistics.median(one["cpu_seconds"] for one in found), 1),
        "peak GB": round(max(one["peak_bytes"] for one in found) / 1e9, 2),
        "accuracy": round(mean, 4),
        "95 % interval": f"{low:.4f} to {high:.4f}",
        "seeds": len(found),
        "runs": [{key: one[key] for key in ("seconds", "cpu_seconds", "peak_bytes")} for one in found],
    }
    if ours:
        figures["times the toolkit's"] = round(seconds / statistics.median(one["seconds"] for one in ours), 2)
    if ours and not is_ours:
        more, least, most = (100 * one for one in difference(right, [rightness(one["predicted"]) for one in ours]))
        figures["points above the toolkit"] = f"{more:+.1f} ({least:+.1f} to {most:+.1f})"
    return figures
