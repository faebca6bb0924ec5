"""The picture of a confusion matrix: what images of each class were called."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.report.figures import default_style, new_figure
from zoo.report.lettering import columns, drawable, set_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
LARGEST_CELL, SMALLEST_SIDE, LARGEST_SIDE = 0.45, 2.6, 13.0
POINTS = 72
LONGEST_NAME, LONGEST_TITLE = 28, 70
# Points: smaller print cannot be read.
SMALLEST_PRINT, LARGEST_PRINT = 4.0, 9.0
SMALLEST_NAME = 5.0


def plot_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> "Figure":
    """Draws a confusion matrix: right answers blue, wrong ones red, the deeper the larger their share of the class.

    Args:
        confusion: How many images of each class (row) were called each class (column).
        classes: Their names, in the order of the rows.
        title: Stands above; may have several lines.
    """
    count = len(classes)
    side = min(LARGEST_SIDE, max(SMALLEST_SIDE, LARGEST_CELL * count))
    # Where classes are too many for a legible name each, every so many have one.
    every = math.ceil(count * SMALLEST_NAME * 1.2 / (side * POINTS))
    print_size = min(LARGEST_PRINT, side * POINTS * every / count / 1.2)
    names = [drawable(name, LONGEST_NAME) for name in classes]
    margin = max(columns(name) for name in names) * 0.62 * print_size / POINTS + 0.5
    lines = [drawable(line, LONGEST_TITLE) for line in title.splitlines()]
    with default_style():
        across = max(side + margin + 0.2, max(map(len, lines), default=0) * 0.095)
        figure = new_figure(across, side + margin + 0.25 * len(lines) + 0.2, layout="constrained")
        figure.suptitle("\n".join(lines), fontsize=11)
        axes = figure.subplots()
        _draw_cells(axes, confusion, side / count)
        shown = range(0, count, every)
        axes.set_xticks(shown, [names[number] for number in shown], rotation=90, fontsize=print_size)
        axes.set_yticks(shown, [names[number] for number in shown], fontsize=print_size)
        axes.tick_params(length=0 if every == 1 else 2)
        axes.set(xlabel="predicted class", ylabel="true class")
        set_fonts(figure)
    return figure


def _draw_cells(axes: "Axes", confusion: Sequence[Sequence[int]], cell: float) -> None:
    import numpy as np
    from matplotlib import colormaps

    counts = np.asarray(confusion)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    right = np.eye(len(counts), dtype=bool)[..., None]
    # A root, so that a single wrong image among hundreds is still seen.
    colors = np.where(right, colormaps["Blues"](0.9 * shares), colormaps["Reds"](0.9 * np.sqrt(shares)))
    axes.imshow(np.where(counts[..., None] > 0, colors, 1.0))
    if cell * POINTS > SMALLEST_PRINT:
        edges = np.arange(len(counts) + 1) - 0.5
        axes.set_xticks(edges, minor=True)
        axes.set_yticks(edges, minor=True)
        axes.grid(which="minor", color="0.85", linewidth=min(0.8, 2 * cell))
        axes.tick_params(which="minor", length=0)
    digits = len(str(int(counts.max(initial=0))))
    size = min(LARGEST_PRINT, cell * POINTS / (0.7 * digits + 0.3))
    if size < SMALLEST_PRINT:
        return
    for (line, column), images in np.ndenumerate(counts):
        if images:
            share = shares[line, column] if line == column else math.sqrt(shares[line, column])
            color = "white" if share > 0.6 else "black"
            axes.text(column, line, f"{images}", ha="center", va="center", color=color, fontsize=size)
