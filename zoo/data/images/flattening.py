"""From an image of any Pillow mode to an upright, opaque one of 8 bits a channel, by fixed rules."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

# The deep grey that becomes white, where neither the file nor the recipe says another.
FULL_WHITE = 65535
_TWELVE_BITS = 4095
_EXIF_ORIENTATION = 0x0112
_PIXELS_AT_ONCE = 2_000_000
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# How colours of 16 bits lie in a file, and the mode by which Pillow takes the lower byte of each.
_LOWER = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if np.little_endian else "L"))
}


def upright(image: Image.Image, turn: int) -> Image.Image:
    """Turns an image, as EXIF numbers it."""
    # Not ImageOps.exif_transpose, which also writes the EXIF anew and fails on a damaged one.
    return image.transpose(_TURNS[turn]) if turn in _TURNS else image


def orientation(image: Image.Image) -> int:
    """Returns how an image is to be turned, 2 to 8 as EXIF numbers it; 1 where it is upright or EXIF says no more."""
    try:
        found = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF, in any way: the pixels are as good as before
        return 1
    return found if found in _TURNS else 1


def raw_mode(image: Image.Image) -> str:
    """Returns how the pixels lie in the file; to be asked before they are loaded, as Pillow then forgets it."""
    for tile in getattr(image, "tile", []):
        args = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
        if isinstance(args, str):
            return args
    return image.mode


def white_of(raw: str) -> int:
    """Returns the largest deep grey that pixels which lie so can have."""
    return _TWELVE_BITS if raw == "I;12" else FULL_WHITE


def has_all_bits(mode: str) -> bool:
    """Whether all bits of deep pixels of a kind can be read: of grey with alpha Pillow gives the upper 8 alone."""
    return mode.startswith("I") or mode in _LOWER


def peak_of(image: Image.Image, *, is_deep: bool) -> int:
    """Returns the largest value of an image of more than 8 bits; 0 of any other, and of floats.

    Args:
        image: Loaded.
        is_deep: Whether the file has more than 8 bits a channel: of colours Pillow keeps the upper 8.
    """
    if image.mode.startswith("I"):
        return max(int(max(np.asarray(part).max() for part in _strips(image))), 0)
    if not is_deep or image.mode not in ("RGB", "RGBA", "RGBX", "LA"):
        return 0
    channels = slice(1 if image.mode == "LA" else 3)
    highest = max(np.asarray(part)[..., channels].max() for part in _strips(image))
    return int(highest) * 256 + 255 if highest else 0


def brightest_of(image: Image.Image) -> float:
    """Returns the largest value of an image of floats; of any other 0. NaN where there is one."""
    return float(np.max([np.asarray(part).max() for part in _strips(image)])) if image.mode == "F" else 0.0


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    """Cuts a large image into parts, so that no copy of the whole is made."""
    rows = max(_PIXELS_AT_ONCE // image.width, 1)
    if rows >= image.height:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def needs_lower_bytes(image: Image.Image, raw: str, white: int) -> bool:
    """Whether colours of 16 bits are to be read once more, for their lower bytes."""
    return raw in _LOWER and bool(white or isinstance(image.info.get("transparency"), tuple))


def flatten(
    image: Image.Image,
    *,
    raw: str = "",
    white: int = 0,
    lower: Image.Image | None = None,
    brightest: float | None = None,
) -> Image.Image:
    """Returns a grey or RGB image.

    Args:
        image: Of any mode, loaded.
        raw: How its pixels lie in the file.
        white: The value of more than 8 bits that becomes 255; 0 is the largest that the file's bits can have.
        lower: Where `needs_lower_bytes`, what `lower_bytes` gave.
        brightest: Of floats the largest value of the whole image, where this is a part of it.

    Raises:
        ValueError: Deep pixels out of range.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _flatten_deep(image, white or white_of(raw), brightest)
    if needs_lower_bytes(image, raw, white):
        if lower is None:
            raise ValueError("colours of 16 bits, whose lower bytes are read from files only; data.white needs them")
        return _flatten_deep_colours(image, np.asarray(lower), white)
    if image.mode == "La":  # Pillow makes no RGBA of it
        image = image.convert("LA")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    if is_flat(image):
        return image
    # Some modes, such as LAB, become grey by way of RGB only.
    return image.convert("L" if image.mode == "1" else "RGB")


def is_flat(image: Image.Image) -> bool:
    """Whether an image is grey or RGB, and opaque."""
    return image.mode in ("L", "RGB") and not image.has_transparency_data


def _on_white(layer: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _flatten_deep(image: Image.Image, white: int, brightest: float | None) -> Image.Image:
    deep: np.ndarray[Any, Any] = np.asarray(image)
    grey = _eight_bits_of_floats(deep, brightest) if deep.dtype.kind == "f" else _eight_bits(deep, white)
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # of a PNG: the one grey that is seen through
        grey[deep == clear] = 255
    return Image.fromarray(grey)


def _flatten_deep_colours(image: Image.Image, lower: np.ndarray, white: int) -> Image.Image:
    upper = np.asarray(image)
    deep = (upper.astype(np.uint16) << 8 | lower)[..., :3]
    colours = _eight_bits(deep, white) if white else upper[..., :3].copy()
    clear = image.info.get("transparency")
    if isinstance(clear, tuple):  # of a PNG: the one colour that is seen through
        colours[(deep == np.array(clear, np.uint16)).all(axis=-1)] = 255
    if image.mode == "RGBA":
        return _on_white(Image.fromarray(np.dstack([colours, upper[..., 3]])))
    return Image.fromarray(colours)


def lower_bytes(image: Any, raw: str) -> Image.Image:
    """Reads the lower byte of each value, of which Pillow keeps the upper alone.

    Args:
        image: Opened once more, not loaded.
        raw: How its pixels lie in the file.
    """
    image.tile = [
        tile._replace(args=(_LOWER[raw], *tile.args[1:]) if isinstance(tile.args, tuple) else _LOWER[raw])
        for tile in image.tile
    ]
    image.load()
    return image


def _eight_bits_of_floats(grey: np.ndarray, brightest: float | None) -> np.ndarray:
    low, high = float(grey.min()), float(grey.max()) if brightest is None else brightest
    if not 0 <= low <= high <= 255:  # not a number compares false
        raise ValueError(f"float pixels in [{low:g}, {high:g}]; expected [0, 1] or [0, 255]")
    return np.rint(grey * (255 if high <= 1 else 1)).astype(np.uint8)


def _eight_bits(values: np.ndarray, white: int) -> np.ndarray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > white:
        raise ValueError(f"integer pixels in [{low}, {high}]; expected [0, {white}]")
    if values.dtype == np.uint16 and values.size > high:  # the same rule, computed once for each value
        return _eight_bits(np.arange(high + 1), white)[values]
    return np.rint(values / (white / 255)).astype(np.uint8)
