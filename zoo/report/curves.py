"""The two curves that every training is judged by."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.runs.folder import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = ("accuracy", "loss")


def draw_history(rows: Sequence[Mapping[str, Any]], title: str) -> "Figure":
    """Draws accuracy and loss, training and validation, against the epoch, with a line where a phase begins.

    Args:
        rows: The lines of metrics.jsonl.
        title: Stands above both panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in rows]
    for axes, metric in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for key, label in ((metric, "train"), (f"val_{metric}", "validation")):
            if any(row.get(key) is not None for row in rows):
                axes.plot(epochs, [row.get(key) for row in rows], marker="o", markersize=3, label=label)
        for row in rows:
            if row["epoch_in_phase"] == 1:
                axes.axvline(row["epoch"] - 0.5, color="0.8", linewidth=1, zorder=0)
                axes.annotate(
                    row["phase"],
                    (row["epoch"] - 0.45, 1),
                    xycoords=("data", "axes fraction"),
                    va="bottom",
                    fontsize="small",
                    color="0.4",
                )
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


def save_history(rows: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Writes the curves as a PNG.

    Raises:
        OSError: It could not be written.
    """
    image = io.BytesIO()
    draw_history(rows, title).savefig(image, format="png", dpi=120)
    write_atomic(path, image.getvalue())
