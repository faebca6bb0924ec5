"""Which epoch is the best: by the metric that a recipe monitors, and among equals by the validation loss."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

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
