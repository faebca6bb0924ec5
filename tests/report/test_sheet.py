"""The contact sheet: everything on it, and readable on a screen."""

import itertools

import numpy as np
import pytest

from zoo.report.sheet import SMALLEST_IMAGE, WIDEST, SheetRow, lay_out, plot_sheet


def sheet(count, draws, *, size=(28, 28, 3), names=None, captions=None):
    images = np.zeros((count, *size), np.uint8)
    rows = [SheetRow(name="as read", images=images, captions=[""] * count)]
    rows += [
        SheetRow(name=f"epoch {number + 1}", images=images, captions=captions or [""] * count)
        for number in range(draws)
    ]
    figure = plot_sheet(names or [f"class{number}" for number in range(count)], rows, "pets")
    figure.draw_without_rendering()
    return figure


def overlap(one, other):
    """Whether two boxes share more than their edges."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    return across > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 2


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("count", [1, 8, 20, 50])
@pytest.mark.parametrize("draws", [0, 4])
def test_a_sheet_fits_a_screen_and_each_image_can_be_seen(count, draws):
    figure = sheet(count, draws)
    width, height = figure.bbox.width, figure.bbox.height
    assert width <= WIDEST
    assert height < 1500
    images = [image.get_window_extent() for image in figure.axes[0].images]
    assert len(images) == count * (1 + draws)
    assert all(box.width >= SMALLEST_IMAGE - 1 and box.height >= SMALLEST_IMAGE - 1 for box in images)
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in images)


def test_classes_are_named_once_and_draws_in_each_block():
    shown = texts(sheet(20, 4))
    blocks = lay_out(20, aspect=1.0, margin=66, caption_lines=[0] * 5).blocks
    assert blocks == 2
    for number in range(20):
        assert shown.count(f"class{number}") == 1
    for name in ("as read", "epoch 1", "epoch 4"):
        assert shown.count(name) == blocks


def test_images_do_not_cover_each_other_nor_the_names():
    figure = sheet(12, 2, captions=["cat 60 %\ndog 40 %"] * 12)
    boxes = [one.get_window_extent() for one in (*figure.axes[0].images, *figure.axes[0].texts)]
    boxes = [box for box in boxes if box.width > 0]
    covered = [(one, other) for one, other in itertools.combinations(boxes, 2) if overlap(one, other)]
    assert covered == []


def test_long_names_keep_to_their_image():
    figure = sheet(12, 1, names=["a very long name of a class that goes on " * 3, "猫" * 40, *"abcdefghij"])
    names = [text.get_window_extent() for text in figure.axes[0].texts[1:13]]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(names) if left.y0 == right.y0)


@pytest.mark.parametrize("size", [(28, 28, 1), (28, 28, 2), (28, 28, 4), (300, 100, 3), (100, 300, 3)])
def test_every_shape_is_drawn_in_its_proportion(size):
    figure = sheet(4, 1, size=size)
    for image in figure.axes[0].images:
        box = image.get_window_extent()
        assert box.height / box.width == pytest.approx(size[0] / size[1], rel=0.02)


def test_black_is_0_and_white_is_255():
    figure = sheet(2, 0, size=(28, 28, 1))
    assert {image.get_clim() for image in figure.axes[0].images} == {(0, 255)}
