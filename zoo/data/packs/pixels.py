"""Images of one size that need not lie in memory, taken by their numbers as from an array."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo.backend.memory import aligned
from zoo.data.images import index
from zoo.data.images.decoding import READER
from zoo.data.images.facts import BadImageError
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.data.images.threads import map_ranges
from zoo.errors import DataError

_ROWS_AT_ONCE = 1024


class Pixels(Protocol):
    """uint8[n, height, width, channels] in [0, 255]: an array, or what gives parts of one.

    Attributes:
        shape: n, height, width, channels.
        dtype: uint8; a frozen prefix's compute dtype where these are activations.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """n, height, width, channels."""
        ...

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Of what is given."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """Returns an array of the images that a slice or int64[m] chooses."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Some images of others, in another order; nothing is copied until it is asked for.

    Attributes:
        whole: All of them.
        rows: int64[n], which of them these are.
    """

    whole: Pixels
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """n, height, width, channels."""
        return (len(self.rows), *self.whole.shape[1:])

    @property
    def dtype(self) -> "np.dtype[Any]":
        """That of all of them."""
        return self.whole.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return self.whole[self.rows[rows]]


@dataclass(frozen=True, eq=False)
class OfFiles:
    """Pixels of files that are known by their content.

    Attributes:
        contents: The hash of each file.
        settings: The size.
    """

    contents: Sequence[str]
    settings: Settings

    @property
    def shape(self) -> tuple[int, ...]:
        """n, height, width, channels."""
        return (len(self.contents), *self.settings.shape)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """uint8."""
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.contents)


@dataclass(frozen=True, eq=False)
class Decoded(OfFiles):
    """Files that were decoded, into memory or a mapped file.

    Attributes:
        array: uint8[n, height, width, channels].
    """

    array: np.ndarray

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return self.array[rows]


@dataclass(frozen=True, eq=False)
class Streamed(OfFiles):
    """Files that are decoded each time they are asked for, on threads: for more than disk and memory hold.

    Attributes:
        paths: Each is known to be readable.
        states: What `index.state_of` gave for each when its content was known.
    """

    paths: Sequence[Path]
    states: Sequence[str]

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        numbers = np.atleast_1d(np.arange(len(self.paths))[rows])
        images = np.empty((len(numbers), *self.settings.shape), np.uint8)

        def decode(places: Any) -> None:
            for place in places:
                number = int(numbers[place])
                path = self.paths[number]
                if index.state_of(path) != self.states[number]:
                    (content,) = index.contents([path])
                    if content != self.contents[number]:
                        raise DataError(f"{path}: is no longer what it was when the run began. Put the file back.")
                try:
                    images[place] = read_pixels(path, self.settings)[0]
                except BadImageError as fault:
                    raise DataError(f"{path}: {fault}; it could be read before. Put the file back.") from fault

        with quiet_pillow():
            for _ in map_ranges(len(numbers), decode):
                pass
        return images[0] if np.ndim(rows) == 0 and not isinstance(rows, slice) else images


def choose(whole: Pixels, rows: np.ndarray) -> Pixels:
    """Returns the chosen images, all of them as they are."""
    if len(rows) == len(whole) and np.array_equal(rows, np.arange(len(whole))):
        return whole
    return Rows(whole.whole, whole.rows[rows]) if isinstance(whole, Rows) else Rows(whole, rows)


def resolve(images: Pixels, rows: np.ndarray) -> tuple[Pixels, np.ndarray]:
    """Finds what holds images: an array where they lie in memory or a mapped file.

    Args:
        images: What to take from.
        rows: int64[m], which of them.

    Returns:
        What holds them, and int64[m], which of what it holds they are.
    """
    if isinstance(images, Rows):
        return resolve(images.whole, images.rows[rows])
    return (images.array if isinstance(images, Decoded) else images), rows


def gather(images: Pixels, rows: np.ndarray, *, into: np.ndarray | None = None) -> np.ndarray:
    """Copies images into an array of their own, where TensorFlow and JAX take it as it is.

    Args:
        images: What to take from.
        rows: int64[m], which of them.
        into: [m, ...], where to copy those that lie in memory or a mapped file; by default a new array.
    """
    whole, rows = resolve(images, rows)
    if not isinstance(whole, np.ndarray):
        return whole[rows]
    copied = aligned((len(rows), *whole.shape[1:]), whole.dtype) if into is None else into
    # "clip" writes straight into it; "raise" would check, and copy, before. NumPy lets other threads run meanwhile.
    return np.take(whole, rows, axis=0, out=copied, mode="clip")


def identity_of(contents: Iterable[str], settings: Settings) -> str:
    """Hashes what decides the pixels of files: their contents, in order, and how they are read."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(json.dumps([READER, settings.described()]).encode())
    for content in contents:
        digest.update(f"\n{content}".encode())
    return digest.hexdigest()


def identity(images: Pixels) -> Iterator[bytes | memoryview]:
    """Yields what tells images from any others, to be hashed: of files what decides their pixels, else all pixels."""
    whole, rows = (images.whole, images.rows.tolist()) if isinstance(images, Rows) else (images, range(len(images)))
    if isinstance(whole, OfFiles):
        yield identity_of((whole.contents[row] for row in rows), whole.settings).encode()
        return
    for start in range(0, len(images), _ROWS_AT_ONCE):
        yield np.ascontiguousarray(images[start : start + _ROWS_AT_ONCE]).reshape(-1).data
