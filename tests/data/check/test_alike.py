"""What looks alike is found as by comparing all with all, in a time that grows as the number of images."""

import numpy as np
import pytest

from zoo.data.check.alike import clusters, touching

BITS, VALUES = 10, 3 * 192  # so many bits, and of the thumbnail so much in all, may differ


def written(bits, thumbnails):
    """Writes hashes as they are kept: 64 bits, then 8 x 8 colours."""
    packed = np.packbits(bits.astype(bool), axis=1)
    return [one.tobytes().hex() for one in np.concatenate([packed, thumbnails.astype(np.uint8)], axis=1)]


def alike(bits, thumbnails):
    """Compares all with all, bool[n, n]."""
    found = []
    for one, colours in zip(bits, thumbnails.astype(int), strict=True):
        near = (bits != one).sum(axis=1) <= BITS
        near[near] = np.abs(thumbnails[near] - colours).sum(axis=1) <= VALUES
        found.append(near)
    return np.array(found)


def groups_of(matrix):
    """Follows who is alike from image to image."""
    left, groups = set(range(len(matrix))), []
    while left:
        group, reached = set(), {min(left)}
        while reached:
            group |= reached
            reached = set(np.flatnonzero(matrix[sorted(reached)].any(axis=0)).tolist()) - group
        left -= group
        if len(group) > 1:
            groups.append(sorted(group))
    return groups


def photos(rng, count):
    """Draws thumbnails as photos have them: a colour, a slope, and little between."""
    colour, slope = rng.uniform(20, 235, (count, 1, 1, 3)), rng.normal(0, 6, (2, count, 1, 1, 1))
    along = np.arange(8) - 3.5
    drawn = colour + slope[0] * along[:, None, None] + slope[1] * along[:, None] + rng.normal(0, 8, (count, 8, 8, 3))
    return np.clip(drawn, 0, 255).round().reshape(count, -1).astype(int)


def with_copies(rng, bits, thumbnails):
    """Adds to each third image a copy that differs by about as much as is allowed, a little more or less."""
    of = np.arange(0, len(bits), 3)
    flips = rng.integers(BITS - 2, BITS + 3, len(of))
    changed_bits = bits[of].copy()
    for row, count in enumerate(flips):
        changed_bits[row, rng.permutation(64)[:count]] ^= 1
    off = rng.integers(0, 5, (len(of), 1)) * rng.choice([-1, 1], (len(of), thumbnails.shape[1]))
    changed = np.clip(thumbnails[of] + off, 0, 255)
    order = rng.permutation(len(bits) + len(of))
    return np.concatenate([bits, changed_bits])[order], np.concatenate([thumbnails, changed])[order]


def of_photos(rng):
    return with_copies(rng, rng.integers(0, 2, (700, 64)), photos(rng, 700))


def of_one_hash(rng):
    """Only colours tell them apart."""
    return with_copies(rng, np.zeros((700, 64), int), photos(rng, 700))


def of_one_colour(rng):
    """Only hashes tell them apart, and no sum of values divides them."""
    bits, thumbnails = with_copies(rng, rng.integers(0, 2, (600, 64)), np.full((600, 192), 128))
    return bits, thumbnails


def in_steps(rng):
    """Shades in steps of just what is allowed, and of one value more, on both sides of every middle."""
    shades = np.concatenate([np.arange(0, 250, 3)] * 8)
    thumbnails = np.repeat(shades[:, None], 192, axis=1)
    thumbnails[np.arange(len(shades)), rng.integers(0, 192, len(shades))] += rng.integers(0, 2, len(shades))
    bits = np.zeros((len(shades), 64), int)
    bits[:, :4] = rng.integers(0, 2, (len(shades), 4))
    bits[len(shades) // 2 :, 20:40] = 1  # two lots that are far apart
    order = rng.permutation(len(shades))
    return bits[order], thumbnails[order]


def of_opposite_signs(rng):
    """Sums of all values are the same, the values are not."""
    thumbnails = 128 + 40 * rng.choice([-1, 1], (40, 192))[rng.integers(0, 40, 600)]
    thumbnails += rng.integers(-3, 4, thumbnails.shape)
    return np.zeros((600, 64), int), thumbnails


SETS = [of_photos, of_one_hash, of_one_colour, in_steps, of_opposite_signs]


@pytest.mark.parametrize("make", SETS)
def test_groups_are_those_of_comparing_all_with_all(make):
    bits, thumbnails = make(np.random.default_rng(0))
    expected = groups_of(alike(bits, thumbnails))
    assert expected  # else the set proves nothing
    assert clusters(written(bits, thumbnails)) == expected


@pytest.mark.parametrize("make", SETS)
def test_who_touches_others_is_who_is_alike_to_one_of_them(make):
    bits, thumbnails = make(np.random.default_rng(2))
    hashes, half = written(bits, thumbnails), len(bits) // 2
    expected = alike(bits, thumbnails)[:half, half:].any(axis=1).tolist()
    assert any(expected)
    assert touching(hashes[:half], hashes[half:]) == expected


def test_nothing_and_one_image_are_in_no_group():
    bits, thumbnails = of_photos(np.random.default_rng(3))
    one = written(bits[:1], thumbnails[:1])
    assert (clusters([]), clusters(one), clusters(one * 3)) == ([], [], [[0, 1, 2]])
    assert (touching([], one), touching(one, []), touching(one, one)) == ([], [False], [True])


def test_comparisons_grow_as_the_number_of_images(monkeypatch):
    compared, count = [], np.bitwise_count

    def counting(differing):
        compared.append(differing.size)
        return count(differing)

    monkeypatch.setattr(np, "bitwise_count", counting)
    totals = []
    for images in (4000, 8000):
        rng = np.random.default_rng(0)
        compared.clear()
        clusters(written(rng.integers(0, 2, (images, 64)), photos(rng, images)))
        totals.append(sum(compared))
    assert totals[1] < 2.3 * totals[0]  # 4 where all are compared with all
    assert totals[1] < 8000**2 / 2 / 8
