"""Every size is brought to every size: the right shape, the right part of the image, and no exception."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.pixels import sized
from zoo.data import fit_image, read_image
from zoo.errors import DataError

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
        fitted = fit_image(gradient(width, height), sized(height=to_height, width=to_width, channels=3, resize="crop"))
        case = f"{width}x{height} to {to_width}x{to_height}"
        assert fitted.shape == (to_height, to_width, 3), case
        # Half a pixel of the source, and what rounding to whole greys may hide.
        assert abs(centre(fitted, 0) - 0.5) <= 0.5 / width + 1 / STEPS, case
        assert abs(centre(fitted, 1) - 0.5) <= 0.5 / height + 1 / STEPS, case


@pytest.mark.parametrize("seed", range(4))
def test_stretching_keeps_all_of_the_image(seed):
    for width, height, to_width, to_height in sizes(300, seed):
        fitted = fit_image(
            gradient(width, height), sized(height=to_height, width=to_width, channels=3, resize="stretch")
        )
        assert fitted.shape == (to_height, to_width, 3)
        assert abs(centre(fitted, 0) - 0.5) <= 1 / STEPS
        assert abs(centre(fitted, 1) - 0.5) <= 1 / STEPS


@pytest.mark.parametrize("seed", range(4))
def test_padding_is_centred_on_black(seed):
    for width, height, to_width, to_height in sizes(300, seed):
        white = Image.new("L", (width, height), 255)
        fitted = fit_image(white, sized(height=to_height, width=to_width, channels=1, resize="pad"))[..., 0]
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
        assert read_image(path, sized(height=side, width=side, channels=3, resize=resize)).shape == (side, side, 3)


def test_every_side_is_cropped_to_common_sizes():
    for side in range(200, 1000):
        tall = Image.new("L", (side, side + 1 + side % 7))
        for target in (96, 128, 160, 192, 224, 240, 260, 299):
            assert fit_image(tall, sized(height=target, width=target, channels=1)).shape == (target, target, 1)


def test_a_part_that_needs_no_scaling_is_cut_out_exactly():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 6, 3)).astype(np.uint8)
    fitted = fit_image(Image.fromarray(pixels), sized(height=6, width=6, channels=3))
    assert (fitted == pixels[1:7]).all()


def photo(width: int, height: int) -> Image.Image:
    """Smooth waves with some grain, so that filters differ and a shift of a pixel does not drown in noise."""
    x, y = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
    waves = 128 + 60 * np.sin(x / 23 + np.arange(3)) + 50 * np.cos(y / 17 - np.arange(3))
    return Image.fromarray((waves + np.random.default_rng(0).normal(0, 5, waves.shape)).clip(0, 255).astype(np.uint8))


SHARES = [
    (224, 0.875, 256),
    (240, 0.8824, 272),
    (260, 0.8904, 292),
    (300, 0.9036, 332),
    (299, 0.875, 342),
    (32, 0.5, 64),
]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("side", "share", "larger"), SHARES)
def test_a_share_is_what_resizing_and_cutting_out_gives(side, share, larger, interpolation):
    # As torchvision's Resize and CenterCrop do, by Pillow alone.
    for size in [(512, 512), (333, 333), (640, 480), (375, 500), (1000, 667), (301, 299), (192, 256), (90, 700)]:
        image = photo(*size)
        short, long = min(size), int(max(size) * larger / min(size))
        resized = (larger, long) if size[0] == short else (long, larger)
        left, top = (round((sides - side) / 2) for sides in resized)
        cut = image.resize(resized, Image.Resampling[interpolation.upper()]).crop((left, top, left + side, top + side))
        size_and_share = {"height": side, "width": side, "channels": 3, "crop_share": share}
        fitted = fit_image(image, sized(interpolation=interpolation, **size_and_share))
        difference = np.abs(fitted.astype(int) - np.asarray(cut))
        assert difference.max() <= 2, size  # Pillow keeps a place as float32
        assert difference.mean() <= 0.3, size


def test_a_share_of_a_stretched_photo_is_the_centre_of_both_sides():
    # The central 0.875 of both sides, scaled to a square, is how TF-Slim evaluates its Inceptions.
    image = photo(800, 480)
    expected = image.crop((50, 30, 750, 450)).resize((299, 299), Image.Resampling.BILINEAR)
    fitted = fit_image(image, sized(height=299, width=299, channels=3, resize="stretch", crop_share=0.875))
    inner = np.abs(fitted.astype(int) - np.asarray(expected))[2:-2, 2:-2]  # at the edge ours sees what lies beyond
    assert inner.max() <= 1


@pytest.mark.parametrize("resize", ["crop", "stretch"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_every_share_of_every_size_is_centred(resize, interpolation):
    rng = np.random.default_rng(7)
    for width, height, to_width, to_height in sizes(300, 9):
        share = float(rng.uniform(0.1, 1))
        size = {"height": to_height, "width": to_width, "channels": 3, "crop_share": share}
        fitted = fit_image(gradient(width, height), sized(resize=resize, interpolation=interpolation, **size))
        case = f"{share} of {width}x{height} to {to_width}x{to_height}"
        assert fitted.shape == (to_height, to_width, 3), case
        # Half a pixel of the result, as a crop begins on a whole one, or of the source, and what rounding may hide.
        assert abs(centre(fitted, 0) - 0.5) <= max(0.5 / to_width, 0.5 / width) + 1 / STEPS, case
        assert abs(centre(fitted, 1) - 0.5) <= max(0.5 / to_height, 0.5 / height) + 1 / STEPS, case


def test_a_share_of_a_jpeg_is_cut_from_more_than_enough_pixels(tmp_path):
    # A JPEG is decoded at a fraction of its size; a small share needs more of it.
    path = tmp_path / "x.jpg"
    photo(2400, 2400).save(path, quality=95)
    with Image.open(path) as whole:
        expected = fit_image(whole, sized(height=64, width=64, channels=3, crop_share=0.25))
    fitted = read_image(path, sized(height=64, width=64, channels=3, crop_share=0.25))
    assert np.abs(fitted.astype(int) - expected).mean() <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_share": 0.0}, "data.crop_share is 0.0; expected 0.1 to 1."),
        ({"crop_share": 87.5}, "data.crop_share is 87.5; expected 0.1 to 1."),
        ({"crop_share": float("nan")}, "data.crop_share is nan; expected 0.1 to 1."),
        ({"interpolation": "nearest"}, "data.interpolation is 'nearest'; expected bilinear or bicubic."),
        ({"resize": "pad", "crop_share": 0.9}, "data.crop_share is 0.9 with data.resize 'pad', which cuts nothing off"),
    ],
)
def test_a_fit_out_of_range_is_refused(settings, message):
    with pytest.raises(DataError, match=re.escape(message)):
        fit_image(photo(20, 20), sized(height=8, width=8, channels=3, **settings))
