"""What images take while they are decoded: a limit for each, one for all threads together, and large ones in parts.

How much a format's reader takes for a pixel was measured. It is computed from the header, before memory is taken.
"""

import math
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from zoo.backend.memory import available_bytes
from zoo.data.images.flattening import brightest_of, flatten, is_flat
from zoo.data.images.structure import NoPixelsError

# Pillow's own limit for an error, which cannot be raised without changing a global of Pillow's.
MAX_PIXELS = 178_956_970
# The most that one image may take, and from how much on images wait for one another.
MAX_BYTES, LARGE_BYTES = 440_000_000, 128_000_000
# Of the free memory large images on all threads take this part, where that is more than the largest one.
_SHARE = 16
# An image of more pixels is made opaque a few rows at a time.
LARGE_PIXELS = 32_000_000
_PIXELS_AT_ONCE = 2_000_000
# A JPEG may be decoded at 1/2, 1/4 or 1/8 while that leaves this many times the size needed: what Image.thumbnail does
# by default, as the rest of the way is then still a real average. Large images of other formats are averaged so far.
RESERVE = 2
# Bytes for a pixel: those of Pillow's modes that take less than 4, and what some readers take in all.
_MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_READER_BYTES = {"WEBP": 16, "AVIF": 11, "HEIF": 9, "JPEG2000": 19}
_BITS, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 258, 278, 322, 323


def shrink(image: Image.Image, side: int) -> tuple[int, int]:
    """Asks for fewer pixels where the format can give them by itself.

    Args:
        image: Open, not loaded.
        side: How many pixels are needed at least, on each side.

    Returns:
        The width and height that are decoded.
    """
    if image.format in ("JPEG", "MPO"):  # a HEIC photo would give the thumbnail that it carries
        image.draft(None, (RESERVE * side, RESERVE * side))
    elif image.format == "JPEG2000":
        halvings, taken = 0, image.width * image.height * _READER_BYTES["JPEG2000"]
        while taken >> 2 * halvings > LARGE_BYTES and min(image.size) >> halvings + 1 >= RESERVE * side:
            halvings += 1
        if halvings and taken > MAX_BYTES:
            image.reduce = halvings  # pyright: ignore[reportAttributeAccessIssue] -- Pillow's own name of it
            return image.width >> halvings, image.height >> halvings
    return image.size


def load(image: Image.Image) -> None:
    """Reads the pixels of an image that `shrink` was given."""
    image.load()
    if image.format == "JPEG2000":
        image.reduce = 0  # pyright: ignore[reportAttributeAccessIssue] -- else it hides Pillow's method of that name


def check_size(
    image: Image.Image, full: tuple[int, int], decoded: tuple[int, int], side: int, *, is_read_twice: bool
) -> int:
    """Returns how many bytes decoding an image takes.

    Args:
        image: Open, not loaded.
        full: Its width and height as stored.
        decoded: What `shrink` gave.
        side: How many pixels are needed at least, on each side.
        is_read_twice: Whether the lower bytes of its colours are wanted too.

    Raises:
        NoPixelsError: It takes more than one image may.
    """
    pixels = math.prod(full)
    words = f"has {full[0]} x {full[1]} pixels"
    if pixels > MAX_PIXELS:
        raise NoPixelsError(f"{words}, more than {MAX_PIXELS:,}")
    each = max(_MODE_BYTES.get(image.mode, 4) * (3 if is_read_twice else 1), _READER_BYTES.get(image.format or "", 0))
    is_large = math.prod(decoded) > LARGE_PIXELS
    if is_large and factor_of(decoded, side) == 1 and image.mode != "RGB":
        each += 1 if image.mode in ("1", "L") else 4
    if decoded[0] > _PIXELS_AT_ONCE:  # no part is smaller than a row
        each *= 3
    taken = math.prod(decoded) * each + _coefficients(image, pixels) + _largest_part(image)
    if taken > MAX_BYTES:
        raise NoPixelsError(
            f"{words}, which take {taken / 1e6:,.0f} MB to decode ({image.format or 'image'}, {image.mode}); "
            f"expected at most {MAX_BYTES / 1e6:,.0f} MB"
        )
    return taken


def _coefficients(image: Image.Image, pixels: int) -> int:
    """Returns what libjpeg keeps of a JPEG of several scans, whatever the size that it is decoded to."""
    if image.format not in ("JPEG", "MPO") or not image.info.get("progressive"):
        return 0
    layers: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    across, down = (max((layer[place] for layer in layers), default=1) or 1 for place in (1, 2))
    shares = [layer[1] * layer[2] / (across * down) for layer in layers]
    return int(2 * pixels * sum(shares))


def _largest_part(image: Image.Image) -> int:
    """Returns what is unpacked as a whole beside the pixels: a strip or tile of libtiff's."""
    tiles: Any = getattr(image, "tile", [])
    if image.format in ("BMP", "DIB") and any(tile[0] == "bmp_rle" for tile in tiles):
        return 2 * image.width * image.height  # Python's own decoder copies
    if image.format != "TIFF" or not any(tile[0] == "libtiff" for tile in tiles):
        return 0
    tags: Any = getattr(image, "tag_v2", {})
    width, height = tags.get(_TILE_WIDTH), tags.get(_TILE_HEIGHT)
    if not (isinstance(width, int) and isinstance(height, int)):
        rows = tags.get(_ROWS_PER_STRIP, image.height)
        width, height = image.width, min(int(rows), image.height)
    bits = tags.get(_BITS, (1,))
    return width * height * max(sum(bits), 8 * _MODE_BYTES.get(image.mode, 4)) // 8


def factor_of(size: tuple[int, int], side: int) -> int:
    """Returns over squares of how many pixels a side a large image may be averaged."""
    return max(min(size) // (RESERVE * side), 1) if side else 1


def flatten_in_parts(image: Image.Image, *, side: int, raw: str, white: int, lower: Image.Image | None) -> Image.Image:
    """Makes a large image opaque and of 8 bits a channel, and averages it where far fewer pixels are needed.

    Args:
        image: Loaded.
        side: How many pixels are needed at least, on each side; 0 for all.
        raw: How its pixels lie in the file.
        white: The value of more than 8 bits that becomes 255; 0 is the largest that the file's bits can have.
        lower: The lower bytes of its colours, where they are wanted.

    Raises:
        ValueError: Deep pixels out of range.
    """
    factor = factor_of(image.size, side)
    if factor == 1 and lower is None and is_flat(image):
        return image
    whole: Image.Image | None = None
    brightest = brightest_of(image)
    for part, box in _parts(image, factor):
        lower_part = None if lower is None else lower.crop(box)
        flat = flatten(part, raw=raw, white=white, lower=lower_part, brightest=brightest)
        if factor > 1:
            flat = flat.reduce(factor)
        if whole is None:
            whole = Image.new(flat.mode, (-(-image.width // factor), -(-image.height // factor)))
        whole.paste(flat, (0, box[1] // factor))
    assert whole is not None  # it is large
    return whole


def _parts(image: Image.Image, factor: int) -> Iterator[tuple[Image.Image, tuple[int, int, int, int]]]:
    """Cuts an image into parts of whole squares, as wide as it is."""
    rows = max(_PIXELS_AT_ONCE // (image.width * factor), 1) * factor
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield image.crop(box), box


_free = threading.Condition()
_taken = 0


@contextmanager
def reserved(size: int) -> Generator[None]:
    """Lets a large image wait until those that are decoded on other threads leave room for it."""
    global _taken
    if size <= LARGE_BYTES:
        yield
        return
    room = max(MAX_BYTES, (available_bytes() or 0) // _SHARE)
    with _free:
        _free.wait_for(lambda: not _taken or _taken + size <= room)
        _taken += size
    try:
        yield
    finally:
        with _free:
            _taken -= size
            _free.notify_all()
