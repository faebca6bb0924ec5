"""A contact sheet: images in rows, each with its name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

# Inches of an image on the sheet.
SIDE = 1.4


def plot_sheet(rows: "Sequence[tuple[str, np.ndarray, Sequence[str]]]", title: str) -> "Figure":
    """Draws images on a fixed scale from 0, black, to 255, white: one in a wrong range is seen as such.

    Args:
        rows: Name, images ([n, height, width, channels] in [0, 255], of 1 or 3 channels) and a caption for each image.
        title: Stands above.
    """
    from matplotlib.figure import Figure

    count = len(rows[0][1])
    lines = sum(1 + max(caption.count("\n") for caption in captions) for _, _, captions in rows)
    figure = Figure(figsize=(0.6 + SIDE * count, 0.5 + SIDE * len(rows) + 0.17 * lines), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, images, captions) in zip(grid, rows, strict=True):
        for axes, image, caption in zip(line, images, captions, strict=True):
            axes.imshow(
                image.squeeze(-1) if image.shape[-1] == 1 else image.astype("uint8"), cmap="gray", vmin=0, vmax=255
            )
            axes.set(xticks=[], yticks=[])
            axes.set_title(caption, fontsize=7)
        line[0].set_ylabel(name, fontsize=8)
    return figure
