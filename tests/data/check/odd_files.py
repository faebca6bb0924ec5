"""Image files as real folders hold them: faulty ones, and ones that are only odd."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

RED, BLUE = (200, 30, 30), (30, 30, 200)


@dataclass(frozen=True)
class Odd:
    """An odd file.

    Attributes:
        name: The file's name.
        content: Its bytes.
        kind: What `zoo data check` has to call it.
        says: A part of what it has to say of it.
    """

    name: str
    content: bytes
    kind: str
    says: str


def photo(seed: int, width: int = 96, height: int = 80) -> Image.Image:
    """Smooth random colours that no other seed has, so that no two are alike."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _bomb() -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")


def _bad_checksum() -> bytes:
    content = bytearray(encoded(photo(3), "PNG"))
    place = content.index(b"IDAT") + 4 + int.from_bytes(content[content.index(b"IDAT") - 4 : content.index(b"IDAT")])
    content[place] ^= 0xFF
    return bytes(content)


def _bad_stream() -> bytes:
    pixels = bytearray(zlib.compress(b"\0" + bytes(range(96)) * 80))
    pixels[len(pixels) // 2] ^= 0xFF
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 80, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", bytes(pixels)) + _chunk(b"IEND", b"")


def _deep_colours() -> bytes:
    rows = b"".join(b"\0" + struct.pack(">288H", *np.linspace(0, 65535, 288).astype(int)) for _ in range(80))
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 80, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(photo(40 + orientation), "JPEG", exif=exif)


def _deep(dtype: type) -> Image.Image:
    return Image.fromarray((np.add.outer(np.arange(80), np.arange(96)) * 300).astype(dtype))


def _frames(seed: int) -> dict[str, object]:
    return {"save_all": True, "append_images": [photo(seed + 100), photo(seed + 200)]}


def _see_through(seed: int) -> Image.Image:
    image = photo(seed).convert("RGBA")
    image.putalpha(photo(seed + 300).convert("L"))
    return image


# One function each, since some take long to make.
_UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "truncated.jpg": (lambda: encoded(photo(1), "JPEG")[:1500], "image file is truncated"),
    "truncated.png": (lambda: encoded(photo(2), "PNG")[:3000], "cannot be decoded"),
    "header-only.jpg": (lambda: encoded(photo(1), "JPEG")[:25], "cannot be decoded"),
    "truncated.webp": (lambda: encoded(photo(9), "WEBP")[:200], "cannot be decoded"),
    "truncated.gif": (lambda: encoded(photo(9), "GIF")[:900], "cannot be decoded"),
    "truncated.bmp": (lambda: encoded(photo(9), "BMP")[:900], "cannot be decoded"),
    "truncated.tif": (lambda: encoded(photo(9), "TIFF")[:900], "cannot be decoded"),
    "empty.jpg": (lambda: b"", "is empty (0 bytes)"),
    "page.jpg": (lambda: b"<!DOCTYPE html>\n<html><body>404 not found</body></html>", "is an HTML page, not an image"),
    "error.jpg": (lambda: b'{"error": "quota"}', "is a JSON document"),
    "note.jpg": (lambda: b"a text saved as a photo", "is a text, not an image"),
    "zeros.jpg": (lambda: bytes(4000), "is not a JPEG, PNG"),
    "checksum.png": (_bad_checksum, "the checksum of its IDAT chunk is wrong"),
    "stream.png": (_bad_stream, "cannot be decoded"),
    "bomb.png": (_bomb, "3600000000 pixels"),
    "drawing.jpg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
    "paper.jpg": (lambda: b"%PDF-1.7\n%binary", "is a PDF document"),
    "program.jpg": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a PostScript program"),
    "archive.jpg": (lambda: b"PK\x03\x04" + bytes(60), "is a zip archive"),
}
_READABLE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "png-named.jpg": (lambda: encoded(photo(20), "PNG"), "extension", "is PNG, named .jpg"),
    "no-suffix": (lambda: encoded(photo(21), "JPEG"), "extension", "is JPEG, named without a suffix"),
    "cmyk.jpg": (lambda: encoded(photo(22).convert("CMYK"), "JPEG"), "cmyk", "CMYK"),
    "cmyk.tif": (lambda: encoded(photo(23).convert("CMYK"), "TIFF"), "cmyk", "CMYK"),
    "deep-grey.png": (lambda: encoded(_deep(np.uint16), "PNG"), "deep", "I;16"),
    "deep-colours.png": (_deep_colours, "deep", "RGB;16"),
    "float.tif": (
        lambda: encoded(Image.fromarray(np.linspace(0, 1, 7680, dtype="f4").reshape(80, 96)), "TIFF"),
        "deep",
        "F",
    ),
    "avif-named.jpg": (lambda: encoded(photo(34), "AVIF"), "extension", "is AVIF, named .jpg"),
    "palette.png": (lambda: encoded(photo(24).quantize(32), "PNG"), "palette", "P"),
    "see-through.png": (lambda: encoded(_see_through(25), "PNG"), "transparent", "RGBA"),
    "grey-alpha.png": (lambda: encoded(_see_through(26).convert("LA"), "PNG"), "transparent", "LA"),
    "animated.gif": (lambda: encoded(photo(27), "GIF", **_frames(27)), "animated", "GIF"),
    "animated.webp": (lambda: encoded(photo(28), "WEBP", **_frames(28)), "animated", "WEBP"),
    "animated.png": (lambda: encoded(photo(29), "PNG", **_frames(29)), "animated", "PNG"),
    "pages.tif": (lambda: encoded(photo(30), "TIFF", **_frames(30)), "animated", "TIFF"),
    **{
        f"turned-{number}.jpg": (lambda number=number: _turned(number), "turned", f"EXIF orientation {number}")
        for number in (2, 3, 6, 8)
    },
    "tiny.png": (lambda: encoded(photo(31, 3, 3), "PNG"), "size", "3 x 3"),
    "huge.png": (lambda: encoded(photo(32, 900, 800), "PNG"), "size", "900 x 800"),
    "strip.png": (lambda: encoded(photo(33, 700, 20), "PNG"), "size", "700 x 20"),
}
# Odd to look at, and as good as any: nothing is said of these.
PLAIN: dict[str, Callable[[], bytes]] = {
    "progressive.jpg": lambda: encoded(photo(50), "JPEG", progressive=True),
    "grey.jpg": lambda: encoded(photo(51).convert("L"), "JPEG"),
    "black-and-white.png": lambda: encoded(photo(52).convert("1"), "PNG"),
    "interlaced.bmp": lambda: encoded(photo(53), "BMP"),
    "SHOUTING.JPEG": lambda: encoded(photo(54), "JPEG"),
    "name with spaces, ümläut & 漢字.jpg": lambda: encoded(photo(55), "JPEG"),
    "unturned.jpg": lambda: _turned(0),
    "turned-by-nine.jpg": lambda: _turned(9),
    "phone.avif": lambda: encoded(photo(57), "AVIF"),
    "scan.jp2": lambda: encoded(photo(58), "JPEG2000"),
    "trailing.jpg": lambda: encoded(photo(56), "JPEG") + b"appended by a camera",
}


def odd_files() -> list[Odd]:
    """Makes all of them."""
    return [
        *(Odd(name, make(), "unreadable", says) for name, (make, says) in _UNREADABLE.items()),
        *(Odd(name, make(), kind, says) for name, (make, kind, says) in _READABLE.items()),
    ]
