"""From an image file, or an image in memory, to pixels of a size; or the reason why not."""

from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data.images.content import says_what_to_do
from zoo.data.images.decoding import as_image, bad_image, decode, flattened
from zoo.data.images.facts import BadImageError, Facts
from zoo.data.images.fitting import fitted
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.settings import Settings
from zoo.errors import DataError


def read_image(path: Path, settings: Settings) -> np.ndarray:
    """Decodes one file: its first frame, turned upright, at the given size.

    Args:
        path: A JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF, JPEG 2000, PPM or, with `zoo[heic]`, HEIC file, whatever its
            suffix.
        settings: The size, the channels, and how a photo of another shape is brought to them.

    Returns:
        uint8[height, width, channels] in [0, 255], not to be written to.

    Raises:
        DataError: The file cannot be read as an image.
    """
    with quiet_pillow():
        try:
            return read_pixels(path, settings)[0]
        except BadImageError as fault:
            advice = "" if says_what_to_do(str(fault)) else ". Repair or replace the file."
            raise DataError(f"{path}: {fault}{advice}") from fault


def read_pixels(path: Path | bytes, settings: Settings) -> tuple[np.ndarray, Facts]:
    """Decodes one file to pixels, as `read_image` does.

    Raises:
        BadImageError: It gives no pixels.
    """
    image, facts = decode(path, side=settings.side, white=settings.fit.white)
    try:
        return fitted(image, settings), facts
    except Exception as fault:  # no fault of one image may end a run over many, whatever its class
        raise bad_image(facts, fault) from fault


def fit_image(image: Image.Image | np.ndarray, settings: Settings) -> np.ndarray:
    """Turns an image upright as its EXIF says, converts it to 8-bit grey or RGB, and brings it to a size.

    Transparent pixels are composited on white. Deeper greys become 8 bits by a fixed rule: 16-bit and 32-bit
    integers are v / 257 (65535 is white), floats are 255 v when all lie in [0, 1], else v.

    Args:
        image: Of any Pillow mode; or uint8[height, width(, channels)] in [0, 255].
        settings: The size, the channels (grey is ITU-R 601 luminance), and how another shape is brought to them.

    Returns:
        uint8[height, width, channels] in [0, 255], not to be written to.

    Raises:
        ValueError: Integers outside [0, 65535] or [0, white], floats outside [0, 255], or what is not an image.
    """
    try:
        return fit_known(as_image(image), settings)[0]
    except BadImageError as fault:
        raise ValueError(str(fault)) from fault


def fit_known(image: Image.Image, settings: Settings) -> tuple[np.ndarray, Facts]:
    """Brings an image to the size that settings ask for, as `fit_image` does, and says what it was.

    Raises:
        BadImageError: It is brighter than the settings' white.
        ValueError: Integers outside [0, 65535], or floats outside [0, 255].
    """
    flat, facts = flattened(image, side=settings.side, white=settings.fit.white)
    return fitted(flat, settings), facts
