"""Images loaded on threads into one array: in memory while they are few, else in a file that no name leads to."""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.backend.memory import aligned, has_memory
from zoo.data.dataset import Items
from zoo.data.images.decoding import as_image
from zoo.data.images.facts import BadImageError, Facts
from zoo.data.images.reading import fit_known, read_pixels
from zoo.data.images.settings import Settings
from zoo.data.images.threads import map_ranges
from zoo.data.packs.conversions import Conversions, count
from zoo.errors import DataError
from zoo.registry.fitting import ImageFit
from zoo.system.cache import cache_folder

# ITU-R 601-2 in 1/65536, as Pillow converts RGB to L.
_LUMA = np.array([19595, 38470, 7471], np.uint32)
_ROWS_AT_ONCE = 1024


def load_files(
    paths: Sequence[Path],
    settings: Settings,
    on_progress: Callable[[int, int], None],
    *,
    stop_at_first: bool = False,
) -> tuple[np.ndarray, dict[int, str], Conversions]:
    """Decodes files.

    Args:
        paths: In the order of the result.
        settings: The size.
        on_progress: Called with the images done and their total, from the calling thread.
        stop_at_first: Whether the first that cannot be read ends it.

    Returns:
        uint8[n, height, width, channels] in [0, 255], why some rows hold arbitrary pixels instead, and what was changed
        in the others.
    """

    def load(row: int) -> tuple[np.ndarray, Facts]:
        return read_pixels(paths[row], settings)

    return _load_each(len(paths), load, settings, on_progress, stop_at_first=stop_at_first)


def load_array(source: np.ndarray, settings: Settings, on_progress: Callable[[int, int], None]) -> np.ndarray:
    """Brings an array to the size; one that has it already is taken as it is, whatever the settings cut off.

    Args:
        source: uint8[n, height, width] or uint8[n, height, width, channels] with 1, 3 or 4 channels.
        settings: The size.
        on_progress: Called with the images done and their total, from the calling thread.

    Returns:
        uint8[n, height, width, channels] in [0, 255].

    Raises:
        DataError: An array of another kind.
    """
    height, width, channels = settings.shape
    total, shape = len(source), (len(source), *settings.shape)
    layered = source[..., np.newaxis] if source.ndim == 3 else source
    if source.dtype != np.uint8 or layered.ndim != 4 or layered.shape[3] not in (1, 3, 4):
        raise DataError(
            f"The images are {source.dtype}{list(source.shape)}; expected uint8[n, height, width] or "
            "uint8[n, height, width, channels] with 1, 3 or 4 channels."
        )
    found = layered.shape[3]
    if layered.shape[1:3] == (height, width) and found in (1, 3):
        if found == channels:
            on_progress(total, total)
            return layered
        images = allocate_images(shape)
        for start in range(0, total, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            # One channel is repeated by broadcasting.
            grey = layered[rows] if found == 1 else ((layered[rows] @ _LUMA + 0x8000) >> 16)[..., np.newaxis]
            images[rows] = grey
            on_progress(min(start + _ROWS_AT_ONCE, total), total)
        return images
    return _load_each(total, lambda row: _fit(layered[row], settings), settings, on_progress)[0]


def load_items(
    items: Items, settings: Settings, on_progress: Callable[[int, int], None], *, stop_at_first: bool
) -> tuple[np.ndarray, dict[int, str], Conversions]:
    """Asks for items and brings them to the size; see `load_files`."""

    def load(row: int) -> tuple[np.ndarray, Facts]:
        try:
            return _fit(items[row], settings)
        except BadImageError:
            raise
        except DataError as fault:
            raise BadImageError(Facts(reason=str(fault))) from fault
        except Exception as fault:  # what a library or the caller's code gives may be anything
            reason = " ".join(str(fault).split()) or type(fault).__name__
            raise BadImageError(Facts(reason=f"cannot be decoded ({reason})")) from fault

    return _load_each(len(items), load, settings, on_progress, stop_at_first=stop_at_first)


def fit_item(item: Any, settings: Settings) -> np.ndarray:
    """Brings a Pillow image, or uint8[height, width(, channels)], to the size; see `load_array`."""
    return _fit(item, settings)[0]


def _fit(item: Any, settings: Settings) -> tuple[np.ndarray, Facts]:
    image = as_image(item)
    if not isinstance(item, Image.Image) and image.size == (settings.width, settings.height):
        settings = replace(settings, fit=ImageFit(white=settings.fit.white))  # they have been cut out before
    return fit_known(image, settings)


def _load_each(
    total: int,
    load: Callable[[int], tuple[np.ndarray, Facts]],
    settings: Settings,
    on_progress: Callable[[int, int], None],
    *,
    stop_at_first: bool = False,
) -> tuple[np.ndarray, dict[int, str], Conversions]:
    """Loads images into one array, on threads; those that cannot be have arbitrary pixels, and a reason."""
    images = allocate_images((total, *settings.shape))

    def fill(rows: Iterator[int]) -> tuple[dict[int, str], Conversions]:
        bad: dict[int, str] = {}
        good: list[Facts] = []
        for row in rows:
            try:
                images[row], facts = load(row)
                good.append(facts)
            except BadImageError as fault:
                bad[row] = str(fault)
        return bad, count(good)

    bad: dict[int, str] = {}
    converted = Conversions()
    for rows, (found, changed) in map_ranges(total, fill):
        bad |= found
        converted += changed
        if bad and stop_at_first:
            break
        on_progress(rows.stop, total)
    return images, bad, converted


def allocate_images(shape: tuple[int, ...]) -> np.ndarray:
    """Makes room for images.

    A plain array when it takes less than a quarter of the available memory. Otherwise a memory-mapped file
    in the cache folder (`$XDG_CACHE_HOME/zoo`, by default `~/.cache/zoo`) that is unlinked from the
    start: its space is free again when the array is, also after a crash.

    Args:
        shape: `(n, height, width, channels)`.

    Returns:
        uint8 of that shape, with arbitrary contents.

    Raises:
        DataError: The cache folder cannot be written, or has too little space left.
    """
    size = math.prod(shape)
    if has_memory(size):
        return aligned(shape, np.dtype(np.uint8))
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A sparse file that outgrows the disk kills the process (SIGBUS) instead of raising.
        if size > (free := shutil.disk_usage(folder).free):
            raise DataError(
                f"{folder}: {free / 1e9:.1f} GB are free; the packed images need {size / 1e9:.1f} GB. "
                "Free some space, set XDG_CACHE_HOME to a larger disk, or lower data.image_size."
            )
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.asarray(np.memmap(file, np.uint8, mode="w+", shape=shape))
    except OSError as fault:
        raise DataError(
            f"{folder}: the packed images cannot be written there ({fault.strerror}). "
            "Set XDG_CACHE_HOME to a folder that can be written."
        ) from fault
