"""From an image file to an upright, opaque image of 8 bits a channel, by fixed rules; or the reason why not."""

import functools
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError

from zoo.data.images.content import (
    check_content,
    is_heic,
    is_raw_photo,
    name_content,
    open_source,
)
from zoo.data.images.facts import BadImageError, Facts, beyond_white
from zoo.data.images.flattening import (
    flatten,
    lower_bytes,
    needs_lower_bytes,
    orientation,
    peak_of,
    raw_mode,
    upright,
    white_of,
)
from zoo.data.images.large import LARGE_PIXELS, check_size, flatten_in_parts, load, reserved, shrink
from zoo.data.images.pillow import RASTER_FORMATS, heic_version, open_heic
from zoo.data.images.structure import NoPixelsError

# What pixels come of a file is decided by the rules of this folder, whose number goes up with them, by Pillow, and by
# what reads HEIC photos: once that is installed, those that could not be read are tried again.
READER = " ".join(["5", PIL.__version__, heic_version()]).rstrip()


def as_image(item: Any) -> Image.Image:
    """Returns a Pillow image of one, or of uint8[height, width] or uint8[height, width, channels] in [0, 255].

    Grey arrays may be deep as files are: bool, uint16 or floats.

    Raises:
        ValueError: Something else. Pillow would take whole numbers of 32 bits for deep greys: 255 would be black.
    """
    if isinstance(item, Image.Image):
        return item
    pixels = np.asarray(item)
    is_grey = pixels.ndim == 2 and (pixels.dtype == np.uint16 or pixels.dtype.kind in "bf")
    is_plain = pixels.dtype == np.uint8 and (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4)))
    if not (is_grey or is_plain):
        raise ValueError(
            f"{pixels.dtype}{list(pixels.shape)} is not an image; expected uint8[height, width] or "
            "uint8[height, width, channels] with 1, 3 or 4 channels"
        )
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def decode(path: Path | bytes, *, side: int, white: int = 0) -> tuple[Image.Image, Facts]:
    """Decodes one file to an upright, opaque image of 8 bits a channel.

    Args:
        path: The file, or what it holds.
        side: How many pixels are needed at least, on each side; a JPEG may be decoded to less than all it has.
        white: The value of more than 8 bits that becomes 255; 0 is the largest that the file's bits can have.

    Returns:
        A grey or colour image, and what the file is.

    Raises:
        BadImageError: It gives no pixels.
    """
    facts, start = Facts(), b""
    try:
        with open_source(path) as file:
            start = check_content(file)
            with _opened(start, file) as image:
                facts = _facts(image)
                return _flattened(image, facts, side=side, white=white, again=lambda: _opened(start, file))
    except Exception as fault:  # damaged files bring out any class: struct.error, SyntaxError, IndexError, ...
        # Of a TIFF whose compression it does not know Pillow raises KeyError.
        if isinstance(fault, BadImageError):
            raise
        if isinstance(fault, UnidentifiedImageError) or (isinstance(fault, KeyError) and not facts.format):
            raise BadImageError(replace(facts, reason=_named(start, path))) from fault
        raise bad_image(facts, fault) from fault


def flattened(image: Image.Image, *, side: int, white: int = 0) -> tuple[Image.Image, Facts]:
    """Turns an image that is open upright, and makes it opaque and of 8 bits a channel, as `decode` does a file.

    Raises:
        BadImageError: It is brighter than `white`.
        ValueError: Deep pixels out of range; Pillow may raise anything.
    """
    return _flattened(image, _facts(image), side=side, white=white, again=None)


def _flattened(
    image: Image.Image, facts: Facts, *, side: int, white: int, again: Callable[[], Image.Image] | None
) -> tuple[Image.Image, Facts]:
    raw = raw_mode(image)
    if again is None and not getattr(image, "tile", None):  # it lies in memory already
        return _loaded(image, facts, raw=raw, side=side, white=white, again=None)
    # What the caller's code has opened is not asked for fewer pixels: it may be used for something else.
    decoded = image.size if again is None else shrink(image, side)
    is_read_twice = needs_lower_bytes(image, raw, white)
    size = check_size(image, (facts.width, facts.height), decoded, side, is_read_twice=is_read_twice)
    with reserved(size):
        return _loaded(image, facts, raw=raw, side=side, white=white, again=again)


def _loaded(
    image: Image.Image, facts: Facts, *, raw: str, side: int, white: int, again: Callable[[], Image.Image] | None
) -> tuple[Image.Image, Facts]:
    # Pillow turns a TIFF while it loads, and then forgets the tag; a PNG's may come after its pixels.
    stored = orientation(image) if image.format == "TIFF" else 1
    load(image)
    turn = orientation(image)
    facts = replace(
        facts,
        orientation=stored if stored != 1 else turn,
        peak=peak_of(image, is_deep=facts.is_deep),
        full=white_of(raw),
    )
    if reason := beyond_white(facts, white):
        raise BadImageError(facts, reason)
    try:
        lower = lower_bytes(again(), raw) if again is not None and needs_lower_bytes(image, raw, white) else None
        flat = flatten if image.width * image.height <= LARGE_PIXELS else functools.partial(flatten_in_parts, side=side)
        return upright(flat(image, raw=raw, white=white, lower=lower), turn), facts
    except ValueError as fault:
        if not white:
            raise
        raise BadImageError(facts, _reason(fault)) from fault  # with another white it may be read


def open_image(source: Path | bytes) -> Image.Image:
    """Opens an image of any format that `decode` reads; its pixels are read when they are asked for.

    Args:
        source: A file, which is read into memory, or what it holds.

    Raises:
        BadImageError: It is not an image.
    """
    content = b""
    try:
        with open_source(source) as file:
            content = file.read()
        return _opened(check_content(io.BytesIO(content)), io.BytesIO(content))
    except UnidentifiedImageError as fault:
        raise BadImageError(Facts(reason=_named(content, content))) from fault
    except Exception as fault:  # damaged files bring out any class
        raise bad_image(Facts(), fault) from fault


def _opened(start: bytes, file: BinaryIO) -> Image.Image:
    if is_heic(start):
        photo = open_heic(file)
        if photo is None:
            raise NoPixelsError("is a HEIC photo: pip install 'zoo[heic]', or convert it to JPEG")
        return photo
    image = Image.open(file, formats=RASTER_FORMATS)
    if image.format == "TIFF" and is_raw_photo(getattr(image, "tag_v2", {})):
        raise UnidentifiedImageError
    return image


def _named(start: bytes, path: Path | bytes) -> str:
    """Returns what a file is that Pillow does not know."""
    try:
        with open_source(path) as file:
            return name_content(start, file)
    except (NoPixelsError, OSError) as fault:  # it went meanwhile
        return _reason(fault)


def bad_image(facts: Facts, fault: Exception) -> BadImageError:
    """Turns what was raised over a file into the reason why it gives no pixels, beside what is known of it."""
    if isinstance(fault, NoPixelsError):
        return BadImageError(replace(facts, reason=str(fault), passing=fault.passing))
    # Pillow raises OSError too, without a number of the system's. What takes too much memory today may be read later.
    passing = isinstance(fault, MemoryError) or (isinstance(fault, OSError) and fault.errno is not None)
    return BadImageError(replace(facts, reason=_reason(fault), passing=passing))


def _reason(fault: Exception) -> str:
    if isinstance(fault, MemoryError):
        return "cannot be decoded (it takes more memory than there is)"
    words = getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
    return f"cannot be decoded ({' '.join(words.split())})"


def _facts(image: Image.Image) -> Facts:
    return Facts(
        format=image.format or "",
        mode=_mode(image),
        width=image.width,
        height=image.height,
        # What cameras add to a JPEG as MPO is a preview, or the other eye's picture.
        animated=bool(getattr(image, "is_animated", False)) and image.format != "MPO",
        transparent=image.has_transparency_data,
    )


def _mode(image: Image.Image) -> str:
    # Pillow gives colours of 16 bits a channel as 8, and tells only where it keeps how the file has them.
    raw = raw_mode(image)
    # BGR;16 has 5, 6 and 5 bits of one number.
    return raw if ";16" in raw and not raw.startswith("BGR") else image.mode
