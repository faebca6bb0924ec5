"""No work twice: what a frozen prefix gives for each image is computed once, and kept by all that decides it.

An entry is known by its key: see `keys`. It is written beside its place and renamed, with a checksum that is compared
when it is read: see `storing`. What an interruption leaves is taken up by the next run, and the least recently used
entries go when the cache is full.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data import Pixels
from zoo.data.inputs import Bar
from zoo.data.packs.pixels import choose
from zoo.inference.batches import predict_each_batch
from zoo.system.cache import cache_folder
from zoo.system.partial_entries import held, partial_of, remove_litter
from zoo.training.prefix.keys import key_of
from zoo.training.prefix.splitting import Prefix
from zoo.training.prefix.storing import ARRAY_FILE, KIND, Seeds, UnfinishedEntry, find_entry
from zoo.training.prefix.views import AT_ONCE, View

CHUNK = 1024
# What a bar of it is called begins so.
RUNNING = "frozen layers, "


@dataclass(frozen=True)
class PrefixOutput:
    """Activations, and how they came.

    Attributes:
        activations: float[n, ...] in the prefix's compute dtype; with views float[views * n, ...], one view of all
            images after the other.
        computed: How many images the prefix was run on; 0 where they were there.
    """

    activations: np.ndarray
    computed: int


def entries_folder() -> Path:
    """Returns where entries are kept: a folder for each key."""
    return cache_folder() / KIND


def get_or_compute(
    prefix: Prefix,
    images: Pixels,
    *,
    views: Sequence[View] = (),
    in_memory: bool = False,
    bar: Bar,
    what: str,
) -> PrefixOutput:
    """Returns what the prefix gives for images: from the cache, or computed and put there.

    Args:
        prefix: Split off by `frozen_prefix`.
        images: uint8[n, height, width, channels].
        views: Fixed views of them; none where the images are taken as they are.
        in_memory: Keep what is computed for this process only.
        bar: Shows the first pass.
        what: Which images, for the bar.

    Raises:
        OSError: The cache cannot be written.
    """
    folder = entries_folder() / key_of(prefix, images, views)
    there = find_entry(folder)
    if there is not None:
        return PrefixOutput(there, computed=0)
    count = len(images) * max(1, len(views))
    with bar(f"{RUNNING}{what} images", count) as move:
        if in_memory:
            return PrefixOutput(_in_memory(prefix, images, views, move), computed=count)
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_litter(folder.parent)
        with held(folder) as partial:
            there = find_entry(folder)
            if there is not None:  # from another process, meanwhile
                return PrefixOutput(there, computed=0)
            before = _on_disk(prefix, images, views, UnfinishedEntry(partial, count), folder, move)
    activations = find_entry(folder)
    assert activations is not None  # it was just written
    return PrefixOutput(activations, computed=count - before)


def find(prefix: Prefix, images: Pixels, views: Sequence[View] = ()) -> np.ndarray | None:
    """Returns what is kept of a prefix for images, or None."""
    return find_entry(entries_folder() / key_of(prefix, images, views))


def bytes_there(prefix: Prefix, images: Pixels, views: Sequence[View] = ()) -> int:
    """Returns how many bytes an interrupted first pass has taken; 0 where there is none."""
    with suppress(OSError):
        return (partial_of(entries_folder() / key_of(prefix, images, views)) / ARRAY_FILE).stat().st_size
    return 0


def _in_memory(prefix: Prefix, images: Pixels, views: Sequence[View], move: Callable[[int, str], None]) -> np.ndarray:
    """Runs the prefix over images into an array."""
    array: np.ndarray | None = None
    done = 0

    def take(rows: np.ndarray, _: Seeds) -> None:
        nonlocal array, done
        if array is None:
            array = np.empty((len(images) * max(1, len(views)), *rows.shape[1:]), rows.dtype)
        array[done : done + len(rows)] = rows
        done += len(rows)
        move(done, "")

    _compute(prefix, images, views, take)
    assert array is not None  # there are images
    return array


def _on_disk(
    prefix: Prefix,
    images: Pixels,
    views: Sequence[View],
    entry: UnfinishedEntry,
    folder: Path,
    move: Callable[[int, str], None],
) -> int:
    """Runs the prefix over the images that an entry lacks, and finishes it.

    Returns:
        How many activations it did not lack.
    """
    before = entry.done
    move(before, "")

    def take(rows: np.ndarray, seeds: Seeds) -> None:
        entry.write(rows, seeds)
        move(entry.done, "")

    try:
        _compute(prefix, images, views, take, done=before, seeds=entry.seeds)
    except BaseException:
        with suppress(OSError):
            entry.note()
        raise
    entry.finish(folder)
    return before


def _compute(
    prefix: Prefix,
    images: Pixels,
    views: Sequence[View],
    take: Callable[[np.ndarray, Seeds], None],
    *,
    done: int = 0,
    seeds: Seeds = (),
) -> None:
    """Runs the prefix over images, batch by batch.

    Args:
        prefix: What is run.
        images: On what.
        views: Of them.
        take: Called with what it gives for a batch, and the seeds of its chunk.
        done: How many activations are there already.
        seeds: Of the chunk of the last of them.
    """
    for piece in _pieces(images, views, done, seeds):
        first = max(0, done - piece.start)
        if first < len(piece.pixels):

            def take_rows(rows: np.ndarray, seeds: Seeds = piece.seeds) -> None:
                take(rows, seeds)

            predict_each_batch(prefix.prefix, piece.pixels, take_rows, first=first)


@dataclass(frozen=True)
class _Piece:
    """Some images in a row; batches begin with the first of them."""

    start: int
    pixels: Pixels
    seeds: Seeds = ()


def _pieces(images: Pixels, views: Sequence[View], done: int, seeds: Seeds) -> Iterator[_Piece]:
    """Yields the images that activations are to be computed of, and some before.

    Of a view the chunk of the last activation done is drawn again, so that the next is what it would have been.
    """
    count = len(images)
    view_of_last, last = divmod(max(0, done - 1), count)
    for number, view in enumerate(views):
        if number < view_of_last:
            continue
        goes_on = done > 0 and number == view_of_last
        chunks = view.chunks(images, first=last // AT_ONCE * AT_ONCE, seeds=seeds) if goes_on else view.chunks(images)
        for chunk in chunks:
            yield _Piece(number * count + chunk.start, chunk.pixels, chunk.seeds)
    if not views:
        for start in range(done // CHUNK * CHUNK, count, CHUNK):
            # Not taken as a whole: images that are decoded when they are asked for are so batch by batch.
            yield _Piece(start, choose(images, np.arange(start, min(start + CHUNK, count))))
