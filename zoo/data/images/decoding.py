"""From an image file to pixels of a size, by fixed rules; or the reason why not."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
from PIL import Image, UnidentifiedImageError

from zoo.data.images.content import (
    NoPixelsError,
    check_content,
    is_heic,
    is_raw_photo,
    name_content,
    open_regular,
    says_what_to_do,
)
from zoo.data.images.flattening import (
    FULL_WHITE,
    flatten,
    has_all_bits,
    orientation,
    peak_of,
    raw_mode,
    upright,
    white_of,
)
from zoo.data.images.pillow import RASTER_FORMATS, heic_version, open_heic, quiet_pillow
from zoo.errors import DataError
from zoo.registry.fitting import ImageFit, Interpolation, Resize

# What pixels come of a file is decided by the rules of this folder, whose number goes up with them, by Pillow, and by
# what reads HEIC photos: once that is installed, those that could not be read are tried again.
READER = " ".join(["4", PIL.__version__, heic_version()]).rstrip()
# Checked against the header, before memory is taken. It is Pillow's own limit for an error (0.5 GB as RGB),
# which cannot be raised without changing a global of Pillow's.
MAX_PIXELS = 178_956_970
# Pillow widens both to an average over an area when it shrinks: no aliasing. Bilinear gives no values beyond the
# neighbours', so that black-and-white drawings keep flat grounds; bicubic is what many weights were measured with.
_FILTERS: dict[Interpolation, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# A JPEG may be decoded at 1/2, 1/4 or 1/8 while that leaves this many times the size needed: what
# Image.thumbnail does by default, as the rest of the way is then still a real average.
_DRAFT_RESERVE = 2
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The size and kind of the pixels that are wanted.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for RGB.
        fit: How a photo of another size or shape is brought to it.

    Raises:
        DataError: Settings out of range.
    """

    height: int
    width: int
    channels: int
    fit: ImageFit = field(default_factory=ImageFit)

    def __post_init__(self) -> None:
        if self.channels not in _MODES:
            raise DataError(f"The images are to have {self.channels} channels; expected 1 (grey) or 3 (RGB).")
        if self.height < 1 or self.width < 1:
            raise DataError(f"data.image_size is {self.height} x {self.width} pixels; expected 1 x 1 or more.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels

    @property
    def side(self) -> int:
        """How many pixels a photo's sides need, so that what is cut out of it is not scaled up."""
        return math.ceil(max(self.height, self.width) / self.fit.crop_share)

    def described(self) -> dict[str, Any]:
        """Returns all that decides the pixels of a decoded image, as plain data."""
        return {"height": self.height, "width": self.width, "channels": self.channels, **self.fit.described()}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a file's bytes are, apart from the pixels.

    Attributes:
        reason: Why no pixels can be had of them; empty where they can.
        format: `JPEG`, `PNG` and so on; empty where it is not known.
        mode: Pillow's: `RGB`, `CMYK`, `I;16`, ...
        width: In pixels, as stored.
        height: In pixels, as stored.
        orientation: How it is to be turned, as EXIF numbers it; 1 is upright.
        animated: Whether it has more than one frame.
        transparent: Whether it has pixels that may be seen through.
        passing: Whether the reason lies with the system, such as too many open files, and not with the bytes.
        peak: The largest value of an image of more than 8 bits, its colours' to the next 256; 0 of any other.
        full: The largest value that its bits can have.
    """

    reason: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1
    animated: bool = False
    transparent: bool = False
    passing: bool = False
    peak: int = 0
    full: int = FULL_WHITE

    @property
    def is_deep(self) -> bool:
        """Whether it has more than 8 bits a channel."""
        return self.mode == "F" or self.mode.startswith("I") or ";16" in self.mode


class BadImageError(Exception):
    """A file that no pixels can be had of; the message is the reason alone.

    Attributes:
        facts: What is known of it nevertheless, the reason included where it lies with the file and not with the
            settings.
    """

    def __init__(self, facts: Facts, reason: str = "") -> None:
        super().__init__(facts.reason or reason)
        self.facts = facts

    @property
    def now(self) -> Facts:
        """What is known of it, with the reason in any case; one that lies with the settings is not for keeps."""
        return self.facts if self.facts.reason else replace(self.facts, reason=str(self), passing=True)


def beyond_white(facts: Facts, white: int) -> str:
    """Says why an image that can be read has no pixels all the same: the recipe's white is not for it."""
    if not white or not facts.is_deep or facts.mode.startswith("F"):
        return ""
    if not has_all_bits(facts.mode):
        return f"has pixels of the kind {facts.mode}, whose lower bytes are not read: data.white = {white} needs them"
    # Of colours the peak is known to the next 256 only.
    peak = facts.peak if facts.mode.startswith("I") else facts.peak - 255
    return f"has pixels of {facts.peak}, more than data.white = {white}" if peak > white else ""


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


def read_image(
    path: Path,
    *,
    height: int,
    width: int,
    channels: int,
    resize: Resize = "crop",
    crop_share: float = 1.0,
    interpolation: Interpolation = "bilinear",
    white: int = 0,
) -> np.ndarray:
    """Decodes one file: its first frame, turned upright, at the given size.

    Args:
        path: A JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF, JPEG 2000, PPM or, with `zoo[heic]`, HEIC file, whatever its
            suffix.
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        channels: 1 for grey, 3 for RGB.
        resize: See `fit_image`.
        crop_share: See `fit_image`.
        interpolation: See `fit_image`.
        white: See `fit_image`.

    Returns:
        uint8[height, width, channels] in [0, 255], not to be written to.

    Raises:
        DataError: A file that cannot be read as an image, or settings out of range.
    """
    fit = ImageFit(resize=resize, crop_share=crop_share, interpolation=interpolation, white=white)
    settings = Settings(height=height, width=width, channels=channels, fit=fit)
    with quiet_pillow():
        try:
            return read_pixels(path, settings)[0]
        except BadImageError as fault:
            advice = "" if says_what_to_do(str(fault)) else ". Repair or replace the file."
            raise DataError(f"{path}: {fault}{advice}") from fault


def read_pixels(path: Path | bytes, settings: Settings) -> tuple[np.ndarray, Facts]:
    """Decodes one file to pixels, as `read_image` does.

    Raises:
        BadImageError: No pixels can be had of it.
    """
    image, facts = decode(path, side=settings.side, white=settings.fit.white)
    try:
        return _fitted(image, settings), facts
    except Exception as fault:  # no fault of one image may end a run over many, whatever its class
        raise _bad(facts, fault) from fault


def decode(path: Path | bytes, *, side: int, white: int = 0) -> tuple[Image.Image, Facts]:
    """Decodes one file to an upright, opaque image of 8 bits a channel.

    Args:
        path: The file, or what it holds.
        side: How many pixels are needed at least, on each side; a JPEG may be decoded to less than all it has.
        white: See `fit_image`.

    Returns:
        A grey or colour image, and what the file is.

    Raises:
        BadImageError: No pixels can be had of it.
    """
    facts, start = Facts(), b""
    try:
        with open_regular(path) as file:
            start = check_content(file)
            with _opened(start, file) as image:
                facts = _facts(image)
                if image.width * image.height > MAX_PIXELS:
                    raise NoPixelsError(f"has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
                if image.format in ("JPEG", "MPO"):  # a HEIC photo would give the thumbnail that it carries
                    image.draft(None, (_DRAFT_RESERVE * side, _DRAFT_RESERVE * side))
                return _flattened(image, facts, white=white, again=lambda: _opened(start, file))
    except Exception as fault:  # damaged files bring out any class: struct.error, SyntaxError, IndexError, ...
        # Of a TIFF whose compression it does not know Pillow raises KeyError.
        if isinstance(fault, BadImageError):
            raise
        if isinstance(fault, UnidentifiedImageError) or (isinstance(fault, KeyError) and not facts.format):
            raise BadImageError(replace(facts, reason=_named(start, path))) from fault
        raise _bad(facts, fault) from fault


def flattened(image: Image.Image, *, white: int = 0) -> tuple[Image.Image, Facts]:
    """Turns an image that is open upright, and makes it opaque and of 8 bits a channel, as `decode` does a file.

    Raises:
        BadImageError: It is brighter than `white`.
        ValueError: Deep pixels out of range; Pillow may raise anything.
    """
    return _flattened(image, _facts(image), white=white, again=None)


def _flattened(
    image: Image.Image, facts: Facts, *, white: int, again: Callable[[], Image.Image] | None
) -> tuple[Image.Image, Facts]:
    # Pillow turns a TIFF while it loads, and then forgets the tag; a PNG's may come after its pixels.
    stored = orientation(image) if image.format == "TIFF" else 1
    raw = raw_mode(image)
    image.load()
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
        return upright(flatten(image, raw=raw, white=white, again=again), turn), facts
    except ValueError as fault:
        if not white:
            raise
        raise BadImageError(facts, _reason(fault)) from fault  # with another white it may be read


def open_image(source: Path | bytes) -> Image.Image:
    """Opens an image of any format that `decode` reads; its pixels are read when they are asked for.

    Args:
        source: A file, which is read into memory, or what it holds.

    Raises:
        BadImageError: It is no image.
    """
    content = b""
    try:
        with open_regular(source) as file:
            content = file.read()
        return _opened(check_content(io.BytesIO(content)), io.BytesIO(content))
    except UnidentifiedImageError as fault:
        raise BadImageError(Facts(reason=_named(content, content))) from fault
    except Exception as fault:  # damaged files bring out any class
        raise _bad(Facts(), fault) from fault


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
    """Says what a file is that Pillow knows not."""
    try:
        with open_regular(path) as file:
            return name_content(start, file)
    except (NoPixelsError, OSError) as fault:  # it went meanwhile
        return _reason(fault)


def _bad(facts: Facts, fault: Exception) -> BadImageError:
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


def fit_image(
    image: Image.Image | np.ndarray,
    *,
    height: int,
    width: int,
    channels: int,
    resize: Resize = "crop",
    crop_share: float = 1.0,
    interpolation: Interpolation = "bilinear",
    white: int = 0,
) -> np.ndarray:
    """Turns an image upright as its EXIF says, converts it to 8-bit grey or RGB, and brings it to a size.

    Transparent pixels are composited on white. Deeper greys become 8 bits by a fixed rule: 16-bit and 32-bit
    integers are v / 257 (65535 is white), floats are 255 v when all lie in [0, 1], else v.

    Args:
        image: Of any Pillow mode; or uint8[height, width(, channels)] in [0, 255].
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        channels: 1 for grey (ITU-R 601 luminance), 3 for RGB.
        resize: `crop` cuts the largest centred part of the right shape and scales it; `pad` scales the whole
            to fit and centres it on black; `stretch` ignores the shape.
        crop_share: How much of each side of that part, or with `stretch` of the whole, is taken, at the centre.
        interpolation: `bilinear` or `bicubic`; both are antialiased.
        white: The value of more than 8 bits that becomes 255; 0 is 65535.

    Returns:
        uint8[height, width, channels] in [0, 255], not to be written to.

    Raises:
        DataError: Settings out of range.
        ValueError: Integers outside [0, 65535] or [0, white], floats outside [0, 255], or what is not an image.
    """
    fit = ImageFit(resize=resize, crop_share=crop_share, interpolation=interpolation, white=white)
    try:
        return fit_to(as_image(image), Settings(height=height, width=width, channels=channels, fit=fit))
    except BadImageError as fault:
        raise ValueError(str(fault)) from fault


def fit_to(image: Image.Image, settings: Settings) -> np.ndarray:
    """Brings an image to the size that settings ask for; see `fit_image`.

    Raises:
        BadImageError: It is brighter than the settings' white.
        ValueError: Integers outside [0, 65535], or floats outside [0, 255].
    """
    return fit_known(image, settings)[0]


def fit_known(image: Image.Image, settings: Settings) -> tuple[np.ndarray, Facts]:
    """Brings an image to the size, as `fit_to` does, and says what it was."""
    flat, facts = flattened(image, white=settings.fit.white)
    return _fitted(flat, settings), facts


def _fitted(image: Image.Image, settings: Settings) -> np.ndarray:
    if not (image.width and image.height):
        raise ValueError(f"has {image.width} x {image.height} pixels")
    mode = _MODES[settings.channels]
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
