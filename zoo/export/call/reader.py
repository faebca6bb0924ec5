"""From a photo to pixels, by the rules that the model's training read its photos by, to the bit."""

import importlib
import io
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

Photo = str | os.PathLike[str] | bytes
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"}
# What one photo may take: a file's bytes, pixels, and bytes of memory while it is decoded.
MOST_FILE_BYTES, MOST_PIXELS, MOST_BYTES = 1 << 30, 178_956_970, 440_000_000
LARGE_BYTES = 128_000_000
# A photo of more pixels is averaged to RESERVE times what is needed; a JPEG of any size is decoded at 1/2, 1/4 or 1/8.
LARGE_PIXELS, RESERVE = 32_000_000, 2
# Bytes for a pixel, in Pillow's modes and in what decodes some formats.
MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
FORMAT_BYTES = {"WEBP": 16, "AVIF": 11, "HEIF": 9, "JPEG2000": 19}
# How EXIF's orientations are turned upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_photo(photo: Photo, shape: Sequence[int], fit: Mapping[str, Any]) -> np.ndarray:
    """Reads a photo: its first frame, upright, opaque, of 8 bits a channel, at the model's size.

    Args:
        photo: A file, or the bytes of one.
        shape: Height, width, and channels: 1 for grey, 3 for RGB.
        fit: `resize` (crop, pad, stretch), `crop_share`, `interpolation` (bilinear, bicubic) and `white`.

    Returns:
        uint8[height, width, channels] in [0, 255].

    Raises:
        ValueError: It gives no pixels; the message is one line.
    """
    try:
        with _opened(photo) as file:
            image = _flattened(file, math.ceil(max(shape[:2]) / fit["crop_share"]), fit["white"])
        return _fitted(image, shape, fit)
    except Exception as fault:  # damaged files bring out any class
        name = "bytes" if isinstance(photo, bytes) else os.fspath(photo)
        reason = " ".join((getattr(fault, "strerror", None) or str(fault)).split()) or type(fault).__name__
        raise ValueError(f"{name}: cannot be read as a photo ({reason})") from fault


def _opened(photo: Photo) -> BinaryIO:
    if isinstance(photo, bytes):
        return io.BytesIO(photo)
    path = Path(photo)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("it is not a file")
    if path.stat().st_size > MOST_FILE_BYTES:
        raise ValueError(f"its file is larger than {MOST_FILE_BYTES:,} bytes")
    return path.open("rb")


def _flattened(file: BinaryIO, side: int, white: int) -> Image.Image:
    """Decodes to grey or RGB, upright; at least `side` pixels are needed, and deep greys of `white` are white."""
    image = _image(file)
    full, raw = image.size, _raw_mode(image)
    if white and ";16" in raw and raw not in LOWER and not raw.startswith(("I", "F", "BGR")):
        raise ValueError(f"pixels of the kind {raw}, of whose lower bytes data.white = {white} cannot be taken")
    decoded = _shrink(image, side)
    _check_size(image, full, decoded, side, copies=3 if _needs_lower_bytes(image, raw, white) else 1)
    image.load()
    if image.format == "JPEG2000":
        image.reduce = 0  # set by _shrink; it hides Pillow's method of that name
    turn = _orientation(image)  # Pillow has turned a TIFF by now, and says so
    lower = _lower_bytes(_image(file), raw) if _needs_lower_bytes(image, raw, white) else None
    flat = _flat(image, white or (4095 if raw == "I;12" else 65535), lower, white)
    if flat.width * flat.height > LARGE_PIXELS and (factor := _averaged(flat.size, side)) > 1:
        flat = flat.reduce(factor)
    return flat.transpose(TURNS[turn]) if turn in TURNS else flat


def _image(file: BinaryIO) -> Any:
    """Opens a file as an image, whatever its suffix."""
    file.seek(0)
    start = file.read(512)
    if start[4:8] == b"ftyp":
        ends = min(int.from_bytes(start[:4], "big"), len(start))
        brands = {start[8:12], *(start[place : place + 4] for place in range(16, ends, 4))}
        if brands & HEIC_BRANDS or (brands & {b"mif1", b"msf1"} and not brands & {b"avif", b"avis"}):
            try:
                heif: Any = importlib.import_module("pillow_heif")
            except ImportError:
                raise ValueError("a HEIC photo: pip install pillow-heif, or convert it to JPEG") from None
            file.seek(0)
            return heif.HeifImageFile(file)
    if start.startswith(b"\x89PNG"):
        _check_png(file)
    image: Any = Image.open(file, formats=FORMATS)
    getattr(image, "is_animated", False)  # as training asks: some faults behind the first frame come out here
    tags = image.tag_v2 if image.format == "TIFF" else {}
    if 50706 in tags or (int(tags.get(254, 0)) & 1 and 330 in tags):
        raise ValueError("a camera's raw photo, of which a TIFF reader sees the preview: convert it to JPEG")
    return image


def _check_png(file: BinaryIO) -> None:
    """Compares each chunk with its checksum, which Pillow leaves to chance for pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        content = file.read(int.from_bytes(head[:4], "big"))
        stored = file.read(4)
        if len(stored) == 4 and int.from_bytes(stored, "big") != zlib.crc32(content, zlib.crc32(head[4:])):
            raise ValueError(f"the checksum of its {head[4:].decode('ascii', 'replace')} chunk is wrong")
        if head[4:] == b"IEND":
            return


def _raw_mode(image: Any) -> str:
    """Returns how the pixels lie in the file, which Pillow forgets when it loads them."""
    for tile in getattr(image, "tile", []):
        args = tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args
        if isinstance(args, str):
            return args
    return image.mode


def _orientation(image: Any) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF: the pixels are as good as before
        return 1


def _shrink(image: Any, side: int) -> tuple[int, int]:
    """Asks for fewer pixels where the format can give them by itself; returns the size that is decoded."""
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (RESERVE * side, RESERVE * side))
    elif image.format == "JPEG2000":
        halvings, taken = 0, image.width * image.height * FORMAT_BYTES["JPEG2000"]
        while taken >> 2 * halvings > LARGE_BYTES and min(image.size) >> halvings + 1 >= RESERVE * side:
            halvings += 1
        if halvings and taken > MOST_BYTES:
            image.reduce = halvings
            return image.width >> halvings, image.height >> halvings
    return image.size


def _averaged(size: tuple[int, int], side: int) -> int:
    """Returns over squares of how many pixels a side a large photo is averaged."""
    return max(min(size) // (RESERVE * side), 1)


def _check_size(image: Any, full: tuple[int, int], decoded: tuple[int, int], side: int, *, copies: int) -> None:
    """Refuses by its header what would take too much memory."""
    pixels = math.prod(decoded)
    each = max(MODE_BYTES.get(image.mode, 4) * copies, FORMAT_BYTES.get(image.format or "", 0))
    if pixels > LARGE_PIXELS and _averaged(decoded, side) == 1 and image.mode != "RGB":
        each += 1 if image.mode in ("1", "L") else 4
    taken = pixels * each * (3 if decoded[0] > 2_000_000 else 1)
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):  # libjpeg keeps all coefficients
        layers = getattr(image, "layer", [])
        across, down = (max((layer[place] for layer in layers), default=1) or 1 for place in (1, 2))
        taken += int(2 * math.prod(full) * sum(layer[1] * layer[2] / (across * down) for layer in layers))
    kinds = [tile[0] for tile in getattr(image, "tile", [])]
    if image.format in ("BMP", "DIB") and "bmp_rle" in kinds:
        taken += 2 * image.width * image.height
    if image.format == "TIFF" and "libtiff" in kinds:  # it unpacks a strip or a tile as a whole
        tags = image.tag_v2
        width, height = tags.get(322), tags.get(323)
        if not (isinstance(width, int) and isinstance(height, int)):
            width, height = image.width, min(int(tags.get(278, image.height)), image.height)
        taken += width * height * max(sum(tags.get(258, (1,))), 8 * MODE_BYTES.get(image.mode, 4)) // 8
    if math.prod(full) > MOST_PIXELS or taken > MOST_BYTES:
        raise ValueError(f"{full[0]} x {full[1]} pixels ({image.format}, {image.mode}) take too much memory")


# How colours of 16 bits lie in a file, and the mode by which Pillow takes the lower byte of each, not the upper.
LOWER = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if np.little_endian else "L"))
}


def _needs_lower_bytes(image: Any, raw: str, white: int) -> bool:
    return raw in LOWER and bool(white or isinstance(image.info.get("transparency"), tuple))


def _lower_bytes(image: Any, raw: str) -> np.ndarray:
    image.tile = [
        tile._replace(args=(LOWER[raw], *tile.args[1:]) if isinstance(tile.args, tuple) else LOWER[raw])
        for tile in image.tile
    ]
    image.load()
    return np.asarray(image)


def _flat(image: Image.Image, full: int, lower: np.ndarray | None, white: int) -> Image.Image:
    """Makes any mode grey or RGB of 8 bits, and puts what is transparent on white."""
    clear: Any = image.info.get("transparency")
    if image.mode == "F" or image.mode.startswith("I"):
        deep = np.asarray(image)
        grey = _eight_bits(deep, full)
        if isinstance(clear, int):
            grey[deep == clear] = 255
        return Image.fromarray(grey)
    if lower is not None:
        upper = np.asarray(image)
        deep = (upper.astype(np.uint16) << 8 | lower)[..., :3]
        colours = _eight_bits(deep, white) if white else upper[..., :3].copy()
        if isinstance(clear, tuple):
            colours[(deep == np.array(clear, np.uint16)).all(axis=-1)] = 255
        if image.mode != "RGBA":
            return Image.fromarray(colours)
        return _on_white(Image.fromarray(np.dstack([colours, upper[..., 3]])))
    if image.mode == "La":  # Pillow makes no RGBA of it
        image = image.convert("LA")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode in ("L", "RGB") else image.convert("L" if image.mode == "1" else "RGB")


def _on_white(layer: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _eight_bits(values: np.ndarray, white: int) -> np.ndarray:
    """Scales integers so that `white` becomes 255, and floats by 255 when all lie in [0, 1]."""
    low, high = float(values.min()), float(values.max())
    most = 255 if values.dtype.kind == "f" else white
    if not 0 <= low <= high <= most:  # not a number compares false
        raise ValueError(f"pixels from {low:g} to {high:g}; expected 0 to {most}")
    if values.dtype.kind == "f":
        return np.rint(values * (255 if high <= 1 else 1)).astype(np.uint8)
    if high <= 65535:  # the same, computed once for each value
        return np.rint(np.arange(int(high) + 1) / (white / 255)).astype(np.uint8)[values]
    return np.rint(values / (white / 255)).astype(np.uint8)


def _fitted(image: Image.Image, shape: Sequence[int], fit: Mapping[str, Any]) -> np.ndarray:
    """Brings an image to a size: a centred crop, the whole on black, or stretched."""
    height, width, channels = shape
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    how, share = filters[fit["interpolation"]], fit["crop_share"]
    if fit["resize"] == "pad":
        scale = max(image.width / width, image.height / height)
        inner = max(round(image.width / scale), 1), max(round(image.height / scale), 1)
        canvas = Image.new(mode, (width, height))
        canvas.paste(image.resize(inner, how), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return np.asarray(canvas).reshape(height, width, channels)
    box = _stretched(image, share) if fit["resize"] == "stretch" else _cropped(image, width, height, share)
    return np.asarray(image.resize((width, height), how, box=box)).reshape(height, width, channels)


def _stretched(image: Image.Image, share: float) -> tuple[float, float, float, float]:
    rest = (1 - share) / 2
    return image.width * rest, image.height * rest, image.width * (1 - rest), image.height * (1 - rest)


def _cropped(image: Image.Image, width: int, height: int, share: float) -> tuple[float, float, float, float]:
    """Returns the largest centred box of a shape; of a share what torchvision's Resize and CenterCrop would leave."""
    if share < 1:
        wide, high = round(width / share), round(height / share)
        if image.width * high <= image.height * wide:
            high = max(image.height * wide // image.width, height)
        else:
            wide = max(image.width * high // image.height, width)
        across, down = image.width / wide, image.height / high
        left, top = round((wide - width) / 2), round((high - height) / 2)
        right, bottom = min((left + width) * across, image.width), min((top + height) * down, image.height)
        return left * across, top * down, right, bottom
    if image.width * height <= image.height * width:
        box = float(image.width), image.width * height / width
    else:
        box = image.height * width / height, float(image.height)
    left, top = (image.width - box[0]) / 2, (image.height - box[1]) / 2
    if box == (width, height):
        left, top = left // 1, top // 1  # half a pixel would blur what needs no scaling
    return left, top, left + box[0], top + box[1]
