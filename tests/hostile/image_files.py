"""Image files that nobody's camera wrote: bombs, damaged ones, odd kinds, and those that are something else."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

BIG = 13_377  # a square of this side has nearly as many pixels as Pillow takes


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A file as bytes.

    Attributes:
        name: With the suffix of what it pretends to be.
        content: Makes its bytes.
        reason: A part of why it is refused; empty where it is read.
    """

    name: str
    content: Callable[[], bytes]
    reason: str = ""


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits=8, kind=2, *, more=b"", pixels=None, interlaced=0):
    row = (width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind] * bits + 7) // 8 + 1
    if pixels is None:
        pack = zlib.compressobj(9)
        at_once = max((1 << 22) // row, 1)
        parts = [pack.compress(bytes(row * min(at_once, height - top))) for top in range(0, height, at_once)]
        pixels = b"".join([*parts, pack.flush()])
    palette = chunk(b"PLTE", bytes(768)) if kind == 3 else b""
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + palette + more + chunk(b"IDAT", pixels)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def saved(image, kind, **how):
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def noise(mode="RGB", side=300, seed=1):
    grey = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    if mode in ("F", "I", "I;16"):
        return Image.fromarray(grey.astype({"F": "f4", "I": "i4", "I;16": "u2"}[mode]))
    image = Image.fromarray(grey).convert("RGB")
    return image.convert("P").convert(mode) if mode == "PA" else image.convert(mode)


def jpeg(image=None, **how):
    return saved(image or Image.new("L", (64, 64)), "JPEG", **how)


def jpeg_with(segments, **how):
    whole = jpeg(**how)
    return whole[:2] + segments + whole[2:]


def jpeg_of_scans(side, scans):
    whole = jpeg(Image.new("L", (side, side)), progressive=True)
    last, end = whole.rfind(b"\xff\xda"), whole.rfind(b"\xff\xd9")
    return whole[:end] + whole[last:end] * scans + whole[end:]


def tiff(tags, data=b"", after=0, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    return mark + struct.pack(f"{order}IH", 8, len(tags)) + entries + struct.pack(f"{order}I", after) + data


GREY_TIFF = [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
GREY_TIFF += [(277, 3, 1, 1), (278, 3, 1, 64), (279, 4, 1, 4096)]


def tiff_of_directories(count, *, circle=False):
    parts, place = [], 8
    for number in range(count):
        tags = GREY_TIFF if number == 0 else GREY_TIFF[:2]
        place += 6 + 12 * len(tags)
        entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
        after = place if number < count - 1 else 8 * circle
        parts.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", after))
    return b"II*\0\x08\0\0\0" + b"".join(parts) + bytes(4096)


def tiff_of_a_large_tile():
    tags = [(256, 3, 1, 64), (257, 3, 1, 64), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    tags += [(322, 4, 1, 28_000), (323, 4, 1, 28_000), (324, 4, 1, 200), (325, 4, 1, 800_000)]
    return tiff(tags, bytes(200 - 8 - 2 - 120 - 4) + zlib.compress(bytes(28_000 * 28_000), 9))


def gif_with(blocks, *, behind=False):
    whole = saved(Image.new("P", (64, 64)), "GIF")
    place = whole.rfind(b";") if behind else 13 + 3 * (2 << (whole[10] & 7))
    return whole[:place] + blocks + whole[place:]


def gif_of_a_large_canvas():
    whole = bytearray(saved(Image.new("P", (100, 100)), "GIF"))
    whole[6:10] = struct.pack("<HH", BIG, BIG)
    return bytes(whole)


def bmp_of_runs(side, runs, *, lines):
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + head + bytes(1024) + (runs + b"\0\0") * lines + b"\0\1"


def exif(body):
    return b"\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body


def exif_in_a_circle():
    return exif(b"MM\0*\0\0\0\x08" + struct.pack(">HHHII", 1, 0x8769, 4, 1, 8) + struct.pack(">I", 8))


def of(length, seed=1):
    return random.Random(seed).randbytes(length)


def flipped(content, count, seed):
    data, chosen = bytearray(content), random.Random(seed)
    for _ in range(count):
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    return bytes(data)


def _usual(kind):
    modes = {"AVIF": "RGB", "JPEG2000": "RGB", "PPM": "RGB"}
    return saved(noise(modes.get(kind, "RGB"), 64), kind)


SUFFIXES = {
    "JPEG": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "BMP": "bmp",
    "WEBP": "webp",
    "TIFF": "tif",
    "PPM": "ppm",
    "AVIF": "avif",
    "JPEG2000": "jp2",
}
MUCH_MEMORY, MANY_PARTS, METADATA = "MB to decode", "too many parts", "that is not pixels"

BOMBS = (
    *(
        ImageFile(name=f"{bits}-bit-of-kind-{kind}.png", content=lambda b=bits, k=kind: png(BIG, BIG, b, k), reason=why)
        for bits, kind, why in [
            *[(1, 0, ""), (8, 0, ""), (16, 0, ""), (8, 3, ""), (8, 2, MUCH_MEMORY), (16, 2, MUCH_MEMORY)],
            *[(8, 4, MUCH_MEMORY), (16, 4, MUCH_MEMORY), (8, 6, MUCH_MEMORY), (16, 6, MUCH_MEMORY)],
        ]
    ),
    ImageFile(name="just-within.png", content=lambda: png(10_400, 10_400, 16, 6)),
    ImageFile(name="wide.png", content=lambda: png(60_000_000, 1, 8, 6), reason=MUCH_MEMORY),
    ImageFile(name="long.png", content=lambda: png(10, 2_000_000, 8, 2)),
    ImageFile(name="huge.png", content=lambda: png(60_000, 60_000, pixels=b""), reason="exceeds limit"),
    ImageFile(name="texts.png", content=lambda: png(64, 64, more=chunk(b"tEXt", b"a\0b") * 500_000), reason=MANY_PARTS),
    ImageFile(name="chunks.png", content=lambda: png(64, 64, more=chunk(b"teXt", b"") * 500_000), reason=MANY_PARTS),
    ImageFile(
        name="empty-idats.png", content=lambda: png(64, 64, more=chunk(b"IDAT", b"") * 300_000), reason=MANY_PARTS
    ),
    ImageFile(
        name="private.png", content=lambda: png(64, 64, more=chunk(b"prIv", bytes(101_000_000))), reason=METADATA
    ),
    *(
        ImageFile(
            name=f"packed-{kind.decode()}.png",
            content=lambda k=kind, h=head: png(64, 64, more=chunk(k, h + zlib.compress(bytes(300_000_000), 9))),
            reason="too large",
        )
        for kind, head in [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")]
    ),
    ImageFile(name="more-pixels.png", content=lambda: png(64, 64, pixels=zlib.compress(bytes(500_000_000), 9))),
    ImageFile(
        name="lossless.webp",
        content=lambda: saved(Image.new("RGB", (13_000, 13_000)), "WEBP", lossless=True, method=0, quality=0),
        reason=MUCH_MEMORY,
    ),
    ImageFile(
        name="lossy.webp",
        content=lambda: saved(Image.new("RGB", (6_000, 6_000)), "WEBP", method=0, quality=0),
        reason=MUCH_MEMORY,
    ),
    ImageFile(
        name="just-within.webp",
        content=lambda: saved(Image.new("RGB", (5_100, 5_100)), "WEBP", lossless=True, method=0, quality=0),
    ),
    ImageFile(
        name="large.avif", content=lambda: saved(Image.new("RGB", (8_000, 8_000)), "AVIF", speed=10), reason=MUCH_MEMORY
    ),
    ImageFile(name="large.jp2", content=lambda: saved(Image.new("RGB", (8_000, 8_000)), "JPEG2000")),
    ImageFile(name="large.gif", content=lambda: saved(Image.new("P", (BIG, BIG)), "GIF")),
    ImageFile(name="canvas.gif", content=gif_of_a_large_canvas),
    ImageFile(name="comments.gif", content=lambda: gif_with(b"!\xfe\x01a\0" * 300_000), reason=MANY_PARTS),
    ImageFile(
        name="comments-behind.gif", content=lambda: gif_with(b"!\xfe\x01a\0" * 300_000, behind=True), reason=MANY_PARTS
    ),
    ImageFile(name="long-comment.gif", content=lambda: gif_with(b"!\xfe" + (b"\xff" + bytes(255)) * 40_000 + b"\0")),
    ImageFile(
        name="longest-comment.gif",
        content=lambda: gif_with(b"!\xfe" + (b"\xff" + bytes(255)) * 400_000 + b"\0"),
        reason=METADATA,
    ),
    *(
        ImageFile(
            name=f"large-{mode}.tif",
            content=lambda m=mode: saved(
                Image.new(m.replace("_", ";"), (BIG, BIG)), "TIFF", compression="tiff_adobe_deflate"
            ),
            reason=why,
        )
        for mode, why in [
            ("1", ""),
            ("L", ""),
            ("P", ""),
            ("I_16", ""),
            *((m, MUCH_MEMORY) for m in ("F", "CMYK", "RGBA")),
        ]
    ),
    ImageFile(
        name="one-strip.tif",
        content=lambda: saved(
            Image.new("RGB", (9_000, 9_000)), "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 9_000}
        ),
        reason=MUCH_MEMORY,
    ),
    ImageFile(name="tile.tif", content=tiff_of_a_large_tile, reason=MUCH_MEMORY),
    ImageFile(
        name="tags.tif",
        content=lambda: tiff(GREY_TIFF + [(40_000, 1, 0x10000, 8)] * 60_000, bytes(1 << 17)),
        reason="60,009 tags",
    ),
    ImageFile(
        name="same-data.tif",
        content=lambda: tiff(GREY_TIFF + [(40_000 + i, 1, 0x10000, 8) for i in range(9_000)], bytes(1 << 17)),
        reason=METADATA,
    ),
    ImageFile(
        name="large-tag.tif",
        content=lambda: tiff([*GREY_TIFF, (700, 7, 101_000_000, 8)], bytes(101_000_200)),
        reason=METADATA,
    ),
    ImageFile(name="claimed-tag.tif", content=lambda: tiff([*GREY_TIFF, (700, 7, 0xFFFFFFFF, 8)], bytes(5_000))),
    ImageFile(name="directories.tif", content=lambda: tiff_of_directories(100_000)),
    ImageFile(name="circle.tif", content=lambda: tiff_of_directories(3, circle=True)),
    ImageFile(name="scans.jpg", content=lambda: jpeg_of_scans(3_000, 2_000), reason="too many scans"),
    ImageFile(name="short-scans.jpg", content=lambda: jpeg_of_scans(64, 100_000), reason="too many scans"),
    ImageFile(name="scans-within.jpg", content=lambda: jpeg_of_scans(8_000, 80)),
    ImageFile(
        name="progressive.jpg",
        content=lambda: jpeg(Image.new("RGB", (BIG, BIG)), progressive=True, subsampling=0),
        reason=MUCH_MEMORY,
    ),
    ImageFile(
        name="progressive-cmyk.jpg",
        content=lambda: jpeg(Image.new("CMYK", (9_000, 9_000)), progressive=True),
        reason=MUCH_MEMORY,
    ),
    ImageFile(name="baseline.jpg", content=lambda: jpeg(Image.new("RGB", (65_500, 2_730)))),
    ImageFile(name="segments.jpg", content=lambda: jpeg_with(b"\xff\xe5\0\4aa" * 300_000), reason=MANY_PARTS),
    ImageFile(name="fill.jpg", content=lambda: jpeg_with(b"\xff" * 300_000), reason=MANY_PARTS),
    ImageFile(
        name="comments.jpg", content=lambda: jpeg_with((b"\xff\xfe\xff\xff" + bytes(65_533)) * 1_600), reason=METADATA
    ),
    ImageFile(
        name="profiles.jpg",
        content=lambda: jpeg_with((b"\xff\xe2\xff\xffICC_PROFILE\0\1\1" + bytes(65_519)) * 1_600),
        reason=METADATA,
    ),
    ImageFile(name="runs.bmp", content=lambda: bmp_of_runs(13_000, b"\xff\1" * 51, lines=13_000), reason=MUCH_MEMORY),
    ImageFile(
        name="short-runs.bmp",
        content=lambda: bmp_of_runs(3_000, b"\1\1" * 3_000, lines=3_000),
        reason="runs of a colour",
    ),
    ImageFile(name="text.ppm", content=lambda: b"P3 3000 3000 255\n" + b"1 " * 27_000_000, reason="written as text"),
    ImageFile(name="text-within.ppm", content=lambda: b"P3 1000 1000 255\n" + b"1 " * 3_000_000),
    ImageFile(
        name="text-comments.ppm",
        content=lambda: b"P3 30 30 255\n" + b"#a\n" * 600_000 + b"1 " * 2_700,
        reason="too many comments",
    ),
    ImageFile(name="white.ppm", content=lambda: b"P6 2000 2000 100\n" + bytes(12_000_000), reason="another white"),
    ImageFile(
        name="comment.ppm",
        content=lambda: b"P6 #" + b"a" * 10_000_000 + b"\n64 64 255\n" + bytes(12_288),
        reason="long header",
    ),
    ImageFile(
        name="spaces.ppm",
        content=lambda: b"P6 " + b" " * 10_000_000 + b"64 64 255\n" + bytes(12_288),
        reason="long header",
    ),
    ImageFile(
        name="digits.ppm",
        content=lambda: b"P6 " + b"1" * 10_000_000 + b" 64 255\n" + bytes(12_288),
        reason="long header",
    ),
)

ODD = (
    *(
        ImageFile(
            name=f"{mode.replace(';', '')}-300.{SUFFIXES[kind]}",
            content=lambda m=mode, k=kind: saved(noise(m), k),
        )
        for kind, modes in [
            ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
            ("TIFF", ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "LAB", "YCbCr")),
            ("GIF", ("1", "L", "P", "RGBA")),
            ("BMP", ("1", "L", "P", "RGB", "RGBA")),
            ("JPEG", ("L", "RGB", "CMYK")),
            ("WEBP", ("P", "RGBA")),
            ("JPEG2000", ("L", "LA", "RGBA")),
        ]
        for mode in modes
    ),
    ImageFile(name="one-pixel.png", content=lambda: png(1, 1)),
    ImageFile(name="exif-circle.jpg", content=lambda: jpeg_with(exif_in_a_circle())),
    ImageFile(name="exif-noise.jpg", content=lambda: jpeg_with(exif(of(60_000)))),
    ImageFile(
        name="exif-claims.png",
        content=lambda: png(
            64,
            64,
            more=chunk(
                b"eXIf",
                b"MM\0*\0\0\0\x08" + struct.pack(">H", 65_535) + struct.pack(">HHII", 0x112, 3, 0x7FFFFFFF, 8) * 65_535,
            ),
        ),
    ),
    ImageFile(
        name="profile-noise.jpg",
        content=lambda: jpeg_with(b"\xff\xe2" + struct.pack(">H", 5_016) + b"ICC_PROFILE\0\1\1" + of(5_000)),
    ),
    ImageFile(
        name="orientation-99.jpg",
        content=lambda: jpeg_with(exif(b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHH", 1, 0x112, 3, 1, 99, 0) + bytes(4))),
    ),
)

DAMAGED = (
    *(
        ImageFile(
            name=f"cut-{kind}.{suffix}",
            content=lambda k=kind: (w := _usual(k))[: len(w) // 2],
            reason="cannot be read; training",
        )
        for kind, suffix in SUFFIXES.items()
    ),
    *(
        ImageFile(
            name=f"beginning-{kind}.{suffix}", content=lambda k=kind: _usual(k)[:24], reason="cannot be read; training"
        )
        for kind, suffix in SUFFIXES.items()
    ),
    ImageFile(name="empty.png", content=bytes, reason="is empty"),
    ImageFile(name="noise.jpg", content=lambda: of(5_000), reason="is not a JPEG"),
    ImageFile(name="zeros.jpg", content=lambda: bytes(5_000), reason="is not a JPEG"),
    ImageFile(name="page.jpg", content=lambda: b"<html>" + b" " * 5_000_000, reason="an HTML page"),
    ImageFile(
        name="program.png", content=lambda: b"%!PS\n(marker) (w) file closefile\n", reason="a PostScript program"
    ),
    ImageFile(name="ghost.png", content=lambda: b"\xc5\xd0\xd3\xc6" + bytes(28) + b"%!PS", reason="is not a JPEG"),
    ImageFile(
        name="drawing.svg.png",
        content=lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        reason="an SVG drawing",
    ),
    ImageFile(
        name="entities.png",
        content=lambda: b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "/etc/passwd">]><a>&b;</a>',
        reason="an XML document",
    ),
    ImageFile(name="pickle.jpg", content=lambda: b"cposix\nsystem\n(S'touch marker'\ntR.", reason="not an image"),
    ImageFile(
        name="no-size.png", content=lambda: png(0, 0, pixels=zlib.compress(b"")), reason="cannot be read; training"
    ),
    ImageFile(name="wrong-sum.png", content=lambda: png(64, 64)[:-20] + bytes(20), reason="damaged"),
    ImageFile(name="no-pixels.png", content=lambda: png(64, 64, pixels=b""), reason="cannot be read; training"),
    ImageFile(name="odd-bits.png", content=lambda: png(64, 64, 7, 2), reason="cannot be read; training"),
    ImageFile(
        name="negative.bmp",
        content=lambda: b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, -5, -5, 1, 24, 0, 0, 0, 0, 0, 0),
        reason="cannot be read; training",
    ),
    ImageFile(
        name="float-nan.tif",
        content=lambda: saved(Image.fromarray(np.full((64, 64), np.nan, np.float32)), "TIFF"),
        reason="float pixels",
    ),
    ImageFile(
        name="float-far.tif",
        content=lambda: saved(Image.fromarray(np.full((64, 64), 1e30, np.float32)), "TIFF"),
        reason="float pixels",
    ),
)

FLIPPED = tuple(
    ImageFile(
        name=f"flipped-{seed}-{kind}.{suffix}", content=lambda k=kind, s=seed: flipped(_usual(k), 8, s), reason="?"
    )
    for kind, suffix in SUFFIXES.items()
    for seed in range(4)
)
