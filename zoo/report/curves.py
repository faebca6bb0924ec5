"""The curves that a training is judged by."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.files import write_atomic

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

PANELS = ("accuracy", "loss")


def plot_accuracy_and_loss(history: "Sequence[Mapping[str, Any]] | Mapping[str, Any] | Any", title: str) -> "Figure":
    """Draws accuracy and loss, training and validation, against the epoch, with a line where a phase begins.

    Args:
        history: A run's `history`, that is the lines of metrics.jsonl; or what Keras' `fit` returns, or its `.history`.
        title: Stands above both panels.

    Returns:
        The figure, with one panel for each of the two.

    Example:

        plot_accuracy_and_loss(model.fit(...), "my first convnet").savefig("curves.png")
    """
    from matplotlib.figure import Figure

    rows = _rows(history)
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in rows]
    for axes, metric in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for key, label in ((metric, "train"), (f"val_{metric}", "validation")):
            if any(row.get(key) is not None for row in rows):
                axes.plot(epochs, [row.get(key) for row in rows], marker="o", markersize=3, label=label)
        for row in rows:
            if row.get("epoch_in_phase") == 1:
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


def plot_range_test(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], mark: float
) -> "Figure":
    """Draws a range test's losses against the rate, with a mark at the suggested one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="0.8", label="each batch")
    axes.plot(rates, smoothed, label="smoothed")
    axes.axvline(mark, color="C1", linestyle="--", label=f"steepest: {mark:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    # What comes after the loss has left would flatten all that matters.
    height = smoothed[0] - min(smoothed)
    axes.set_ylim(min(smoothed) - 0.2 * height, smoothed[0] + 0.5 * height + 1e-6)
    axes.legend()
    return figure


def plot_rates(phases: "Sequence[tuple[str, np.ndarray, np.ndarray]]", title: str) -> "Figure":
    """Draws the learning rate of each phase, which begins where the one before ends.

    Args:
        phases: Name, epochs since the phase's beginning (float[n], ascending, from 0) and rates (float[n]) of each.
        title: Stands above.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots()
    begins = 0.0
    for name, epochs, rates in phases:
        axes.plot(begins + epochs, rates, label=name)
        begins += float(epochs[-1])
    axes.set(xlabel="epoch", ylabel="learning rate", yscale="log")
    # Schedules end at or near 0, which a logarithmic axis would follow.
    axes.set_ylim(bottom=max(float(rates.max()) for _, _, rates in phases) * 1e-4)
    axes.legend()
    return figure


def _rows(history: Any) -> Sequence[Mapping[str, Any]]:
    """Turns what Keras keeps, a list of values by metric, into a dictionary an epoch."""
    columns = getattr(history, "history", history)
    if not isinstance(columns, Mapping):
        return columns
    epochs = range(max(map(len, columns.values()), default=0))
    return [{"epoch": epoch + 1, **{name: values[epoch] for name, values in columns.items()}} for epoch in epochs]


def save_history(rows: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Writes the curves as a PNG.

    Raises:
        OSError: It could not be written.
    """
    save_figure(plot_accuracy_and_loss(rows, title), path)


def save_figure(figure: "Figure", path: Path) -> None:
    """Writes a figure as a PNG.

    Raises:
        OSError: It could not be written.
    """
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    write_atomic(path, image.getvalue())
