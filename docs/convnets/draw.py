"""Draws the pictures of docs/convnets/README.md, from the models themselves.

    python docs/convnets/draw.py

Needs nothing but the package: the digit is an image of our own, and the filters are those of the weights that ship.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

import zoo

HERE = Path(__file__).parent
GREY = {"cmap": "gray", "interpolation": "nearest"}
SIGNED = {"cmap": "RdBu", "interpolation": "nearest"}


def digit() -> np.ndarray:
    """Returns a seven with a bar, as a hand writes it: float32[28, 28] in [0, 255], white on black."""
    canvas = Image.new("L", (280, 280))
    pen = ImageDraw.Draw(canvas)
    pen.line([(75, 65), (200, 65), (120, 225)], fill=255, width=24, joint="curve")
    pen.line([(105, 145), (190, 145)], fill=255, width=20)
    return np.asarray(canvas.resize((28, 28), Image.Resampling.BOX), dtype=np.float32)


def convolve(image: np.ndarray, kernel: np.ndarray, *, strides: int = 1, padding: str = "same") -> np.ndarray:
    """Convolves one image with one kernel: float32[height, width]."""
    layer = keras.layers.Conv2D(1, kernel.shape[0], strides=strides, padding=padding, use_bias=False)
    layer.build((None, *image.shape, 1))
    layer.kernel.assign(kernel[:, :, None, None])
    return np.asarray(layer(image[None, :, :, None]))[0, :, :, 0]


def show(axes: Axes, image: np.ndarray, title: str, *, signed: bool = False) -> None:
    """Draws one map; a signed one with white at zero."""
    limit = float(np.abs(image).max()) or 1.0
    style = {**SIGNED, "vmin": -limit, "vmax": limit} if signed else GREY
    axes.imshow(image, **style)
    axes.set_title(title, fontsize="medium")
    axes.set(xticks=[], yticks=[])


def row(panels: Sequence[tuple[np.ndarray, str, bool]], *, width: float = 2.4) -> Figure:
    """Draws maps side by side."""
    figure = Figure(figsize=(width * len(panels), width + 0.24), layout="constrained")
    for axes, (image, title, signed) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        show(axes, image, title, signed=signed)
    return figure


def write_numbers(axes: Axes, kernel: np.ndarray) -> None:
    """Writes each number of a filter into its cell, with a grid between the cells."""
    height, width = kernel.shape
    for (y, x), number in np.ndenumerate(kernel):
        # White on the deep colours at both ends of the scale.
        color = "white" if abs(number) > 0.6 * np.abs(kernel).max() else "black"
        axes.text(x, y, f"{number:g}", ha="center", va="center", color=color, fontsize="large")
    axes.set_xticks(np.arange(width + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(height + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="black", linewidth=1)
    axes.tick_params(which="minor", length=0)


def scale(figure: Figure, axes: Axes) -> None:
    """Draws the colours of a map, and what they stand for, below it."""
    (image,) = axes.images
    low, high = image.get_clim()
    ticks = sorted({low, 0, high})
    bar = figure.colorbar(image, ax=axes, orientation="horizontal", pad=0.03, fraction=0.06, ticks=ticks)
    bar.ax.set_xticklabels([f"{tick:.2g}" for tick in ticks], fontsize="small")


def draw_filter() -> Figure:
    """One image, one filter, one feature map."""
    image, upright = digit(), np.array([[-1, 0, 1]] * 3, dtype=np.float32)
    found = convolve(image / 127.5 - 1, upright)
    panels = [
        (image / 127.5 - 1, "image, 28x28", False),
        (upright, "filter, 3x3", True),
        (found, "what it answers, 28x28", True),
        (np.maximum(found, 0), "after ReLU, 28x28", False),
    ]
    figure = row(panels, width=2.6)
    figure.set_figheight(3.1)
    write_numbers(figure.axes[1], upright)
    for axes in figure.axes[:]:
        scale(figure, axes)
    return figure


def draw_padding() -> Figure:
    """The same filter with and without padding."""
    image, blur = digit(), np.full((5, 5), 1 / 25, dtype=np.float32)
    figure = Figure(figsize=(8, 3), layout="constrained")
    maps = [(image, "image, 28x28")]
    for padding in ("same", "valid"):
        found = convolve(image, blur, padding=padding)
        maps.append((found, f'padding="{padding}", {found.shape[0]}x{found.shape[1]}'))
    for axes, (found, title) in zip(figure.subplots(1, 3), maps, strict=True):
        show(axes, found, title)
        # One scale for all three, so that a smaller map is drawn smaller.
        margin = (28 - len(found)) / 2
        axes.set(xlim=(-0.5 - margin, 27.5 - margin), ylim=(27.5 - margin, -0.5 - margin))
    return figure


def draw_strides() -> Figure:
    """Two ways to halve a map."""
    image, blur = digit(), np.full((3, 3), 1 / 9, dtype=np.float32)
    full = convolve(image, blur)
    pooled = np.asarray(keras.layers.MaxPooling2D(2, padding="same")(full[None, :, :, None]))[0, :, :, 0]
    return row(
        [
            (full, "strides=1, 28x28", False),
            (pooled, "then max-pooling 2x2, 14x14", False),
            (convolve(image, blur, strides=2), "strides=2, 14x14", False),
        ],
        width=2.8,
    )


def draw_learnt_filters(model: keras.Model) -> Figure:
    """The filters of the first convolution, and what each answers."""
    convolution = model.get_layer("stem_1_conv")
    kernels = np.asarray(convolution.kernel)[:, :, 0, :]
    answers = feature_maps(model, "stem")
    columns, rows = 8, -(-kernels.shape[-1] // 8)
    figure = Figure(figsize=(columns * 1.1, rows * 2.4), layout="constrained")
    grid = figure.subplots(2 * rows, columns)
    for axes in grid.flat:
        axes.axis("off")
    for number in range(kernels.shape[-1]):
        line, column = divmod(number, columns)
        show(grid[2 * line, column], kernels[:, :, number], f"filter {number + 1}", signed=True)
        show(grid[2 * line + 1, column], answers[:, :, number], "")
    return figure


def feature_maps(model: keras.Model, stage: str) -> np.ndarray:
    """Returns what a stage gives for the digit: float32[height, width, channels]."""
    (last,) = (found.last for found in zoo.stages(model) if found.name == stage)
    part = keras.Model(model.input, last.output)
    return np.asarray(part(digit()[None, :, :, None]))[0]


def draw_stages(model: keras.Model) -> Figure:
    """The eight liveliest maps of each stage."""
    names = [stage.name for stage in zoo.stages(model) if stage.name != "head"]
    figure = Figure(figsize=(8 * 1.1, len(names) * 1.35), layout="constrained")
    for name, line in zip(names, figure.subplots(len(names), 8), strict=True):
        maps = feature_maps(model, name)
        liveliest = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:8]
        for axes, channel in zip(line, liveliest, strict=True):
            show(axes, maps[:, :, channel], "")
        height, width, channels = maps.shape
        line[0].set_title(f"{name}: {height}x{width}, {channels} channels", loc="left", fontsize="medium")
    return figure


def main() -> None:
    """Writes every picture beside this file."""
    model = zoo.build("mnist_conv")
    pictures: dict[str, Callable[[], Figure]] = {
        "filter": draw_filter,
        "padding": draw_padding,
        "strides": draw_strides,
        "learnt-filters": lambda: draw_learnt_filters(model),
        "stages": lambda: draw_stages(model),
    }
    for name, draw in pictures.items():
        draw().savefig(HERE / f"{name}.png", dpi=100)
    print(dict(zip(map(str, range(10)), np.asarray(model(digit()[None, :, :, None]))[0].round(4), strict=True)))


if __name__ == "__main__":
    main()
