"""Decodes images once, on threads, into one uint8 array of the size a model takes."""

import math
import os
import threading
import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from zoo.data.dataset import Split
from zoo.data.memory import allocate_images
from zoo.errors import DataError
from zoo.models import Resize

OnBad = Literal["skip", "stop"]

# Checked against the header, before memory is taken. It is Pillow's own limit for an error (0.5 GB as RGB),
# which cannot be raised without changing a global of Pillow's.
MAX_PIXELS = 178_956_970
# Bilinear, which Pillow widens to an area average when it shrinks: no aliasing, and unlike bicubic no values
# beyond the neighbours', so black-and-white drawings keep flat grounds.
_FILTER = Image.Resampling.BILINEAR
# A JPEG may be decoded at 1/2, 1/4 or 1/8 while that leaves this many times the size needed: what
# Image.thumbnail does by default, as the rest of the way is then still a real average.
_DRAFT_RESERVE = 2
# Only plain raster formats: Pillow would hand a file that is PostScript to Ghostscript, whatever its suffix.
_FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")
_MODES = {1: "L", 3: "RGB"}
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
# ITU-R 601-2 in 1/65536, as Pillow converts RGB to L.
_LUMA = np.array([19595, 38470, 7471], np.uint32)
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An image that could not be read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """Decoded images.

    Attributes:
        images: uint8[n, height, width, channels] in [0, 255]; not to be written to, as it may be the
            source's own array.
        labels: int64[n], the class of each.
        skipped: What is left out, in the order of the split.
    """

    images: np.ndarray
    labels: np.ndarray
    skipped: tuple[Skipped, ...]


def read_image(path: Path, *, height: int, width: int, channels: int, resize: Resize = "crop") -> np.ndarray:
    """Decodes one file: its first frame, turned upright, at the given size.

    Args:
        path: A JPEG, PNG, BMP, GIF, WebP, TIFF or PPM file, whatever its suffix.
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        channels: 1 for grey, 3 for RGB.
        resize: See `fit_image`.

    Returns:
        uint8[height, width, channels] in [0, 255].

    Raises:
        DataError: A file that cannot be read as an image, or settings out of range.
    """
    _check_settings(height=height, width=width, channels=channels, resize=resize)
    with _quiet_pillow():
        try:
            return _decode(path, height=height, width=width, channels=channels, resize=resize)
        except _BadImageError as fault:
            raise DataError(f"{path}: {fault}. Repair or replace the file.") from fault


def fit_image(image: Image.Image, *, height: int, width: int, channels: int, resize: Resize = "crop") -> np.ndarray:
    """Turns an image upright as its EXIF says, converts it to 8-bit grey or RGB, and brings it to a size.

    Transparent pixels are composited on white. Deeper greys become 8 bits by a fixed rule: 16-bit and 32-bit
    integers are v / 257 (65535 is white), floats are 255 v when all lie in [0, 1], else v.

    Args:
        image: Of any Pillow mode.
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        channels: 1 for grey (ITU-R 601 luminance), 3 for RGB.
        resize: `crop` cuts the largest centred part of the right shape and scales it; `pad` scales the whole
            to fit and centres it on black; `stretch` ignores the shape. Scaling is bilinear and antialiased.

    Returns:
        uint8[height, width, channels] in [0, 255].

    Raises:
        DataError: Settings out of range.
        ValueError: Integers outside [0, 65535], or floats outside [0, 255].
    """
    _check_settings(height=height, width=width, channels=channels, resize=resize)
    image.load()  # before EXIF is asked for: Pillow turns a TIFF by itself here, and forgets the tag
    fitted = _RESIZERS[resize](_flatten(_upright(image)).convert(_MODES[channels]), width, height)
    return np.array(fitted).reshape(height, width, channels)


def pack(
    split: Split,
    *,
    height: int,
    width: int,
    channels: int,
    resize: Resize = "crop",
    on_bad: OnBad = "skip",
    on_progress: Callable[[int, int], None] | None = None,
) -> Pack:
    """Decodes a split into one array, on as many threads as there are cores.

    The array is plain memory when it takes less than a quarter of what is available, else a memory-mapped
    file without a name in the cache folder (see `zoo.data.memory`). An array split that has the size and
    channels already is not copied.

    Args:
        split: Files or arrays.
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for RGB.
        resize: See `fit_image`.
        on_bad: `stop` raises at the first file that cannot be read; `skip` leaves out up to 1 % of the files,
            rounded up, so that one bad file among twenty does not stop a run.
        on_progress: Called with the images done and their total, from the calling thread.

    Returns:
        The images that could be read, in the order of the split.

    Raises:
        DataError: Too many bad files, a class that loses all its images, or settings out of range.
    """
    _check_settings(height=height, width=width, channels=channels, resize=resize)
    if on_bad not in ("skip", "stop"):
        raise DataError(f"data.on_bad is '{on_bad}'; expected 'skip' or 'stop'.")
    report = on_progress or _no_progress
    shape = (len(split), height, width, channels)
    if isinstance(split.images, np.ndarray):
        images = _pack_array(split.images, shape, resize, report)
        return Pack(images=images, labels=split.labels, skipped=())
    paths = split.images
    images = allocate_images(shape)

    def decode(row: int) -> np.ndarray:
        return _decode(paths[row], height=height, width=width, channels=channels, resize=resize)

    with _quiet_pillow():
        bad = _fill(images, decode, report, stop_at_first=on_bad == "stop")
    if not bad:
        return Pack(images=images, labels=split.labels, skipped=())
    if on_bad == "stop":
        row, reason = bad[0]
        raise DataError(f'{paths[row]}: {reason}. Repair or remove the file, or set data.on_bad = "skip".')
    skipped = tuple(Skipped(path=paths[row], reason=reason) for row, reason in bad)
    skipped_rows = [row for row, _ in bad]
    _check_skipped(split, paths, skipped, skipped_rows)
    kept = np.delete(np.arange(len(split)), skipped_rows)
    for target, row in enumerate(kept):  # in place: a second array might not fit
        if target != row:
            images[target] = images[row]
    return Pack(images=images[: len(kept)], labels=split.labels[kept], skipped=skipped)


class _BadImageError(Exception):
    """A file that cannot be read as an image; the message is the reason alone."""


def _decode(path: Path, *, height: int, width: int, channels: int, resize: Resize) -> np.ndarray:
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _BadImageError(f"has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            side = _DRAFT_RESERVE * max(height, width)
            image.draft(None, (side, side))
            return fit_image(image, height=height, width=width, channels=channels, resize=resize)
    except (MemoryError, _BadImageError):
        raise
    except UnidentifiedImageError as fault:
        raise _BadImageError("is no JPEG, PNG, BMP, GIF, WebP, TIFF or PPM image") from fault
    except Exception as fault:  # damaged files bring out any class: struct.error, SyntaxError, IndexError, ...
        reason = getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
        raise _BadImageError(f"cannot be decoded ({' '.join(reason.split())})") from fault


def _upright(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose, which also writes the EXIF anew and fails on a damaged one.
    try:
        turn = _TURNS.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF, in any way: the pixels are as good as before
        return image
    return image if turn is None else image.transpose(turn)


def _flatten(image: Image.Image) -> Image.Image:
    """Returns an opaque image of 8 bits per channel."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image


def _eight_bits(grey: np.ndarray) -> np.ndarray:
    if grey.dtype.kind == "f":
        low, high = float(grey.min()), float(grey.max())
        if not 0 <= low <= high <= 255:  # not a number compares false
            raise ValueError(f"float pixels in [{low:g}, {high:g}]; expected [0, 1] or [0, 255]")
        return np.rint(grey * (255 if high <= 1 else 1)).astype(np.uint8)
    low, high = int(grey.min()), int(grey.max())
    if low < 0 or high > 65535:
        raise ValueError(f"integer pixels in [{low}, {high}]; expected [0, 65535]")
    return np.rint(grey / 257).astype(np.uint8)


def _crop(image: Image.Image, width: int, height: int) -> Image.Image:
    scale = min(image.width / width, image.height / height)
    # From a whole pixel on: half of one would blur an image that needs no scaling.
    left, top = (image.width - width * scale) // 2, (image.height - height * scale) // 2
    right, bottom = min(left + width * scale, image.width), min(top + height * scale, image.height)
    return image.resize((width, height), _FILTER, box=(left, top, right, bottom))


def _pad(image: Image.Image, width: int, height: int) -> Image.Image:
    scale = max(image.width / width, image.height / height)
    inner = (max(round(image.width / scale), 1), max(round(image.height / scale), 1))
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(image.resize(inner, _FILTER), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def _stretch(image: Image.Image, width: int, height: int) -> Image.Image:
    return image.resize((width, height), _FILTER)


_RESIZERS: dict[str, Callable[[Image.Image, int, int], Image.Image]] = {
    "crop": _crop,
    "pad": _pad,
    "stretch": _stretch,
}


def _pack_array(
    source: np.ndarray, shape: tuple[int, ...], resize: Resize, report: Callable[[int, int], None]
) -> np.ndarray:
    total, height, width, channels = shape
    layered = source[..., np.newaxis] if source.ndim == 3 else source
    if source.dtype != np.uint8 or layered.ndim != 4 or layered.shape[3] not in (1, 3, 4):
        raise DataError(
            f"The images are {source.dtype}{list(source.shape)}; expected uint8[n, height, width] or "
            "uint8[n, height, width, channels] with 1, 3 or 4 channels."
        )
    found = layered.shape[3]
    if layered.shape[1:3] == (height, width) and found in (1, 3):
        if found == channels:
            report(total, total)
            return layered
        images = allocate_images(shape)
        for start in range(0, total, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            # One channel is repeated by broadcasting.
            grey = layered[rows] if found == 1 else ((layered[rows] @ _LUMA + 0x8000) >> 16)[..., np.newaxis]
            images[rows] = grey
            report(min(start + _ROWS_AT_ONCE, total), total)
        return images
    images = allocate_images(shape)

    def fit(row: int) -> np.ndarray:
        image = Image.fromarray(layered[row, ..., 0] if found == 1 else layered[row])
        return fit_image(image, height=height, width=width, channels=channels, resize=resize)

    _fill(images, fit, report)
    return images


def _fill(
    images: np.ndarray,
    load: Callable[[int], np.ndarray],
    report: Callable[[int, int], None],
    *,
    stop_at_first: bool = False,
) -> list[tuple[int, str]]:
    """Loads every row on threads, straight into `images`.

    An error or Ctrl-C in the calling thread stops the others after the image in hand.

    Returns:
        The rows that could not be loaded, in order, each with the reason; the first alone when asked.
    """
    stop = threading.Event()
    total, threads = len(images), os.cpu_count() or 1
    # A task is a range of rows: few enough tasks for a million images, small enough to stay even at the end.
    at_once = min(max(total // (4 * threads), 1), 32)

    def fill(rows: range) -> list[tuple[int, str]]:
        bad: list[tuple[int, str]] = []
        for row in rows:
            if stop.is_set():
                break
            try:
                images[row] = load(row)
            except _BadImageError as fault:
                bad.append((row, str(fault)))
        return bad

    pool = ThreadPoolExecutor(threads, thread_name_prefix="zoo-pack")
    bad: list[tuple[int, str]] = []
    try:
        ranges = [range(start, min(start + at_once, total)) for start in range(0, total, at_once)]
        futures = [pool.submit(fill, rows) for rows in ranges]
        for rows, future in zip(ranges, futures, strict=True):
            bad += future.result()
            if bad and stop_at_first:
                return bad[:1]
            report(rows.stop, total)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
    return bad


def _check_skipped(
    split: Split, paths: Sequence[Path], skipped: Sequence[Skipped], skipped_rows: Sequence[int]
) -> None:
    total = len(split)
    if len(skipped) > math.ceil(total / 100):
        first = "; ".join(f"{bad.path} {bad.reason}" for bad in skipped[:3])
        raise DataError(
            f"{len(skipped)} of {total} files cannot be read, more than 1 %: {first}. "
            "Repair or remove them, or check that --data is the folder you mean."
        )
    lost = np.bincount(split.labels[list(skipped_rows)], minlength=int(split.labels.max()) + 1)
    for label in np.flatnonzero(lost):
        if lost[label] == np.count_nonzero(split.labels == label):
            path = next(paths[row] for row in skipped_rows if split.labels[row] == label)
            raise DataError(
                f"{path}: of its class no image can be read ({lost[label]} found); expected one or more. "
                "Repair the files, or remove the class."
            )


@contextmanager
def _quiet_pillow() -> Generator[None]:
    """Hides Pillow's warnings on odd metadata: what matters about a file is raised."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL(\.|$)")
        yield


def _check_settings(*, height: int, width: int, channels: int, resize: str) -> None:
    if channels not in _MODES:
        raise DataError(f"The images are to have {channels} channels; expected 1 (grey) or 3 (RGB).")
    if height < 1 or width < 1:
        raise DataError(f"data.image_size is {height} x {width} pixels; expected 1 x 1 or more.")
    if resize not in _RESIZERS:
        raise DataError(f"data.resize is '{resize}'; expected one of {', '.join(_RESIZERS)}.")


def _no_progress(done: int, total: int) -> None:
    """Stands in for a progress bar."""
