"""Pillow as we need it: quiet, strict with cut files whatever the caller's program has set, and reading HEIC photos."""

import ctypes
import functools
import os
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import PIL

# The first two are loaded here, as Pillow would import every plug-in that it has to find them.
from PIL import AvifImagePlugin, Image, ImageFile, Jpeg2KImagePlugin

# Only plain raster formats: Pillow would hand a file that is PostScript to Ghostscript, whatever its suffix.
RASTER_FORMATS = (
    *("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM"),
    *(str(AvifImagePlugin.AvifImageFile.format), str(Jpeg2KImagePlugin.Jpeg2KImageFile.format)),
)
_HEIC_PACKAGE = "pillow-heif"


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


@contextmanager
def quiet_pillow() -> Generator[None]:
    """Hides warnings on odd metadata, from Pillow and from libtiff: what matters about a file is raised.

    A program may have told Pillow to fill what is cut off with grey; here it stays a fault.
    """
    fills = ImageFile.LOAD_TRUNCATED_IMAGES
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)(\.|$)")
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        before = [(setter, setter(None)) for setter in _libtiff_handlers()]
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = fills
            for setter, handler in before:
                setter(handler)


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
