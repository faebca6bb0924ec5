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
# An image whose channels vary by no more than this, of 255, shows nothing that is seen, such as an empty page that was
# scanned: its hash would be that of its noise.
_FLAT_RANGE = 8
_FLAT = "flat "
# Colours of one shade lie this close, of 255.
_SHADE_STEP = 16

_HASH_BYTES = 8
_ROWS_AT_ONCE = 64
_PAIRS_AT_ONCE = 4096


def perceptual_hash_of(image: Image.Image) -> str:
    """Returns a perceptual hash of an image and a thumbnail, in hex; `flat #rrggbb` of one that has one colour.

    The hash is of the signs of low frequencies against their median: pHash, by the imagehash library
    (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions, section 3.2).

    Args:
        image: A grey or RGB image of 8 bits a channel.
    """
    import imagehash

    small = image.reduce(max(1, min(image.size) // (4 * SMALLEST_SIDE)))
    # What was averaged may have been a fine pattern.
    if _is_flat(_ranges(small)) and _is_flat(ranges := _ranges(image)):
        return _FLAT + "#" + "".join(f"{round((low + high) / 2):02x}" for low, high in ranges)
    signs = np.asarray(imagehash.phash(small.convert("L")).hash)
    thumbnail = small.convert("RGB").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return (np.packbits(signs).tobytes() + thumbnail.tobytes()).hex()


def _ranges(image: Image.Image) -> list[tuple[int, int]]:
    """Returns the least and the largest value of red, green and blue."""
    return [(low, high) for low, high in image.convert("RGB").getextrema()]  # pyright: ignore[reportGeneralTypeIssues] -- of several channels they are pairs


def _is_flat(ranges: Sequence[tuple[int, int]]) -> bool:
    return all(high - low <= _FLAT_RANGE for low, high in ranges)


def colour_of(perceptual_hash: str) -> str:
    """Returns the colour of an image that has but one, as `#rrggbb`; empty of any other."""
    return perceptual_hash.removeprefix(_FLAT) if perceptual_hash.startswith(_FLAT) else ""


def shade_of(colour: str) -> tuple[int, ...]:
    """Returns what `#rrggbb` has in common with the colours that hardly differ from it."""
    return tuple(round(int(colour[place : place + 2], 16) / _SHADE_STEP) for place in (1, 3, 5))


def clusters(hashes: Sequence[str]) -> list[list[int]]:
    """Groups images that look alike, be it by way of others; compares all with one another, on threads.

    Args:
        hashes: What `perceptual_hash_of` gave for each; none of one colour.

    Returns:
        The numbers of the images of each group of two or more, in order.
    """
    distinct = list(dict.fromkeys(hashes))
    group = np.arange(len(distinct))
    for ones, others in _alike_pairs(distinct, group):
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
            if group[one] != group[other]:
                group[group == max(group[one], group[other])] = min(group[one], group[other])
    numbers = dict(zip(distinct, group.tolist(), strict=True))
    members: dict[int, list[int]] = {}
    for number, one in enumerate(hashes):
        members.setdefault(numbers[one], []).append(number)
    return [found for found in members.values() if len(found) > 1]


def touching(hashes: Sequence[str], others: Sequence[str]) -> list[bool]:
    """Says of each image whether it looks like one of others itself, not only by way of a third."""
    distinct = list(dict.fromkeys([*hashes, *others]))
    row = {one: number for number, one in enumerate(distinct)}
    bits, thumbnails = _tables(distinct)
    rows = np.unique([row[one] for one in others])
    found: dict[str, bool] = {}
    for one in dict.fromkeys(hashes):
        near = rows[np.bitwise_count(bits[rows] ^ bits[row[one]]) <= MAX_DISTANCE]
        parts = (near[start : start + _PAIRS_AT_ONCE] for start in range(0, len(near), _PAIRS_AT_ONCE))
        found[one] = any(bool(_same_colours(thumbnails[row[one]], thumbnails[part]).any()) for part in parts)
    return [found[one] for one in hashes]


def _alike_pairs(hashes: Sequence[str], group: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the numbers of images that look alike, two arrays at a time.

    Args:
        hashes: All different.
        group: int64[n], of which group each is known to be by now; those of one need not be compared.
    """
    if not hashes:
        return
    bits, thumbnails = _tables(hashes)
    blocks = range(0, len(hashes), _ROWS_AT_ONCE)

    def compare(numbers: Iterator[int]) -> tuple[np.ndarray, np.ndarray]:
        found = [np.empty((0, 2), np.int64)]
        for number in numbers:
            start = blocks[number]
            rows = bits[start : start + _ROWS_AT_ONCE]
            differing = np.bitwise_count(rows[:, np.newaxis] ^ bits[np.newaxis, start:])
            pairs = np.argwhere(differing <= MAX_DISTANCE) + start
            pairs = pairs[(pairs[:, 0] < pairs[:, 1]) & (group[pairs[:, 0]] != group[pairs[:, 1]])]
            for first in range(0, len(pairs), _PAIRS_AT_ONCE):
                part = pairs[first : first + _PAIRS_AT_ONCE]
                found.append(part[_same_colours(thumbnails[part[:, 0]], thumbnails[part[:, 1]])])
        pairs = np.concatenate(found)
        return pairs[:, 0], pairs[:, 1]

    for _, found in map_ranges(len(blocks), compare, at_once=1):
        yield found


def _tables(hashes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hashes, uint64[n], and the thumbnails, uint8[n, bytes]."""
    table = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
    return np.ascontiguousarray(table[:, :_HASH_BYTES]).view(np.uint64)[:, 0], table[:, _HASH_BYTES:]


def _same_colours(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(some.astype(np.int16) - others).mean(axis=-1) <= MAX_COLOUR_DISTANCE
