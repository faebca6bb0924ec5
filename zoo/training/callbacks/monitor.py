"""Which epoch is the best: by the metric that a recipe monitors, and among equals by the validation loss."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.runs.progress import Best, Progress


@dataclass(frozen=True)
class Monitor:
    """Tells a better epoch from others.

    Attributes:
        metric: `checkpoint.monitor` of the recipe; `val_loss` is best when lowest.
    """

    metric: str

    def best_of(self, best: Best | None, metrics: Mapping[str, float], progress: Progress) -> Best | None:
        """Returns the best epoch after one more: the new one where it is better, else the one before.

        Args:
            best: The best of the epochs before, or None.
            metrics: What the new epoch came to.
            progress: Where it ends.
        """
        value, loss = float(metrics[self.metric]), float(metrics["val_loss"])
        new = Best(value=value, step=progress.step, batch=progress.batch, loss=loss)
        return new if self._is_better(value, loss, best) else best

    def _is_better(self, value: float, loss: float, best: Best | None) -> bool:
        if not math.isfinite(value):
            return False
        if best is None or not math.isfinite(best.value):
            return True
        if value == best.value:
            # A loss that is NaN or infinite is worse than any other; None is of an earlier zoo.
            return best.loss is not None and math.isfinite(loss) and not loss >= best.loss
        return value < best.value if self.metric == "val_loss" else value > best.value


def shortfall(history: Sequence[Mapping[str, Any]], monitor: str) -> str | None:
    """Says when phases stayed below what they began from, as fine-tuning may that began from a linear probe.

    Args:
        history: The lines of metrics.jsonl.
        monitor: The metric that decides which epoch is kept; `val_loss` is best when lowest.

    Returns:
        A sentence, or None where the last phase is as good as any or nothing was monitored.
    """
    sign = -1 if monitor == "val_loss" else 1

    def merit(row: Mapping[str, Any]) -> tuple[float, float]:
        return sign * row[monitor], -row.get("val_loss", 0.0)

    best: dict[str, Mapping[str, Any]] = {}
    for row in history:
        before = best.get(row["phase"])
        if row.get(monitor) is not None and (before is None or merit(row) > merit(before)):
            best[row["phase"]] = row
    if not best:
        return None
    kept = max(best.values(), key=merit)
    later = list(best)[list(best).index(kept["phase"]) + 1 :]
    worse = [name for name in later if best[name][monitor] != kept[monitor]]
    if not worse or worse != later:
        return None
    came_to = ", ".join(f"'{name}' came to {best[name][monitor]:.4f}" for name in later)
    return (
        f"epoch {kept['epoch_in_phase']} of phase '{kept['phase']}' is kept, with {monitor} {kept[monitor]:.4f}; "
        f"{came_to}: below what it began from"
    )
