"""More than a hundred odd image files, and some that are none: what all readers read or refuse alike."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data.images.pillow import RASTER_FORMATS

SIDES = (37, 26)
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
DEEP_MODES = ("I", "I;16", "F")
TURN = 0x0112


def write_odd_images(folder: Path) -> list[Path]:
    """Writes files that are read, each of a kind of its own; at least a hundred."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for make in (_modes, _turned, _deep, _transparent, _animated, _compressed, _shapes, _texts):
        for name, content in make():
            path = folder / name
            path.write_bytes(content)
            written.append(path)
    assert len({path.name for path in written}) == len(written) >= 100
    return written


def write_no_images(folder: Path) -> list[Path]:
    """Writes files that are refused."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _refused():
        (folder / name).write_bytes(content)
    (folder / "a-folder.jpg").mkdir()
    return [*sorted(folder.iterdir()), folder / "nowhere.jpg"]


def picture(mode: str = "RGB", size: tuple[int, int] = SIDES, seed: int = 0) -> Image.Image:
    """Draws waves with grain, so that filters differ and no two rows are alike."""
    width, height = size
    x, y = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
    waves = 128 + 60 * np.sin(x / 5 + np.arange(4)) + 50 * np.cos(y / 4 - np.arange(4))
    grain = np.random.default_rng(seed).normal(0, 12, waves.shape)
    values = (waves + grain).clip(0, 255).astype(np.uint8)
    if mode == "F":
        return Image.fromarray(values[..., 0].astype(np.float32) / 255)
    if mode.startswith("I"):
        grey = (values[..., 0].astype(np.uint16) << 8) + values[..., 1]
        return Image.fromarray(grey).convert("I") if mode == "I" else Image.fromarray(grey)
    colours = Image.fromarray(values[..., :3])
    by_way_of = {"PA": "P", "La": "LA", "RGBa": "RGBA"}.get(mode)
    if mode in ("LA", "La"):
        image = Image.fromarray(values[..., :2])
    elif mode in ("RGBA", "RGBa", "CMYK"):
        image = Image.fromarray(values, "CMYK") if mode == "CMYK" else Image.fromarray(values)
    else:
        image = colours.convert(by_way_of) if by_way_of else colours
    return image if image.mode == mode else image.convert(mode)


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """Returns what Pillow writes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(values: np.ndarray, *, clear: tuple[int, ...] = ()) -> bytes:
    """Returns a PNG of 16 bits a channel, as Pillow cannot write it: uint16[height, width(, 2, 3 or 4)]."""
    height, width = values.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[1 if values.ndim == 2 else values.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    seen_through = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)) if clear else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + seen_through + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a part of a PNG, with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def tiff(values: np.ndarray, *, more: dict[int, int] | None = None) -> bytes:
    """Returns a TIFF of whole numbers as they are, uint16[height, width(, channels)], with tags beside the usual."""
    data, channels = values.astype("<u2").tobytes(), 1 if values.ndim == 2 else values.shape[2]
    height, width = values.shape[:2]
    tags = {
        256: width,
        257: height,
        258: 16,
        259: 1,
        262: 1 if channels == 1 else 2,
        273: 0,
        277: channels,
        278: height,
    }
    tags |= {279: len(data), **(more or {})}
    place = 8 + 2 + 12 * len(tags) + 4
    tags[273] = place + 2 * channels
    entries = b"".join(
        # The bits of three channels do not fit into their entry.
        struct.pack("<HHII", tag, 3, channels, place)
        if tag == 258 and channels > 2
        else struct.pack("<HHII", tag, 4, 1, tags[tag])
        for tag in sorted(tags)
    )
    bits = struct.pack(f"<{channels}H", *[16] * channels)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bits + data


def _modes() -> Iterator[tuple[str, bytes]]:
    for mode in (*MODES, *DEEP_MODES):
        for format in RASTER_FORMATS:
            options = {"lossless": True} if format == "WEBP" else {}
            try:
                yield f"{mode.replace(';', '-')}.{format.lower()}", saved(picture(mode), format, **options)
            except (OSError, ValueError, KeyError):
                continue  # what a format does not hold


def _turned() -> Iterator[tuple[str, bytes]]:
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[TURN] = turn
        for format in ("JPEG", "PNG", "WEBP"):
            yield f"turned-{turn}.{format.lower()}", saved(picture(), format, exif=exif)
        yield f"turned-{turn}.tiff", saved(picture(), "TIFF", tiffinfo={TURN: turn})
    yield "turned-9.jpeg", saved(picture(), "JPEG", exif=_exif(9))
    yield "damaged-exif.jpeg", saved(picture(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\1")


def _exif(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[TURN] = turn
    return exif


def _deep() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(3)
    grey, colours = rng.integers(0, 65536, (26, 37)), rng.integers(0, 65536, (26, 37, 3))
    grey[0, :5], colours[0, :5] = 777, (7, 8, 9)
    yield "deep-grey.png", png(grey)
    yield "deep-grey-seen-through.png", png(grey, clear=(777,))
    yield "deep-grey-alpha.png", png(rng.integers(0, 65536, (26, 37, 2)))
    yield "deep-colours.png", png(colours)
    yield "deep-colours-seen-through.png", png(colours, clear=(7, 8, 9))
    yield "deep-colours-alpha.png", png(rng.integers(0, 65536, (26, 37, 4)))
    yield "twelve-bits-in-sixteen.png", png(grey // 16)
    yield "twelve-bits-of-colours.png", png(colours // 16)
    yield "deep-grey.tiff", tiff(grey)
    yield "deep-colours.tiff", tiff(colours)
    yield "whole-numbers.tiff", saved(Image.fromarray(grey.astype(np.int32)), "TIFF")
    yield "big-endian.tiff", saved(Image.fromarray(grey.astype(np.uint16)).convert("I").convert("I;16B"), "TIFF")
    yield "floats-to-1.tiff", saved(Image.fromarray((grey / 65535).astype(np.float32)), "TIFF")
    yield "floats-to-255.tiff", saved(Image.fromarray((grey / 257).astype(np.float32)), "TIFF")
    yield "deep.jp2", saved(Image.fromarray(grey.astype(np.uint16)), "JPEG2000")


def _transparent() -> Iterator[tuple[str, bytes]]:
    palette = picture("P")
    yield "palette-one-clear.png", saved(palette, "PNG", transparency=3)
    yield "palette-alphas.png", saved(palette, "PNG", transparency=bytes(range(256)))
    yield "palette-one-clear.gif", saved(palette, "GIF", transparency=palette.getpixel((4, 4)))
    yield "grey-one-clear.png", saved(picture("L"), "PNG", transparency=128)
    yield "colour-one-clear.png", saved(picture("RGB"), "PNG", transparency=picture("RGB").getpixel((2, 2)))
    yield "all-clear.png", saved(Image.new("RGBA", SIDES, (9, 99, 200, 0)), "PNG")
    yield "small-palette.png", saved(picture().quantize(5), "PNG", bits=4)
    yield "clear.webp", saved(picture("RGBA"), "WEBP", quality=60)
    yield "clear.avif", saved(picture("RGBA"), "AVIF")


def _animated() -> Iterator[tuple[str, bytes]]:
    frames = [picture("RGB", seed=seed) for seed in range(3)]
    for format in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        yield f"animated.{format.lower()}", saved(frames[0], format, save_all=True, append_images=frames[1:])
    yield "two-eyes.mpo", saved(frames[0], "MPO", save_all=True, append_images=frames[1:])


def _compressed() -> Iterator[tuple[str, bytes]]:
    large = picture(size=(1501, 1102))
    yield "draft.jpg", saved(large, "JPEG")
    yield "draft-grey.jpg", saved(large.convert("L"), "JPEG")
    yield "draft-turned.jpg", saved(large, "JPEG", exif=_exif(6), subsampling=0)
    yield "draft-cmyk.jpg", saved(large.convert("CMYK"), "JPEG")
    yield "draft-progressive.jpg", saved(large, "JPEG", progressive=True)
    yield "progressive.jpg", saved(picture(), "JPEG", progressive=True, quality=100)
    yield "profile.png", saved(picture(), "PNG", icc_profile=b"no profile at all")
    yield "cut-off-comment.jpg", saved(picture(), "JPEG", comment=b"\xff\xd8 a comment")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"{compression}.tiff", saved(picture(), "TIFF", compression=compression)
    yield "group4.tiff", saved(picture("1"), "TIFF", compression="group4")


def _shapes() -> Iterator[tuple[str, bytes]]:
    for size in ((1, 1), (2, 1), (1, 300), (300, 1), (1999, 3), (3, 1999), (29, 23), (23, 29), (58, 46), (257, 255)):
        yield f"{size[0]}x{size[1]}.png", saved(picture(size=size), "PNG")
    yield "1x1.gif", saved(Image.new("P", (1, 1)), "GIF")
    yield "7x4000.jpg", saved(picture(size=(7, 4000)), "JPEG")


def _texts() -> Iterator[tuple[str, bytes]]:
    yield "bits.pbm", b"P1\n# a comment\n4 2\n0 1 0 1 1 0 1 0\n"
    yield "greys.pgm", b"P2 4 2 100\n0 10 20 30 40 50 60 100\n"
    yield "odd-white.pgm", b"P5 4 2 100\n" + bytes(range(0, 80, 10))
    yield "deep.pgm", b"P5 4 2 65535\n" + np.arange(8, dtype=">u2").tobytes()
    yield "floats.pfm", b"Pf\n4 2\n-1.0\n" + np.linspace(0, 1, 8, dtype="<f4").tobytes()


def _refused() -> Iterator[tuple[str, bytes]]:
    good = saved(picture(), "PNG")
    place = good.index(b"IDAT") + 8
    yield "empty.jpg", b""
    yield "text.jpg", b"a letter about cats"
    yield "page.jpg", b"<!doctype html><html>not found</html>"
    yield "postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    yield "icon.jpg", saved(picture(size=(32, 32)), "ICO")
    yield "cut-off.jpg", saved(picture(size=(200, 200)), "JPEG")[:3000]
    yield "cut-off.png", good[:-60]
    yield "wrong-checksum.png", good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    yield "bomb.png", b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 11_000, 11_000, 8, 6, 0, 0, 0))
    yield "much-memory.png", b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    yield "raw-photo.tiff", tiff(np.zeros((8, 8)), more={50706: 0x04010000})
    yield "preview.tiff", tiff(np.zeros((8, 8)), more={254: 1, 330: 8})
    yield "negative.tiff", saved(Image.fromarray(np.array([[-1, 5]], np.int32)), "TIFF")
    yield "too-bright.tiff", saved(Image.fromarray(np.array([[1, 70_000]], np.int32)), "TIFF")
    yield "not-a-number.tiff", saved(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF")
    yield "floats-to-300.tiff", saved(Image.fromarray(np.array([[0, 300]], np.float32)), "TIFF")
    yield "damaged.avif", b"\0\0\0\x1cftypavif" + bytes(40)
    yield "film.heic", b"\0\0\0\x18ftypheic" + bytes(40)
