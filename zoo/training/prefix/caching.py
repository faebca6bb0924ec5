"""No work twice: what frozen prefixes give for each image is computed once, and kept by all that decides it.

An entry is known by its key: see `keys`. It is written beside its place and renamed, with a checksum that is compared
when it is read: see `storing`. What an interruption leaves is taken up by the next run, and the least recently used
entries go when the cache is full. Images that go through layers for a phase leave there what later phases need too.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from zoo.data import Pixels
from zoo.data.inputs import Bar
from zoo.data.packs.pixels import choose
from zoo.inference.batches import predict_each_batch
from zoo.inference.engines import Compiled
from zoo.system.cache import cache_folder
from zoo.system.partial_entries import held, is_held, partial_of, remove_litter
from zoo.training.prefix.keys import key_of
from zoo.training.prefix.splitting import Prefix
from zoo.training.prefix.storing import ARRAY_FILE, KIND, Seeds, UnfinishedEntry, find_entry
from zoo.training.prefix.views import AT_ONCE, View

CHUNK = 1024
# What a bar of it is called begins so.
RUNNING = "frozen layers, "

# Called with the number of the first of some activations, those of each output, and the seeds of their chunk.
Take = Callable[[int, Sequence[np.ndarray], Seeds], None]


@dataclass(frozen=True)
class PassOutput:
    """Activations, and how they came.

    Attributes:
        activations: By their place in the cache, float[n, ...] in the prefix's compute dtype; with views
            float[views * n, ...], one view of all images after the other.
        computed: How many images the layers were run on; 0 where what is needed now was there.
    """

    activations: Mapping[Path, np.ndarray]
    computed: int


class Activations:
    """The activations that a run has in hand: read from the cache, or kept in memory."""

    def __init__(self) -> None:
        self._arrays: dict[Path, tuple[str, np.ndarray]] = {}

    def find(self, folder: Path) -> np.ndarray | None:
        """Returns those of an entry, from the cache where they are not in hand; or None."""
        if folder in self._arrays:
            return self._arrays[folder][1]
        return find_entry(folder)

    def add(self, cut: str, folder: Path, array: np.ndarray) -> None:
        """Keeps those of an entry in hand.

        Args:
            cut: Of the prefix that gave them.
            folder: Where they are in the cache, or would be.
            array: float[n, ...].
        """
        self._arrays[folder] = (cut, array)

    def keep_only(self, cuts: Collection[str]) -> None:
        """Lets go those of other cuts."""
        self._arrays = {folder: one for folder, one in self._arrays.items() if one[0] in cuts}


def entries_folder() -> Path:
    """Returns where entries are kept: a folder for each key."""
    return cache_folder() / KIND


def folder_of(prefix: Prefix, images: Pixels, views: Sequence[View] = (), *, engine: str = "") -> Path:
    """Returns where what a prefix gives for images is kept, or would be; see `key_of`."""
    return entries_folder() / key_of(prefix, images, views, engine=engine)


def bytes_there(folder: Path) -> int:
    """Returns how many bytes an interrupted first pass has taken for an entry; 0 where there is none."""
    with suppress(OSError):
        return (partial_of(folder) / ARRAY_FILE).stat().st_size
    return 0


def get_or_compute(
    model: keras.Model | Compiled,
    images: Pixels,
    folders: Sequence[Path],
    *,
    views: Sequence[View] = (),
    in_memory: bool = False,
    bar: Bar,
    what: str,
) -> PassOutput:
    """Returns what a model's outputs give for images: from the cache, or computed and put there.

    Args:
        model: One prefix, or several that images go through together: see `joined`. Or what an engine made of it.
        images: uint8[n, height, width, channels].
        folders: Where what each output gives is kept. The first is needed now; the others are left out where another
            process computes them, and where the first is there.
        views: Fixed views of the images; none where they are taken as they are.
        in_memory: Keep what is computed for this process only.
        bar: Shows the first pass.
        what: Which images, for the bar.

    Raises:
        OSError: The cache cannot be written.
    """
    now = folders[0]
    there = find_entry(now)
    if there is not None:
        return PassOutput({now: there}, computed=0)
    count = len(images) * max(1, len(views))
    with bar(f"{RUNNING}{what} images", count) as move:
        if in_memory:
            arrays = _in_memory(model, images, views, move)
            return PassOutput(dict(zip(folders, arrays, strict=True)), computed=count)
        now.parent.mkdir(parents=True, exist_ok=True)
        remove_litter(now.parent)
        with _held(folders) as partials:
            there = find_entry(now)
            if there is not None:  # from another process, meanwhile
                return PassOutput({now: there}, computed=0)
            entries = {
                folder: UnfinishedEntry(partial, count)
                for folder, partial in partials.items()
                if folder == now or find_entry(folder) is None
            }
            before = _on_disk(model, images, views, [entries.get(folder) for folder in folders], move)
            for folder, entry in entries.items():
                entry.finish(folder)
    activations = {folder: find_entry(folder) for folder in entries}
    # They were just written; one that is for later may have gone already, where the cache is full.
    assert activations[now] is not None
    return PassOutput({at: one for at, one in activations.items() if one is not None}, computed=count - before)


@contextmanager
def _held(folders: Sequence[Path]) -> Generator[dict[Path, Path]]:
    """Keeps other processes from writing entries meanwhile, those left out that are for later and held already.

    Yields:
        Where each is written.

    Raises:
        OSError: The folder cannot be written.
    """
    with ExitStack() as stack:
        partials: dict[Path, Path] = {}
        # In one order, so that no two processes wait for each other.
        for folder in sorted(set(folders)):
            if folder == folders[0] or not is_held(partial_of(folder)):
                partials[folder] = stack.enter_context(held(folder))
        yield partials


def _in_memory(
    model: keras.Model | Compiled, images: Pixels, views: Sequence[View], move: Callable[[int, str], None]
) -> list[np.ndarray]:
    """Runs a model over images into arrays, one for each of its outputs."""
    arrays: list[np.ndarray] = []

    def take(start: int, rows: Sequence[np.ndarray], _: Seeds) -> None:
        if not arrays:
            count = len(images) * max(1, len(views))
            arrays.extend(np.empty((count, *some.shape[1:]), some.dtype) for some in rows)
        done = start + len(rows[0])
        for array, some in zip(arrays, rows, strict=True):
            array[start:done] = some
        move(done, "")

    compute(model, images, views, take)
    return arrays


def _on_disk(
    model: keras.Model | Compiled,
    images: Pixels,
    views: Sequence[View],
    entries: Sequence[UnfinishedEntry | None],
    move: Callable[[int, str], None],
) -> int:
    """Runs a model over the images that entries lack.

    Args:
        model: What is run.
        images: On what.
        views: Of them.
        entries: Of each output; None where it is not kept.
        move: Shows how far it is.

    Returns:
        How many images none of them lacked.
    """
    written = [entry for entry in entries if entry is not None]
    last = min(written, key=lambda entry: entry.done)
    before = last.done
    move(before, "")

    def take(start: int, rows: Sequence[np.ndarray], seeds: Seeds) -> None:
        for entry, some in zip(entries, rows, strict=True):
            # An interruption may have left more of one entry than of another.
            if entry is not None and entry.done < start + len(some):
                entry.write(some[entry.done - start :], seeds)
        move(start + len(rows[0]), "")

    try:
        compute(model, images, views, take, done=before, seeds=last.seeds)
    except BaseException:
        for entry in written:
            with suppress(OSError):
                entry.note()
        raise
    return before


def compute(
    model: keras.Model | Compiled,
    images: Pixels,
    views: Sequence[View],
    take: Take,
    *,
    done: int = 0,
    seeds: Seeds = (),
) -> None:
    """Runs a model over images, batch by batch.

    Args:
        model: What is run.
        images: On what.
        views: Of them.
        take: Called with what it gives for a batch.
        done: How many activations are there already.
        seeds: Of the chunk of the last of them.
    """
    for piece in _pieces(images, views, done, seeds):
        first = max(0, done - piece.start)
        if first < len(piece.pixels):

            def take_rows(*rows: np.ndarray, seeds: Seeds = piece.seeds) -> None:
                nonlocal done
                take(done, rows, seeds)
                done += len(rows[0])

            predict_each_batch(model, piece.pixels, take_rows, first=first)


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
