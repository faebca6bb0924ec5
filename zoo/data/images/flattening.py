"""From an image of any Pillow mode to an upright, opaque one of 8 bits a channel, by fixed rules."""

from typing import Any

import numpy as np
from PIL import Image

# The largest value of a deep grey that becomes white, unless the data says otherwise.
FULL_WHITE = 65535
_TWELVE_BITS = 4095
_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image) -> Image.Image:
    """Turns an image as its EXIF says."""
    # Not ImageOps.exif_transpose, which also writes the EXIF anew and fails on a damaged one.
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def orientation(image: Image.Image) -> int:
    """Returns how an image is to be turned, 2 to 8 as EXIF numbers it; 1 where it is upright or EXIF says no more."""
    try:
        found = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF, in any way: the pixels are as good as before
        return 1
    return found if found in _TURNS else 1


def is_deep(image: Image.Image) -> bool:
    """Whether an image is grey with more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def flatten(image: Image.Image, *, white: int = 0) -> Image.Image:
    """Returns a grey or RGB image.

    Args:
        image: Of any mode, loaded.
        white: The deep grey that becomes 255; 0 is 65535.

    Raises:
        ValueError: Deep greys out of range.
    """
    if is_deep(image):
        return _flatten_deep(image, white)
    if image.mode == "La":  # Pillow makes no RGBA of it
        image = image.convert("LA")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode in ("L", "RGB"):
        return image
    # Some modes, such as LAB, become grey by way of RGB only.
    return image.convert("L" if image.mode == "1" else "RGB")


def white_of(image: Image.Image) -> int:
    """Returns the largest value that an image's deep greys can have by what the file says of itself.

    To be asked before the pixels are loaded: Pillow then forgets how they lay in the file.
    """
    raw = [tile.args for tile in getattr(image, "tile", [])]
    return _TWELVE_BITS if any(args and args[0] == "I;12" for args in raw if isinstance(args, tuple)) else FULL_WHITE


def peak_of(image: Image.Image) -> int:
    """Returns the largest value of an image of deep integer greys; 0 of any other."""
    return max(int(np.asarray(image).max()), 0) if image.mode.startswith("I") else 0


def _flatten_deep(image: Image.Image, white: int) -> Image.Image:
    deep: np.ndarray[Any, Any] = np.asarray(image)
    grey = _eight_bits(deep, white)
    clear = image.info.get("transparency")
    if isinstance(clear, int) and not isinstance(clear, bool):  # of a PNG: the one grey that is seen through
        grey[deep == clear] = 255
    return Image.fromarray(grey)


def _eight_bits(grey: np.ndarray, white: int) -> np.ndarray:
    if grey.dtype.kind == "f":
        low, high = float(grey.min()), float(grey.max())
        if not 0 <= low <= high <= 255:  # not a number compares false
            raise ValueError(f"float pixels in [{low:g}, {high:g}]; expected [0, 1] or [0, 255]")
        return np.rint(grey * (255 if high <= 1 else 1)).astype(np.uint8)
    low, high, largest = int(grey.min()), int(grey.max()), white or FULL_WHITE
    if low < 0 or high > largest:
        of_recipe = f", as data.white = {white} says" if white else ""
        raise ValueError(f"integer pixels in [{low}, {high}]; expected [0, {largest}]{of_recipe}")
    return np.rint(grey / (largest / 255)).astype(np.uint8)
