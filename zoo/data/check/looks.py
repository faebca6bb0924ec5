"""Images that look alike: resized, re-encoded or slightly retouched copies of one picture."""

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from zoo.data.images.threads import map_ranges

# How many of the hash's 64 bits may differ, and how far a thumbnail's colours may be off in the mean, of 255. Of 3,409
# photos of clothes, 400 copies (half and 1.7 times the size, JPEG and WebP at quality 30 to 80) were 4 bits and 1.0 off
# at most; of 665 pairs of different photos within 10 bits, the nearest was 5.1 off. So the hash alone would call those
# alike, and the same shirt in another colour.
MAX_DISTANCE = 10
MAX_COLOUR_DISTANCE = 3.0
THUMBNAIL_SIDE = 8
# The hash looks at the image at this many pixels a side; less says too little.
SMALLEST_SIDE = 32

_HASH_BYTES = 8
_ROWS_AT_ONCE = 64


def looks_of(image: Image.Image) -> str:
    """Returns a perceptual hash of an image and a thumbnail, in hex.

    The hash is of the signs of low frequencies against their median: pHash, by the imagehash library
    (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, section 3.2).

    Args:
        image: A grey or RGB image.
    """
    import imagehash

    small = image.reduce(max(1, min(image.size) // (4 * SMALLEST_SIDE)))
    bits = np.asarray(imagehash.phash(small.convert("L")).hash)
    thumbnail = small.convert("RGB").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return (np.packbits(bits).tobytes() + thumbnail.tobytes()).hex()


def alike(looks: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Compares all images with one another, on threads.

    Args:
        looks: What `looks_of` gave for each.

    Yields:
        The numbers of two images that look alike, the lower first.
    """
    if not looks:
        return
    table = np.frombuffer(bytes.fromhex("".join(looks)), np.uint8).reshape(len(looks), -1)
    hashes = np.ascontiguousarray(table[:, :_HASH_BYTES]).view(np.uint64)[:, 0]
    thumbnails = table[:, _HASH_BYTES:]
    blocks = range(0, len(looks), _ROWS_AT_ONCE)

    def compare(numbers: Iterator[int]) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for number in numbers:
            start = blocks[number]
            rows = hashes[start : start + _ROWS_AT_ONCE]
            differing = np.bitwise_count(rows[:, np.newaxis] ^ hashes[np.newaxis, start:])
            for one, other in np.argwhere(differing <= MAX_DISTANCE) + start:
                if one < other and _colour_distance(thumbnails[one], thumbnails[other]) <= MAX_COLOUR_DISTANCE:
                    found.append((int(one), int(other)))
        return found

    for _, found in map_ranges(len(blocks), compare, at_once=8):
        yield from found


def _colour_distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())
