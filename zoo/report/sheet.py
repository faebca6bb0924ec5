"""A contact sheet: images side by side, each above what augmentation makes of it, in blocks that fit a screen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.report.figures import DPI, default_style, new_figure
from zoo.report.lettering import drawable, set_fonts

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Pixels of the written file.
WIDEST, TALLEST = 1600, 1400
LARGEST_IMAGE, SMALLEST_IMAGE = 168, 84
GAP = 4
LINE = 14
TITLE = 34
# A character of the small print, in pixels.
CHARACTER = 7.2
LONGEST_ROW_NAME, LONGEST_TITLE = 12, 60


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """One state of all images.

    Attributes:
        name: What was done to them.
        images: [n, height, width, channels] in [0, 255], of 1 or 3 channels.
        captions: Below each, empty where there is nothing to say; may have several lines.
    """

    name: str
    images: "np.ndarray"
    captions: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SheetLayout:
    """Where images stand on a sheet, in pixels.

    Attributes:
        columns: Images side by side.
        blocks: Times that all rows stand below one another.
        side: Width of an image.
        aspect: Height of an image in widths.
        margin: Width of the rows' names.
        caption_lines: Lines of small print below the images of each row.
    """

    columns: int
    blocks: int
    side: int
    aspect: float
    margin: int
    caption_lines: tuple[int, ...]

    @property
    def width(self) -> int:
        """Of the sheet."""
        return self.margin + self.columns * (self.side + GAP) + GAP

    @property
    def height(self) -> int:
        """Of the sheet."""
        return TITLE + self.blocks * (self.row_top(len(self.caption_lines)) + 2 * GAP)

    def row_top(self, row: int) -> int:
        """Where a row begins below the top of its block; the first has the classes' names above it."""
        tall = math.ceil(self.side * self.aspect)
        return LINE + GAP + sum(tall + GAP + LINE * lines for lines in self.caption_lines[:row])

    def place(self, image: int, row: int) -> tuple[int, int]:
        """Returns left and top of an image."""
        block, column = divmod(image, self.columns)
        top = TITLE + block * (self.row_top(len(self.caption_lines)) + 2 * GAP) + self.row_top(row)
        return self.margin + GAP + column * (self.side + GAP), top


def lay_out(count: int, *, aspect: float, margin: int, caption_lines: Sequence[int]) -> SheetLayout:
    """Chooses the largest images with which a sheet fits a screen, or the smallest ones where none fits."""
    layout = None
    for side in range(LARGEST_IMAGE, SMALLEST_IMAGE - 1, -4):
        across = max(1, (WIDEST - margin - GAP) // (side + GAP))
        blocks = math.ceil(count / across)
        layout = SheetLayout(
            columns=math.ceil(count / blocks),
            blocks=blocks,
            side=side,
            aspect=aspect,
            margin=margin,
            caption_lines=tuple(caption_lines),
        )
        if layout.height <= TALLEST:
            break
    assert layout is not None
    return layout


def plot_sheet(names: Sequence[str], rows: Sequence[SheetRow], title: str) -> "Figure":
    """Draws images on a fixed scale from 0, black, to 255, white: one in a wrong range is seen as such.

    Args:
        names: The class of each image, which stands above the first of its rows.
        rows: The same images in each, from the top down.
        title: Stands above all.
    """
    count, height, width = rows[0].images.shape[:3]
    layout = lay_out(
        count,
        aspect=height / width,
        margin=int(CHARACTER * min(LONGEST_ROW_NAME, max(len(row.name) for row in rows))) + 2 * GAP,
        caption_lines=[max((one.count("\n") + 1 for one in row.captions if one), default=0) for row in rows],
    )
    with default_style():
        # A title may be wider than a few images.
        shown = drawable(title, LONGEST_TITLE)
        across = max(layout.width, int(1.6 * CHARACTER * len(shown)) + layout.margin)
        figure = new_figure(across / DPI, layout.height / DPI, dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, across), ylim=(layout.height, 0))
        axes.axis("off")
        axes.text(layout.margin + GAP, TITLE / 2, shown, va="center", fontsize=11)
        room = int((layout.side + GAP) / CHARACTER)
        for number, name in enumerate(names):
            left, top = layout.place(number, 0)
            axes.text(left + layout.side / 2, top - 3, drawable(name, room), ha="center", va="bottom", fontsize=7)
        for line, row in enumerate(rows):
            _draw_row(axes, layout, line, row, room)
        axes.set(xlim=(0, across), ylim=(layout.height, 0))
        set_fonts(figure)
    return figure


def _draw_row(axes: "Axes", layout: SheetLayout, line: int, row: SheetRow, room: int) -> None:
    tall = layout.side * layout.aspect
    for number, (image, caption) in enumerate(zip(row.images, row.captions, strict=True)):
        left, top = layout.place(number, line)
        if number % layout.columns == 0:
            name = drawable(row.name, LONGEST_ROW_NAME)
            axes.text(layout.margin - GAP, top + tall / 2, name, ha="right", va="center", fontsize=7)
        axes.imshow(
            image[..., 0] if image.shape[-1] < 3 else image[..., :3].astype("uint8"),
            cmap="gray",
            vmin=0,
            vmax=255,
            extent=(left, left + layout.side, top + tall, top),
            aspect="auto",
        )
        shown = "\n".join(drawable(part, room) for part in caption.splitlines())
        axes.text(left + layout.side / 2, top + tall + 1, shown, ha="center", va="top", fontsize=6.5, linespacing=1.0)
