"""Every size is brought to every size: the right shape, the right part of the image, and no exception."""

import numpy as np
import pytest
from PIL import Image

from zoo.data import fit_image, read_image

# Two channels hold where a pixel lies, as a share of the side; the third holds nothing.
STEPS = 255


def gradient(width: int, height: int) -> Image.Image:
    """Red rises from left to right and green from top to bottom: half a pixel beyond the edges they are 0 and 255."""
    x = (np.arange(width) + 0.5) / width * STEPS
    y = (np.arange(height) + 0.5) / height * STEPS
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.rint(x), np.rint(y)[:, np.newaxis]
    return Image.fromarray(pixels)


def sizes(count: int, seed: int) -> list[tuple[int, int, int, int]]:
    """Sides from one pixel to long and thin ones, and the common sizes of photos."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(0, np.log(900), (count, 2))).astype(int)
    targets = np.exp(rng.uniform(np.log(8), np.log(320), (count, 2))).astype(int)
    square = rng.random(count) < 0.6
    targets[square, 1] = targets[square, 0]
    return [tuple(map(int, row)) for row in np.hstack([sides, targets])]


def centre(fitted: np.ndarray, channel: int) -> float:
    """The mean place along a channel's axis of all pixels, as a share of the source's side."""
    return float(fitted[..., channel].mean()) / STEPS


@pytest.mark.parametrize("seed", range(4))
def test_a_crop_is_the_centred_part(seed):
    for width, height, to_width, to_height in sizes(500, seed):
        fitted = fit_image(gradient(width, height), height=to_height, width=to_width, channels=3, resize="crop")
        case = f"{width}x{height} to {to_width}x{to_height}"
        assert fitted.shape == (to_height, to_width, 3), case
        # Half a pixel of the source, and what rounding to whole greys may hide.
        assert abs(centre(fitted, 0) - 0.5) <= 0.5 / width + 1 / STEPS, case
        assert abs(centre(fitted, 1) - 0.5) <= 0.5 / height + 1 / STEPS, case


@pytest.mark.parametrize("seed", range(4))
def test_stretching_keeps_all_of_the_image(seed):
    for width, height, to_width, to_height in sizes(300, seed):
        fitted = fit_image(gradient(width, height), height=to_height, width=to_width, channels=3, resize="stretch")
        assert fitted.shape == (to_height, to_width, 3)
        assert abs(centre(fitted, 0) - 0.5) <= 1 / STEPS
        assert abs(centre(fitted, 1) - 0.5) <= 1 / STEPS


@pytest.mark.parametrize("seed", range(4))
def test_padding_is_centred_on_black(seed):
    for width, height, to_width, to_height in sizes(300, seed):
        white = Image.new("L", (width, height), 255)
        fitted = fit_image(white, height=to_height, width=to_width, channels=1, resize="pad")[..., 0]
        assert fitted.shape == (to_height, to_width)
        assert set(np.unique(fitted)) <= {0, 255}
        rows, columns = np.flatnonzero(fitted.any(1)), np.flatnonzero(fitted.any(0))
        for found, side in ((rows, to_height), (columns, to_width)):
            assert abs((found[0] + found[-1]) / 2 - (side - 1) / 2) <= 0.5
        scale = max(width / to_width, height / to_height)
        assert (len(rows), len(columns)) == (max(round(height / scale), 1), max(round(width / scale), 1))


@pytest.mark.parametrize("size", [(600, 450), (300, 225), (900, 900), (1200, 900), (225, 300)])
@pytest.mark.parametrize("side", [224, 240, 260])
def test_common_photos_are_read(tmp_path, size, side):
    # 450 - 224 * (450 / 224) is less than 0 in floating point.
    path = tmp_path / "x.png"
    gradient(*size).save(path)
    for resize in ("crop", "pad", "stretch"):
        assert read_image(path, height=side, width=side, channels=3, resize=resize).shape == (side, side, 3)


def test_every_side_is_cropped_to_common_sizes():
    for side in range(200, 1000):
        tall = Image.new("L", (side, side + 1 + side % 7))
        for target in (96, 128, 160, 192, 224, 240, 260, 299):
            assert fit_image(tall, height=target, width=target, channels=1).shape == (target, target, 1)


def test_a_part_that_needs_no_scaling_is_cut_out_exactly():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 6, 3)).astype(np.uint8)
    fitted = fit_image(Image.fromarray(pixels), height=6, width=6, channels=3)
    assert (fitted == pixels[1:7]).all()
