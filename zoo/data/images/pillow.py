"""Pillow as we need it: quiet, strict with cut files whatever the caller's program has set, and reading HEIC photos."""

import ctypes
import functools
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, cast

import PIL

# The first two are loaded here, as Pillow would import every plug-in that it has to find them.
from PIL import AvifImagePlugin, Image, ImageFile, Jpeg2KImagePlugin

# Only plain raster formats: Pillow would hand a file that is PostScript to Ghostscript, whatever its suffix.
RASTER_FORMATS = (
    *("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM"),
    *(str(AvifImagePlugin.AvifImageFile.format), str(Jpeg2KImagePlugin.Jpeg2KImageFile.format)),
)
_HEIC_PACKAGE = "pillow-heif"
_MODULES = r"(PIL|pillow_heif)(\.|$)"


def heic_version() -> str:
    """Returns the version of what reads HEIC photos; empty where it is not installed."""
    try:
        return metadata.version(_HEIC_PACKAGE)
    except metadata.PackageNotFoundError:
        return ""


def open_heic(file: BinaryIO) -> "Image.Image | None":
    """Opens a HEIC photo; None where what reads them (`zoo[heic]`) is not installed."""
    try:
        from pillow_heif import HeifImageFile  # pyright: ignore[reportMissingImports] -- an extra
    except ImportError:
        return None
    # Not registered with Pillow: what other code of this process opens stays as it was.
    return HeifImageFile(file)


_lock = threading.Lock()
# How many regions are open, in all threads, and what the last one that ends puts back.
_open = 0
_puts_back: list[Callable[[], object]] = []


@contextmanager
def quiet_pillow() -> Generator[None]:
    """Hides warnings on odd metadata, from Pillow and from libtiff: what matters about a file is raised.

    A program may have told Pillow to fill what is cut off with grey; here it stays a fault. These settings are one for
    the whole process. Regions may lie in one another and in several threads; when the last one ends, the settings are
    the caller's again.
    """
    global _open
    with _lock:
        _open += 1
        if _open == 1:
            _puts_back.extend(_hush())
    try:
        yield
    finally:
        with _lock:
            _open -= 1
            while not _open and _puts_back:
                _puts_back.pop()()


def _hush() -> list[Callable[[], object]]:
    """Makes Pillow quiet and strict; returns what undoes it."""
    fills, logger = ImageFile.LOAD_TRUNCATED_IMAGES, logging.getLogger("PIL")
    level = logger.level
    handlers = [(setter, setter(None)) for setter in _libtiff_handlers()]
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    logger.setLevel(logging.CRITICAL + 1)  # what it cannot decode it logs, besides raising it
    # Not warnings.catch_warnings, which in several threads puts back what another thread has set.
    warnings.filterwarnings("ignore", module=_MODULES)
    quiet = warnings.filters[0]

    def unhush() -> None:
        ImageFile.LOAD_TRUNCATED_IMAGES = fills
        logger.setLevel(level)
        with suppress(ValueError):  # the caller has put another list of filters in its place
            cast(list[Any], warnings.filters).remove(quiet)

    return [unhush, *(functools.partial(setter, handler) for setter, handler in handlers)]


@functools.cache
def _libtiff_handlers() -> tuple[Callable[[Any], Any], ...]:
    """Finds what sets libtiff's handlers of errors and warnings, which write to stderr past Python.

    Pillow has no switch for it (https://github.com/python-pillow/Pillow/issues/1630). Where the library is not found,
    its lines are shown.
    """
    for path in _libtiff_files():
        with suppress(OSError, AttributeError):
            # RTLD_NOLOAD: only the one that Pillow uses, never another.
            library = ctypes.CDLL(str(path), mode=getattr(os, "RTLD_NOLOAD", 0) | ctypes.DEFAULT_MODE)
            setters = (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler)
            for setter in setters:
                setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            return setters
    return ()


def _libtiff_files() -> list[Path]:
    if sys.platform == "win32":
        return []
    folder = Path(PIL.__file__).parent
    found = [*folder.parent.glob("[pP]illow.libs/libtiff*"), *folder.glob(".dylibs/libtiff*")]
    with suppress(OSError):
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        found += {Path(line.split(maxsplit=5)[-1]) for line in lines if "/libtiff" in line}
    return found
