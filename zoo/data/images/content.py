"""What a file is by its bytes: refused before Pillow is asked, or named where Pillow knows it not."""

import io
from pathlib import Path
from typing import Any, BinaryIO

from PIL import TiffImagePlugin, features

from zoo.data.images.structure import PNG_SIGNATURE, NoPixelsError, check_structure
from zoo.system import regular_files
from zoo.system.regular_files import NotRegularError, TooLargeError

# As many bytes as the signatures below need.
_START_BYTES = 512
# Text that is often saved as a photo by mistake, in lower case.
_TEXTS = {
    b"<!doctype html": "is an HTML page, not an image",
    b"<html": "is an HTML page, not an image",
    b"<?xml": "is an XML document, not an image",
    b"<svg": "is an SVG drawing, which has no pixels",
    b"%pdf": "is a PDF document, not an image",
    # A program: Pillow would hand it to Ghostscript.
    b"%!ps": "is a PostScript program, not an image",
    b"{": "is a JSON document, not an image",
    b"version https://git-lfs": "is a pointer of Git LFS, not the image itself: run 'git lfs pull'",
}
_CONVERT = ": convert it to JPEG or PNG"
_RAW = f"is a camera's raw photo{_CONVERT}"
_VIDEO, _SOUND = "is a video, not an image", "is a sound recording, not an image"
# Place, bytes there, and what the file is.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"8BPS", f"is a Photoshop document{_CONVERT}"),
    (0, b"gimp xcf", f"is a GIMP document{_CONVERT}"),
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"IIRO", _RAW),
    (0, b"IIRS", _RAW),
    (0, b"MMOR", _RAW),
    (0, b"IIU\0", _RAW),
    (0, b"\0MRM", _RAW),
    (0, b"FOVb", _RAW),
    (6, b"HEAPCCDR", _RAW),
    (0, b"\xff\x0a", f"is a JPEG XL image{_CONVERT}"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", f"is a JPEG XL image{_CONVERT}"),
    (0, b"II\xbc", f"is a JPEG XR image{_CONVERT}"),
    (0, b"\x76\x2f\x31\x01", f"is an OpenEXR image{_CONVERT}"),
    (0, b"#?RADIANCE", f"is a Radiance HDR image{_CONVERT}"),
    (0, b"\0\0\x01\0", f"is an icon (ICO){_CONVERT}"),
    (0, b"\0\0\x02\0", f"is a cursor (CUR){_CONVERT}"),
    (0, b"icns", f"is an icon (ICNS){_CONVERT}"),
    (0, b"DDS ", f"is a DDS texture{_CONVERT}"),
    (0, b"qoif", f"is a QOI image{_CONVERT}"),
    (0, b"\x8aMNG", f"is an MNG animation{_CONVERT}"),
    (0, b"\x8bJNG", f"is a JNG image{_CONVERT}"),
    (0, b"AT&TFORM", f"is a DjVu document{_CONVERT}"),
    (0, b"SIMPLE  =", f"is a FITS image{_CONVERT}"),
    (128, b"DICM", f"is a DICOM image{_CONVERT}"),
    (344, b"n+1\0", f"is a NIfTI volume{_CONVERT}"),
    (0, b"\x93NUMPY", "is a NumPy array (.npy), not an image; arrays are read from .npz"),
    (0, b"\x89HDF\r\n\x1a\n", "is an HDF5 file, not an image"),
    (0, b"PAR1", "is a Parquet file, not an image"),
    (0, b"SQLite format 3", "is an SQLite database, not an image"),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (0, b"FLV\x01", _VIDEO),
    (0, b"0&\xb2u\x8ef\xcf\x11", _VIDEO),
    (0, b"\0\0\x01\xba", _VIDEO),
    (0, b"\0\0\x01\xb3", _VIDEO),
    (4, b"moov", _VIDEO),
    (4, b"mdat", _VIDEO),
    (4, b"wide", _VIDEO),
    (8, b"AVI ", _VIDEO),
    (8, b"WAVE", _SOUND),
    (0, b"ID3", _SOUND),
    (0, b"fLaC", _SOUND),
    (0, b"MThd", _SOUND),
    (8, b"AIFF", _SOUND),
    (0, b"\xff\xfb", _SOUND),
    (0, b"\xff\xf3", _SOUND),
    (0, b"OggS", "is an Ogg recording, not an image"),
    (0, b"PK\x03\x04", "is a zip archive, not an image"),
    (0, b"PK\x05\x06", "is a zip archive, not an image"),
    (0, b"Rar!", "is a RAR archive, not an image"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive, not an image"),
    (0, b"\x1f\x8b", "is a gzip archive, not an image"),
    (0, b"BZh", "is a bzip2 archive, not an image"),
    (0, b"\xfd7zXZ\0", "is an xz archive, not an image"),
    (0, b"\x28\xb5\x2f\xfd", "is a zstd archive, not an image"),
    (257, b"ustar", "is a tar archive, not an image"),
    (0, b"\x7fELF", "is a program, not an image"),
    (0, b"MZ", "is a program, not an image"),
    (0, b"\0\x05\x16\x07", "is what macOS keeps beside a file (AppleDouble), not the image"),
    (0, b"bplist00", "is a property list of macOS, not an image"),
)
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_SOUND_BRANDS = {b"M4A ", b"M4B "}
# Formats that are read: a file that begins so and is refused by Pillow all the same is damaged.
_READ: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, PNG_SIGNATURE, "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (8, b"WEBP", "WebP"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"P5", "PPM"),
    (0, b"P6", "PPM"),
)
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNKNOWN = "is not a JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF, JPEG 2000, HEIC or PPM image"
# Tags of TIFF 6.0, TIFF/EP and DNG.
_SUBFILE, _WIDTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 254, 256, 258, 259, 262, 277
_SUB_IFDS, _FORMAT, _DNG = 330, 339, 50706
_DAMAGED_TIFF = "is a TIFF that is damaged"
_IS_REDUCED = 1
_SAMPLE_KINDS = {1: "integers", 2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex floats"}
_PHOTOMETRICS = {4: "a mask", 9: "ICC LAB", 10: "ITU LAB", 32844: "LogL", 32845: "LogLuv"}
_RAW_PIXELS = 32803
# No image within the limits of pixels holds more, as they lie in memory or in a file.
MAX_FILE_BYTES = 1 << 30


def open_source(source: Path | bytes) -> BinaryIO:
    """Opens a file, or its bytes, for reading, as `open_number` does."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return open(source, "rb", opener=lambda name, _flags: open_number(Path(name)))


def open_number(path: Path) -> int:
    """Opens a file for reading; what would wait for another program, or never end, is refused.

    Returns:
        The number that the system gave it.

    Raises:
        NoPixelsError: A folder, a pipe or a device, or a file larger than any image that is read.
        OSError: It cannot be opened.
        ValueError: No file can have the name.
    """
    try:
        return regular_files.open_number(path, limit=MAX_FILE_BYTES)
    except TooLargeError as fault:
        raise NoPixelsError(str(fault.strerror)) from fault
    except NotRegularError as fault:
        found = "is a folder, not an image" if path.is_dir() else str(fault.strerror)
        raise NoPixelsError(found, passing=True) from fault


def check_content(file: BinaryIO) -> bytes:
    """Refuses what is plainly not an image, and one whose parts are damaged or too many; see `check_structure`.

    Returns:
        How the file begins; it is read from its beginning again.

    Raises:
        NoPixelsError: It is not an image.
    """
    start = file.read(_START_BYTES)
    if not start:
        raise NoPixelsError("is empty (0 bytes)")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, reason in _TEXTS.items():
        if text.startswith(beginning):
            raise NoPixelsError(reason)
    check_structure(start, file)
    file.seek(0)
    return start


def is_heic(start: bytes) -> bool:
    """Whether a file that begins so is a HEIC photo, as phones write them."""
    brands = _brands(start)
    return bool(brands & _HEIC_BRANDS) or (bool(brands & {b"mif1", b"msf1"}) and not brands & _AVIF_BRANDS)


def name_content(start: bytes, file: BinaryIO) -> str:
    """Says what a file is that Pillow does not know."""
    for place, signature, name in _READ:
        if start.startswith(signature, place):
            return f"is a damaged {name}, or one without pixels"
    for place, signature, reason in _SIGNATURES:
        if start.startswith(signature, place):
            return reason
    if start.startswith(_TIFF_SIGNATURES):
        return _RAW if start[8:10] == b"CR" else _tiff_kind(file)
    brands = _brands(start)
    if brands & _AVIF_BRANDS:
        return "is a damaged AVIF" if features.check("avif") else f"is an AVIF that cannot be read here{_CONVERT}"
    if b"crx " in brands:
        return _RAW
    if brands:
        return _SOUND if brands & _SOUND_BRANDS else _VIDEO
    return "is a text, not an image" if _is_text(start) else _UNKNOWN


def is_raw_photo(tags: Any) -> bool:
    """Whether the first picture of a TIFF is but the preview that a camera's raw photo carries (DNG, NEF, ARW).

    Args:
        tags: Of its first directory.
    """
    return _DNG in tags or (bool(int(tags.get(_SUBFILE, 0)) & _IS_REDUCED) and _SUB_IFDS in tags)


def says_what_to_do(reason: str) -> bool:
    """Whether a reason names the way out itself."""
    return "convert it" in reason or "run '" in reason


def _brands(start: bytes) -> set[bytes]:
    """Returns what an ISO base media file (ISO/IEC 14496-12, 4.3) says that it is."""
    if start[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(start[:4]), len(start))
    return {start[8:12], *(start[place : place + 4] for place in range(16, end, 4))}


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as fault:
        if fault.start < len(start) - 3:  # else a sign that was cut
            return False
        text = start[: fault.start].decode("utf-8")
    return all(sign.isprintable() or sign in "\t\r\n\f" for sign in text)


def _tiff_kind(file: BinaryIO) -> str:
    """Says what kind of TIFF a file is, as far as its first directory can be read."""
    try:
        file.seek(0)
        header = file.read(8)
        if 43 in header[2:4]:  # BigTIFF: its header is longer
            header += file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(tags.next)
        tags.load(file)
        if is_raw_photo(tags) or tags.get(_PHOTOMETRIC) == _RAW_PIXELS:
            return _RAW
        if _WIDTH not in tags:
            return _DAMAGED_TIFF
        bits = tags.get(_BITS, (1,))
        count = int(tags.get(_SAMPLES, len(bits)))
        kind = _SAMPLE_KINDS.get(int(tags.get(_FORMAT, (1,))[0]), "values of an unknown kind")
        words = [f"{count} channel{'s'[: count != 1]} of {bits[0]}-bit {kind}"]
        compression, photometric = tags.get(_COMPRESSION, 1), tags.get(_PHOTOMETRIC, 1)
        is_usual = kind == _SAMPLE_KINDS[1] and bits[0] in (1, 2, 4, 8, 12, 16) and count in (1, 3, 4)
        if is_usual and compression in TiffImagePlugin.COMPRESSION_INFO and photometric not in _PHOTOMETRICS:
            return _DAMAGED_TIFF
        if compression not in TiffImagePlugin.COMPRESSION_INFO:
            words.append(f"compression {compression}")
        if photometric in _PHOTOMETRICS:
            words.append(_PHOTOMETRICS[photometric])
    except Exception:  # a damaged directory, in any way
        return _DAMAGED_TIFF
    return f"is a TIFF of a kind that cannot be read ({', '.join(words)}){_CONVERT}"
