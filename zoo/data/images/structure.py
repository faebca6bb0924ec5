"""The parts that an image file is made of: counted, and measured, before Pillow keeps or walks through them.

A file of a few megabytes may consist of millions of parts, or of thousands of scans over the same pixels. What is
refused here lies far above what any camera or program writes.
"""

import re
import zlib
from collections.abc import Callable
from typing import BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# A progressive JPEG of colours has ten scans; each is a walk over all of its blocks.
MAX_SCANS = 100
MAX_PARTED_PIXELS = 60_000_000
MAX_PARTS = 200_000
# Pillow keeps what is not pixels: EXIF, colour profiles, texts, a phone's depth map or film.
MAX_METADATA_BYTES = 100_000_000
# Formats of which the whole file is read into memory, more than once.
MAX_WHOLE_FILE_BYTES = 100_000_000
# Pixels of which Pillow's decoder is written in Python: about a second for a megabyte.
MAX_SLOW_BYTES = 8_000_000
MAX_COMMENTS = 1_000
# Longer parts are read a piece at a time.
_READ_AT_ONCE = 1 << 20
_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_FRAMES = (0xC0, 0xC1)
_START_OF_SCAN, _END, _STAND_ALONE = 0xDA, 0xD9, (0x01, 0xD8)
MAX_TAGS = 10_000
# Tags that say where the pixels lie, and how many bytes a value of each kind takes (TIFF 6.0, BigTIFF).
_PIXEL_TAGS = (273, 279, 324, 325)
_VALUE_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


class NoPixelsError(Exception):
    """What our own checks find; the message is the reason.

    Attributes:
        passing: Whether it lies with what is at the place now, and not with bytes.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


def check_structure(start: bytes, file: BinaryIO) -> None:
    """Refuses an image of too many parts, and a PNG that its own checksums belie; Pillow looks at few of them.

    Args:
        start: How the file begins.
        file: It is left at any place.

    Raises:
        NoPixelsError: It is damaged, or would take much time or memory.
    """
    for signature, check in _CHECKS.items():
        if start.startswith(signature):
            check(file)
    if start[4:8] == b"ftyp" or start[8:12] == b"WEBP":
        size = file.seek(0, 2)
        if size > MAX_WHOLE_FILE_BYTES:
            raise _too_much(f"holds {size:,} bytes", f"{MAX_WHOLE_FILE_BYTES:,} in a file of its format")


def _too_much(found: str, at_most: str) -> NoPixelsError:
    return NoPixelsError(f"{found}; expected at most {at_most}")


def _check_parts(parts: int, metadata: int) -> None:
    if parts > MAX_PARTS:
        raise _too_much("is made of too many parts", f"{MAX_PARTS:,}")
    if metadata > MAX_METADATA_BYTES:
        raise _too_much("holds too much that is not pixels", f"{MAX_METADATA_BYTES:,} bytes of it")


def _check_png(file: BinaryIO) -> None:
    """Compares each chunk with its checksum (PNG specification, 5.3)."""
    file.seek(len(PNG_SIGNATURE))
    metadata = parts = 0
    while len(head := file.read(8)) == 8:
        left, checksum = int.from_bytes(head[:4]), zlib.crc32(head[4:])
        while left:
            part = file.read(min(left, _READ_AT_ONCE))
            if not part:
                return  # cut off: what Pillow says of it is clearer
            checksum = zlib.crc32(part, checksum)
            left -= len(part)
            metadata += 0 if head[4:] == b"IDAT" else len(part)
        parts += 1
        _check_parts(parts, metadata)
        stored = file.read(4)
        if len(stored) == 4 and int.from_bytes(stored) != checksum:
            raise NoPixelsError(f"is damaged: the checksum of its {head[4:].decode('ascii', 'replace')} chunk is wrong")
        if head[4:] == b"IEND":
            return


def _check_jpeg(file: BinaryIO) -> None:
    """Walks through the segments before the pixels (ITU-T T.81, B.1), and counts scans where there may be many."""
    file.seek(2)
    metadata = parts = 0
    frame = b""
    while True:
        head = file.read(2)
        while head[1:] == b"\xff":  # fill bytes
            head = head[1:] + file.read(1)
            parts += 1
            _check_parts(parts, metadata)
        if len(head) < 2 or head[0] != 0xFF or head[1] == _END:
            return  # damaged: what Pillow says of it is clearer
        marker = file.tell() - 2
        length = 2 if head[1] in _STAND_ALONE else max(int.from_bytes(file.read(2)), 2)
        place = file.tell() + length - 2
        if head[1] == _START_OF_SCAN:
            _check_parted(frame, file.read(1))
            break
        if head[1] in _FRAMES:
            frame = file.read(6)
        parts, metadata = parts + 1, metadata + length
        _check_parts(parts, metadata)
        file.seek(place)
    # Metadata, or a film behind the image, may hold bytes that look like a scan's beginning: then they are looked at.
    if _looking_like_scans(file, marker) > MAX_SCANS and _scans(file, marker) > MAX_SCANS:
        raise _too_much("is a JPEG of too many scans", str(MAX_SCANS))


def _check_parted(frame: bytes, channels: bytes) -> None:
    """Refuses large images of which each channel has scans of its own: all of their coefficients are kept."""
    pixels = int.from_bytes(frame[1:3]) * int.from_bytes(frame[3:5])
    if frame[5:] > channels and pixels > MAX_PARTED_PIXELS:
        raise _too_much(f"is a JPEG of {pixels:,} pixels", f"{MAX_PARTED_PIXELS:,} where each channel has its own scan")


def _looking_like_scans(file: BinaryIO, place: int) -> int:
    file.seek(place)
    count, last = 0, b""
    while part := file.read(_READ_AT_ONCE):
        count += part.count(b"\xff\xda") + (last == b"\xff" and part.startswith(b"\xda"))
        last = part[-1:]
    return count


def _scans(file: BinaryIO, place: int) -> int:
    """Counts the scans of an image from the first one on, as far as they matter."""
    scans = 0
    while scans <= MAX_SCANS:
        place, kind = _next_marker(file, place)
        if kind in (None, _END):
            break
        scans += kind == _START_OF_SCAN
        if kind not in _STAND_ALONE:
            file.seek(place)
            place += max(int.from_bytes(file.read(2)), 2)
    return scans


def _next_marker(file: BinaryIO, place: int) -> tuple[int, int | None]:
    """Finds the next marker; returns the place behind it, and which it is."""
    file.seek(place)
    while part := file.read(_READ_AT_ONCE):
        if found := _MARKER.search(part):
            return place + found.end(), part[found.end() - 1]
        if len(part) == 1:
            break
        place += len(part) - 1  # the last byte may begin one
        file.seek(place)
    return place, None


def _check_gif(file: BinaryIO) -> None:
    """Walks through the blocks before and behind the first image (GIF89a, 15): Pillow joins comments."""
    file.seek(6)
    screen = file.read(7)
    if len(screen) == 7 and screen[4] & 0x80:
        file.seek(3 << ((screen[4] & 7) + 1), 1)
    parts = metadata = images = 0
    while images < 2 and (kind := file.read(1)) in (b"!", b","):
        if kind == b",":
            images += 1
            descriptor = file.read(9)
            if len(descriptor) == 9 and descriptor[8] & 0x80:
                file.seek(3 << ((descriptor[8] & 7) + 1), 1)
        file.seek(1, 1)  # an extension's label, or the size of an image's codes
        while (size := file.read(1)) not in (b"", b"\0"):
            metadata += size[0] if kind == b"!" else 0
            file.seek(size[0], 1)
        parts += kind == b"!"
        _check_parts(parts, metadata)


def _check_tiff(file: BinaryIO) -> None:
    """Adds up what the tags of the first directory hold (TIFF 6.0, section 2)."""
    file.seek(0)
    header = file.read(16)
    order = "little" if header.startswith(b"II") else "big"
    is_big = b"+" in header[2:4]
    width, entry_bytes = (8, 20) if is_big else (4, 12)

    def number(text: bytes) -> int:
        return int.from_bytes(text, order)

    size = file.seek(0, 2)
    file.seek(min(number(header[8:16] if is_big else header[4:8]), size))
    count = number(file.read(8 if is_big else 2))
    if count > MAX_TAGS:
        raise _too_much(f"has {count:,} tags", f"{MAX_TAGS:,}")
    entries = file.read(count * entry_bytes)
    metadata = 0
    for place in range(0, len(entries), entry_bytes):
        entry = entries[place : place + entry_bytes]
        if number(entry[:2]) not in _PIXEL_TAGS:
            held = number(entry[4 : 4 + width]) * _VALUE_BYTES.get(number(entry[2:4]), 1)
            metadata += held if held <= size else 0  # what cannot be there is not read
    _check_parts(0, metadata)


def _check_ppm(file: BinaryIO) -> None:
    """Looks at what Pillow reads a byte at a time: a header, pixels written as text, and those of an odd white."""
    file.seek(0)
    header = file.read(_HEADER_BYTES)
    if header[1:2] not in _PPM_KINDS:
        return
    words = _COMMENT.sub(b"\n", header[2:]).split()
    if len(words) < 3 and len(header) == _HEADER_BYTES:
        raise _too_much("has a long header", f"{_HEADER_BYTES:,} bytes")
    is_text = header[1:2] in (b"1", b"2", b"3")
    if is_text or (words[2:3] not in _USUAL_WHITES.get(header[1:2], (words[2:3],))):
        _check_slow(file, "text, or with another white than 255")
    file.seek(0)
    if is_text and file.read(MAX_SLOW_BYTES).count(b"#") > MAX_COMMENTS:
        raise _too_much("has too many comments", f"{MAX_COMMENTS:,}")


def _check_bmp(file: BinaryIO) -> None:
    file.seek(0)
    header = file.read(34)
    if header[30:31] in _RUN_LENGTHS:
        _check_slow(file, "runs of a colour (RLE)")


def _check_slow(file: BinaryIO, how: str) -> None:
    size = file.seek(0, 2)
    if size > MAX_SLOW_BYTES:
        raise _too_much(f"holds {size:,} bytes", f"{MAX_SLOW_BYTES:,} of pixels that are written as {how}")


_HEADER_BYTES = 65_536
_PPM_KINDS = b"0123456fy"
_COMMENT = re.compile(rb"#[^\n\r]*")
_USUAL_WHITES = {b"5": ([b"255"], [b"65535"]), b"6": ([b"255"],)}
# BI_RLE8 and BI_RLE4 of a BMP.
_RUN_LENGTHS = (b"\1", b"\2")
_CHECKS: dict[bytes, Callable[[BinaryIO], None]] = {
    b"\xff\xd8\xff": _check_jpeg,
    PNG_SIGNATURE: _check_png,
    b"GIF8": _check_gif,
    b"P": _check_ppm,
    b"BM": _check_bmp,
    b"II*\0": _check_tiff,
    b"MM\0*": _check_tiff,
    b"II+\0": _check_tiff,
    b"MM\0+": _check_tiff,
}
