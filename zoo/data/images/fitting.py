"""From an upright, opaque image to pixels of a size: what is cut off, added or stretched, and how it is averaged."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from zoo.data.images.settings import MODES, Settings
from zoo.registry.fitting import Interpolation, Resize

# Pillow widens both to an average over an area when it shrinks: no aliasing. Bilinear gives no values beyond the
# neighbours', so that black-and-white drawings keep flat grounds; bicubic is what many weights were measured with.
_FILTERS: dict[Interpolation, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def fitted(image: Image.Image, settings: Settings) -> np.ndarray:
    """Brings an image that is upright and opaque to the size and channels of the settings.

    Args:
        image: Of 8 bits a channel.
        settings: What is wanted.

    Returns:
        uint8[height, width, channels] in [0, 255], not to be written to.

    Raises:
        ValueError: It has no pixels.
    """
    if not (image.width and image.height):
        raise ValueError(f"has {image.width} x {image.height} pixels")
    mode = MODES[settings.channels]
    # Pillow would copy an image that has the mode already.
    converted = image if image.mode == mode else image.convert(mode)
    resized = _RESIZERS[settings.fit.resize](converted, settings)
    return np.asarray(resized).reshape(settings.shape)


def _crop(image: Image.Image, settings: Settings) -> Image.Image:
    width, height = settings.width, settings.height
    if settings.fit.crop_share < 1:
        return _scaled(image, width, height, settings, box=_cut_out(image, settings))
    # The side that is kept whole is not computed from a ratio: rounding would make the box larger than the image.
    if image.width * height <= image.height * width:
        box_width, box_height = float(image.width), image.width * height / width
    else:
        box_width, box_height = image.height * width / height, float(image.height)
    left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
    if (box_width, box_height) == (width, height):
        left, top = left // 1, top // 1  # half a pixel would blur an image that needs no scaling
    return _scaled(image, width, height, settings, box=(left, top, left + box_width, top + box_height))


def _cut_out(image: Image.Image, settings: Settings) -> tuple[float, float, float, float]:
    """Returns what resizing the shorter side and cutting out the centre would leave, without scaling the rest.

    As torchvision's Resize and CenterCrop round, which weights are measured with: the longer side down to whole pixels,
    the cut to the nearest.
    """
    share = settings.fit.crop_share
    wide, high = round(settings.width / share), round(settings.height / share)
    if image.width * high <= image.height * wide:
        resized = wide, max(image.height * wide // image.width, settings.height)
    else:
        resized = max(image.width * high // image.height, settings.width), high
    across, down = image.width / resized[0], image.height / resized[1]
    left, top = round((resized[0] - settings.width) / 2), round((resized[1] - settings.height) / 2)
    right, bottom = (left + settings.width) * across, (top + settings.height) * down
    return left * across, top * down, min(right, image.width), min(bottom, image.height)


def _pad(image: Image.Image, settings: Settings) -> Image.Image:
    width, height = settings.width, settings.height
    scale = max(image.width / width, image.height / height)
    inner = (max(round(image.width / scale), 1), max(round(image.height / scale), 1))
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(_scaled(image, *inner, settings), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def _stretch(image: Image.Image, settings: Settings) -> Image.Image:
    rest = (1 - settings.fit.crop_share) / 2
    box = (image.width * rest, image.height * rest, image.width * (1 - rest), image.height * (1 - rest))
    return _scaled(image, settings.width, settings.height, settings, box=box)


def _scaled(
    image: Image.Image,
    width: int,
    height: int,
    settings: Settings,
    *,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    return image.resize((width, height), _FILTERS[settings.fit.interpolation], box=box)


_RESIZERS: dict[Resize, Callable[[Image.Image, Settings], Image.Image]] = {
    "crop": _crop,
    "pad": _pad,
    "stretch": _stretch,
}
