"""The curves of a training: accuracy and loss."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.report.figures import default_style, new_figure, save_figure
from zoo.report.lettering import drawable, set_fonts, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = ("accuracy", "loss")
# From so many epochs on, a dot for each hides the line.
MANY_EPOCHS = 60
# What the panels' width has room for, in characters of their small print.
CHARACTERS_OF_A_PANEL = 70
CHARACTERS_OF_A_TITLE = 84


def plot_accuracy_and_loss(
    history: "Sequence[Mapping[str, Any]] | Mapping[str, Any] | Any", title: str, *, kept: int | None = None
) -> "Figure":
    """Draws accuracy and loss, training and validation, against the epoch, with a line where a phase begins.

    Args:
        history: A run's `history`, that is the lines of metrics.jsonl; or what Keras' `fit` returns, or its `.history`.
        title: Stands above both panels; may have several lines.
        kept: The epoch whose model is kept, counted from 1: it gets a ring, and the legend says its values.

    Returns:
        The figure, with one panel for each of the two.

    Example:

        plot_accuracy_and_loss(model.fit(...), "my first convnet").savefig("curves.png")
    """
    rows = _rows(history)
    figure = new_figure(10, 4, layout="constrained")
    figure.get_layout_engine().set(wspace=0.08)  # type: ignore[union-attr]
    figure.suptitle("\n".join(drawable(line, CHARACTERS_OF_A_TITLE) for line in title.splitlines()))
    for axes, metric in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        _draw_lines(axes, rows, metric)
        _ring(axes, rows, metric, kept)
        _mark_phases(axes, rows)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.set_xlim(0.5, len(rows) + 0.5 if rows else 1.5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if metric == "accuracy":
            axes.yaxis.set_major_formatter(_percent)
        if axes.get_legend_handles_labels()[0]:
            # Below the curves: no place among them is free in every run.
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, columnspacing=1, frameon=False)
        if not math.isfinite(axes.dataLim.y1):
            axes.set_yticks([])
    set_fonts(figure)
    return figure


def _percent(share: float, _place: int) -> str:
    return f"{100 * share:.4g} %"


def _draw_lines(axes: "Axes", rows: Sequence[Mapping[str, Any]], metric: str) -> None:
    marker = "o" if len(rows) < MANY_EPOCHS else None
    for key, label in ((metric, "train"), (f"val_{metric}", "validation")):
        measured = [(row["epoch"], row[key]) for row in rows if row.get(key) is not None]
        if measured:
            axes.plot(*zip(*measured, strict=True), marker=marker, markersize=3, label=label)
            if not any(math.isfinite(value) for _, value in measured):
                axes.lines[-1].set_label(f"{label}: no finite value")


def _ring(axes: "Axes", rows: Sequence[Mapping[str, Any]], metric: str, best: int | None) -> None:
    """Marks the best epoch on the validation curve, or on that of training where nothing was validated."""
    validated = any(one.get(f"val_{metric}") is not None for one in rows)
    for row in rows:
        value = row.get(f"val_{metric}" if validated else metric)
        if best is None or row["epoch"] != best or value is None or not math.isfinite(value):
            continue
        said = f"{100 * value:.1f} %" if metric == "accuracy" else f"{value:.4f}"
        if not validated:
            said = "the last"
        axes.plot(
            [best],
            [value],
            linestyle="none",
            marker="o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor="black",
            markeredgewidth=1.5,
            label=f"kept: epoch {best}, {said}",
        )


def _mark_phases(axes: "Axes", rows: Sequence[Mapping[str, Any]]) -> None:
    begins = {row["epoch"] - 0.5: shortened(row["phase"], 18) for row in rows if row.get("epoch_in_phase") == 1}
    ends = [*list(begins)[1:], len(rows) + 0.5]
    of_a_character = len(rows) / CHARACTERS_OF_A_PANEL
    upright = any(
        end - begin < len(name) * of_a_character for (begin, name), end in zip(begins.items(), ends, strict=False)
    )
    free_from = 0.0
    for begin, name in begins.items():
        axes.axvline(begin, color="0.8", linewidth=1, zorder=0)
        if begin < free_from:
            continue
        free_from = begin + 2.2 * of_a_character
        axes.annotate(
            name,
            (begin + (0 if upright else 0.5 * of_a_character), 1.01),
            xycoords=("data", "axes fraction"),
            va="bottom",
            rotation=90 if upright else 0,
            fontsize="x-small" if upright else "small",
            color="0.4",
        )


def plot_range_test(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    mark: float | None,
    *,
    title: str = "",
    present: float | None = None,
) -> "Figure":
    """Draws a range test's losses against the rate, with a mark at the suggested one.

    Args:
        rates: The learning rate of each step.
        losses: The loss of each step's batch.
        smoothed: Their average over neighbouring steps.
        mark: The suggested rate; None where none is.
        title: Stands above.
        present: The rate that the recipe has now, which gets a line as well.
    """
    with default_style():
        figure = new_figure(7, 4, layout="constrained")
        figure.suptitle(drawable(title, 80))
        axes = figure.subplots()
        axes.plot(rates, losses, color="0.8", label="each batch")
        axes.plot(rates, smoothed, label="smoothed")
        if mark is not None:
            axes.axvline(mark, color="C1", linestyle="--", label=f"steepest: {mark:.2g}")
        if present is not None:
            axes.axvline(present, color="C2", linestyle=":", label=f"the recipe's: {present:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        # What comes after the loss has left would flatten all that matters; batches differ where it never falls.
        height = max(smoothed[0] - min(smoothed), *(abs(one - smoothed[0]) for one in losses[:5]), 1e-6)
        axes.set_ylim(min(smoothed) - 0.2 * height, smoothed[0] + 0.5 * height)
        axes.legend()
    set_fonts(figure)
    return figure


def _rows(history: Any) -> Sequence[Mapping[str, Any]]:
    """Turns what Keras keeps, a list of values by metric, into a dictionary an epoch."""
    columns = getattr(history, "history", history)
    if not isinstance(columns, Mapping):
        return columns
    epochs = max(map(len, columns.values()), default=0)
    rows: list[dict[str, Any]] = [{"epoch": epoch + 1} for epoch in range(epochs)]
    for name, values in columns.items():
        # With `validation_freq` every so many epochs have a value.
        every = epochs // max(1, len(values))
        for number, value in enumerate(values, 1):
            rows[number * every - 1][name] = value
    return rows


def save_history(rows: Sequence[Mapping[str, Any]], path: Path, *, title: str, best_step: int | None) -> None:
    """Writes a run's curves as a PNG, with a ring at the epoch whose model is kept.

    Args:
        rows: The lines of metrics.jsonl.
        path: Where to.
        title: What stands above them.
        best_step: The step of the checkpoint whose model is kept, or None.

    Raises:
        OSError: It could not be written.
    """
    save_figure(plot_history(rows, title=title, best_step=best_step), path)


def plot_history(rows: Sequence[Mapping[str, Any]], *, title: str, best_step: int | None) -> "Figure":
    """Draws a run's curves, with a ring at the epoch whose model is kept; arguments as for `save_history`."""
    best = [row["epoch"] for row in rows if best_step is not None and row.get("step") == best_step]
    with default_style():
        return plot_accuracy_and_loss(rows, title, kept=best[-1] if best else None)
