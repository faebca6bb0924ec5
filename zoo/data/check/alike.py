"""Which of many images look alike, without comparing each with all others.

Thumbnails of images that are alike differ by little in all, so that also their sums differ by no more, and those of
their values with any signs. Images are divided at the middle of such a sum again and again; only those beside a middle
are compared across it. What comes out is what comparing all with all gives. The number of comparisons grows about as
the number of images, as long as the images differ in colour and shade; those that do not are compared with one another.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.data.check.perceptual_hash import HASH_BYTES, MAX_COLOUR_DISTANCE, MAX_DISTANCE, THUMBNAIL_SIDE
from zoo.data.images.threads import map_ranges

# So few are compared with one another; dividing them takes longer.
_FEW = 256
# Rows of a thumbnail that a middle is chosen by.
_SAMPLE = 512
# Of the images, as many may lie beside a middle that they are worth dividing.
_MOST_BESIDE = 0.5
_ROWS_AT_ONCE = 64
_PAIRS_AT_ONCE = 4096


def clusters(hashes: Sequence[str]) -> list[list[int]]:
    """Groups images that look alike, be it by way of others, on threads.

    Args:
        hashes: What `perceptual_hash_of` gave for each; none of one colour.

    Returns:
        The numbers of the images of each group of two or more, in order.
    """
    distinct = list(dict.fromkeys(hashes))
    groups = _Groups(len(distinct))
    if distinct:
        table = _Table(distinct)
        for ones, others in table.alike(_pieces(table, np.arange(len(distinct))), groups):
            groups.join(ones, others)
    numbers = dict(zip(distinct, groups.of(np.arange(len(distinct))).tolist(), strict=True))
    members: dict[int, list[int]] = {}
    for number, one in enumerate(hashes):
        members.setdefault(numbers[one], []).append(number)
    return [found for found in members.values() if len(found) > 1]


def touching(hashes: Sequence[str], others: Sequence[str]) -> list[bool]:
    """Says of each image whether it looks like one of others itself, not only by way of a third."""
    distinct = list(dict.fromkeys([*hashes, *others]))
    row = {one: number for number, one in enumerate(distinct)}
    if not hashes or not others:
        return [False for _ in hashes]
    table = _Table(distinct)
    some, rest = (np.unique([row[one] for one in part]) for part in (hashes, others))
    touches = np.zeros(len(distinct), bool)
    for ones, _ in table.alike(_pieces_across(table, some, rest)):
        touches[ones] = True
    return touches[[row[one] for one in hashes]].tolist()


class _Groups:
    """Which images are known to be alike: trees, whose roots are the first of each group."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count)

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the first of each image's group, int64[m]."""
        roots = self._parents[numbers]
        while not np.array_equal(higher := self._parents[roots], roots):
            roots = higher
        return roots

    def join(self, ones: np.ndarray, others: np.ndarray) -> None:
        """Puts images that are alike into one group, pair by pair."""
        for start in range(0, len(ones), _PAIRS_AT_ONCE):
            pairs = np.stack([part[start : start + _PAIRS_AT_ONCE] for part in (ones, others)])
            roots = self.of(pairs)
            for one, other in np.unique(roots[:, roots[0] != roots[1]], axis=1).T.tolist():
                first, second = self._root(one), self._root(other)
                self._parents[max(first, second)] = min(first, second)
            self._parents[pairs] = self.of(pairs)

    def _root(self, number: int) -> int:
        while (parent := int(self._parents[number])) != number:
            number = parent
        return number


@dataclass(frozen=True)
class _Piece:
    """Images that are compared: with one another, or with others.

    Attributes:
        rows: int64[n].
        others: int64[m], or None.
    """

    rows: np.ndarray
    others: np.ndarray | None = None


class _Table:
    """Perceptual hashes as numbers.

    Attributes:
        sums: int32[n, sums], of the thumbnail's values with signs; alike are no further apart than `reach` in any.
        reach: In which they differ at most.
    """

    def __init__(self, hashes: Sequence[str]) -> None:
        table = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(len(hashes), -1)
        self._bits = np.ascontiguousarray(table[:, :HASH_BYTES]).view(np.uint64)[:, 0]
        self._thumbnails = table[:, HASH_BYTES:]
        self.reach = int(MAX_COLOUR_DISTANCE * self._thumbnails.shape[1])
        # Exact: of 24 bits, where all are 255.
        self.sums = (self._thumbnails.astype(np.float32) @ _SIGNS).astype(np.int32)

    def alike(self, pieces: Iterator[_Piece], groups: _Groups | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the numbers of images that look alike, two arrays at a time.

        Args:
            pieces: What is compared.
            groups: What is known by now; images of one group need not be compared.
        """
        parts = [part for piece in pieces for part in _parts(piece)]

        def compare(numbers: Iterator[int]) -> tuple[np.ndarray, np.ndarray]:
            found = [self._alike(parts[number], groups) for number in numbers]
            pairs = np.concatenate([np.empty((0, 2), np.int64), *found])
            return pairs[:, 0], pairs[:, 1]

        for _, found in map_ranges(len(parts), compare, at_once=16):
            yield found

    def _alike(self, part: _Piece, groups: _Groups | None) -> np.ndarray:
        """Returns the pairs of a few images and others, int64[m, 2]; of images among themselves in both orders."""
        others = part.rows if part.others is None else part.others
        differing = np.bitwise_count(self._bits[part.rows][:, np.newaxis] ^ self._bits[others][np.newaxis])
        places = np.argwhere(differing <= MAX_DISTANCE)
        pairs = np.stack([part.rows[places[:, 0]], others[places[:, 1]]], axis=1)
        if groups is not None:
            pairs = pairs[groups.of(pairs[:, 0]) != groups.of(pairs[:, 1])]
        found = [np.empty((0, 2), np.int64)]
        for first in range(0, len(pairs), _PAIRS_AT_ONCE):
            some = pairs[first : first + _PAIRS_AT_ONCE]
            found.append(some[_same_colours(self._thumbnails[some[:, 0]], self._thumbnails[some[:, 1]])])
        return np.concatenate(found)


def _signs() -> np.ndarray:
    """Returns 1, 0 or -1 for each value of a thumbnail in each sum, float32[values, sums].

    Of the colours all, and red less blue; of the places the coarsest of Walsh's functions, which are 1 or -1.
    """
    half = THUMBNAIL_SIDE // 2
    along = [np.ones(THUMBNAIL_SIDE), np.repeat([1, -1], half), np.tile(np.repeat([1, -1], half // 2), 2)]
    along.append(along[1] * along[2])
    colours = ([1, 1, 1], [1, 0, -1])
    sums = [np.einsum("y,x,c->yxc", *parts) for parts in itertools.product(along, along, colours)]
    return np.stack(sums, axis=-1).reshape(-1, len(sums)).astype(np.float32)


_SIGNS = _signs()


def _pieces(table: _Table, rows: np.ndarray) -> Iterator[_Piece]:
    """Divides images so that all who are alike are in a piece together."""
    if len(rows) <= _FEW:
        yield _Piece(rows)
        return
    column, middle = _divided(table, rows)
    low, high, low_beside, high_beside = _beside(table, rows, column, middle)
    if not len(high) or len(low_beside) + len(high_beside) > _MOST_BESIDE * len(rows):
        yield _Piece(rows)
        return
    yield from _pieces(table, low)
    yield from _pieces(table, high)
    yield from _pieces_across(table, low_beside, high_beside)


def _pieces_across(table: _Table, rows: np.ndarray, others: np.ndarray) -> Iterator[_Piece]:
    """Divides images and others so that each image is in a piece with those of the others that it is like."""
    if not len(rows) or not len(others):
        return
    if len(rows) * len(others) <= _FEW**2:
        yield _Piece(rows, others)
        return
    column, middle = _divided(table, np.concatenate([rows, others]))
    low, high, low_beside, high_beside = _beside(table, rows, column, middle)
    others_low, others_high, others_low_beside, others_high_beside = _beside(table, others, column, middle)
    beside = len(low_beside) + len(high_beside) + len(others_low_beside) + len(others_high_beside)
    if not len(high) + len(others_high) or beside > _MOST_BESIDE * (len(rows) + len(others)):
        yield _Piece(rows, others)
        return
    yield from _pieces_across(table, low, others_low)
    yield from _pieces_across(table, high, others_high)
    yield from _pieces_across(table, low_beside, others_high_beside)
    yield from _pieces_across(table, high_beside, others_low_beside)


def _divided(table: _Table, rows: np.ndarray) -> tuple[int, int]:
    """Chooses the sum in which images differ most, and its middle, by some of them."""
    sample = table.sums[rows[:: max(1, len(rows) // _SAMPLE)]]
    low, high = np.percentile(sample, [25, 75], axis=0)
    column = int(np.argmax(high - low))
    return column, int(np.median(sample[:, column]))


def _beside(table: _Table, rows: np.ndarray, column: int, middle: int) -> tuple[np.ndarray, ...]:
    """Returns the images up to a middle, those above it, and of both those that may be like one of the other."""
    values = table.sums[rows, column]
    is_low = values <= middle
    return (
        rows[is_low],
        rows[~is_low],
        rows[is_low & (values > middle - table.reach)],
        rows[~is_low & (values <= middle + table.reach)],
    )


def _parts(piece: _Piece) -> Iterator[_Piece]:
    """Divides what is compared into few rows at once; of images among themselves each with those behind it."""
    for start in range(0, len(piece.rows), _ROWS_AT_ONCE):
        rows = piece.rows[start : start + _ROWS_AT_ONCE]
        if piece.others is not None:
            yield _Piece(rows, piece.others)
        else:
            yield _Piece(rows)
            if start + _ROWS_AT_ONCE < len(piece.rows):
                yield _Piece(rows, piece.rows[start + _ROWS_AT_ONCE :])


def _same_colours(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(some.astype(np.int16) - others).mean(axis=-1) <= MAX_COLOUR_DISTANCE
