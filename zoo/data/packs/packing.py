"""Decodes images once, on threads, to the size a model takes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from zoo.backend.memory import has_memory
from zoo.data.dataset import Split
from zoo.data.images import index
from zoo.data.images.facts import BadImageError, Facts, beyond_white
from zoo.data.images.index import IndexedImage
from zoo.data.images.pillow import quiet_pillow
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.data.images.threads import map_ranges
from zoo.data.packs.conversions import Conversions, count
from zoo.data.packs.finding import bytes_of, bytes_there, find_pack, folder_of
from zoo.data.packs.loading import load_array, load_files, load_items
from zoo.data.packs.pixels import Decoded, Pixels, Streamed, choose
from zoo.data.packs.storing import store_pack
from zoo.errors import DataError
from zoo.system.cache import has_room, room

OnBad = Literal["skip", "stop", "leave_out"]
# As many files of a split may be unreadable, rounded up.
BAD_PERCENT = 1
# What checks images.
CHECK = "zoo data check"


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """An image that could not be read, and why; as a text it is the line that says so."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"skipped: {self.path}: {self.reason}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """Decoded images.

    Attributes:
        images: uint8[n, height, width, channels] in [0, 255]; not to be written to, as it may be the
            source's own array.
        labels: int64[n], the class of each.
        skipped: What is left out, in the order of the split.
        weights: float32[n], how much each image counts in the training loss, or None.
        rows: int64[n], which of the split's images these are.
        contents: The hash of each file that was packed, or None where there are no files.
        converted: What was changed in images before they were brought to size; copies of one file count once.
    """

    images: Pixels
    labels: np.ndarray
    skipped: tuple[Skipped, ...]
    weights: np.ndarray | None = None
    rows: np.ndarray
    contents: tuple[str, ...] | None = None
    converted: Conversions = field(default_factory=Conversions)

    def subset(self, rows: np.ndarray) -> "Pack":
        """Returns those of the split's images that are among `rows`, int64[m], in the order of the split."""
        kept = np.flatnonzero(np.isin(self.rows, rows))
        return Pack(
            images=choose(self.images, kept),
            labels=self.labels[kept],
            skipped=self.skipped,
            weights=None if self.weights is None else self.weights[kept],
            rows=self.rows[kept],
            contents=None if self.contents is None else tuple(self.contents[row] for row in kept),
            converted=self.converted,
        )


def _no_progress(done: int, total: int) -> None:
    """Stands in for a progress bar."""


def nothing_said(line: str) -> None:
    """Stands in for a display."""


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How a split is packed, apart from what decides the pixels.

    Attributes:
        on_bad: `stop` raises at the first file that cannot be read; `skip` leaves out up to 1 % of the files,
            rounded up, so that one bad file among twenty does not stop a run; `leave_out` leaves out any number but
            all, where a finished classifier is measured.
        keep: Whether files are packed for later calls too.
        keep_only: Whether files that cannot be kept are an error, raised before any of them is decoded.
        check: The command that checks the files, for messages.
        on_progress: Called with the images done and their total, from the calling thread.
        say: Told what is about to be done, in a line.

    Raises:
        DataError: `on_bad` is another word.
    """

    on_bad: OnBad = "skip"
    keep: bool = False
    keep_only: bool = False
    check: str = CHECK
    on_progress: Callable[[int, int], None] = _no_progress
    say: Callable[[str], None] = nothing_said

    def __post_init__(self) -> None:
        if self.on_bad not in ("skip", "stop", "leave_out"):
            raise DataError(f"data.on_bad is '{self.on_bad}'; expected 'skip' or 'stop'.")

    @property
    def stops(self) -> bool:
        """Whether the first file that cannot be read ends it."""
        return self.on_bad == "stop"


def pack(split: Split, settings: Settings, how: Packing | None = None) -> Pack:
    """Decodes a split, on as many threads as there are cores.

    With `keep`, files of one content are decoded once, into a file in the cache that later calls find by content and
    settings (see `zoo.data.packs.finding`). Where it has no room they are decoded into memory, and where that has none
    either, each time they are asked for. Otherwise the images lie in plain memory when they take less than a quarter of
    what is available, else in a memory-mapped file without a name. An array split that has the size and channels
    already is not copied.

    Args:
        split: Files, arrays or items.
        settings: The size, the channels, and how a photo of another shape is brought to them; an array that has the
            height and width already is taken as it is.
        how: What becomes of unreadable files, and whether the pack is kept.

    Returns:
        The images that could be read, in the order of the split.

    Raises:
        DataError: Too many bad files, a class that loses all its images, or files that cannot be kept and have to be.
    """
    how = how or Packing()
    if isinstance(split.images, np.ndarray):
        images = load_array(split.images, settings, how.on_progress)
        return Pack(images=images, labels=split.labels, skipped=(), weights=split.weights, rows=np.arange(len(split)))
    contents: list[str] | None = None
    place = np.arange(len(split))
    with quiet_pillow():
        if not isinstance(split.images, Sequence):
            names = [Path(f"image {row}") for row in range(len(split))]
            images, bad, converted = load_items(split.images, settings, how.on_progress, stop_at_first=how.stops)
        elif how.keep:
            names = split.images
            contents = index.contents(names)
            # Files of one content are one image.
            first: dict[str, int] = {}
            place = np.array([first.setdefault(content, len(first)) for content in contents], np.int64)
            unique = [names[row] for row in np.unique(place, return_index=True)[1]]
            images, bad, converted = _keep(unique, list(first), settings, how)
        else:
            names = split.images
            images, bad, converted = load_files(names, settings, how.on_progress, stop_at_first=how.stops)
    failed = [row for row in range(len(split)) if int(place[row]) in bad]
    skipped = tuple(Skipped(path=names[row], reason=bad[int(place[row])]) for row in failed)
    if skipped and how.stops:
        _stop(skipped[0].path, skipped[0].reason)
    if skipped:
        _check_skipped(split, names, skipped, failed, how)
    kept = np.delete(np.arange(len(split)), failed)
    return Pack(
        images=choose(images, place[kept]),
        labels=split.labels[kept],
        skipped=skipped,
        weights=None if split.weights is None else split.weights[kept],
        rows=kept,
        contents=None if contents is None else tuple(contents[row] for row in kept),
        converted=converted,
    )


def _keep(
    paths: Sequence[Path], contents: Sequence[str], settings: Settings, how: Packing
) -> tuple[Pixels, dict[int, str], Conversions]:
    """Packs files for later calls too, where there is room.

    Returns:
        The images, why some are none, and what was changed in the others.
    """
    stored = find_pack(contents, settings)
    if stored is not None:
        how.on_progress(len(paths), len(paths))
        return stored.images, stored.bad, stored.converted
    size = bytes_of(len(paths), settings)
    what = f"{len(paths):,} images of {'x'.join(map(str, settings.shape))}: {size / 1e6:,.1f} MB"
    there = bytes_there(contents, settings)
    reason = f"it has no room; an entry may take {room(there=there) / 1e6:,.1f} MB, half of what is free"
    if has_room(size, there=there):
        how.say(f"packs {what} in {folder_of(contents, settings).parent}")
        try:
            stored = store_pack(paths, contents, settings, how.on_progress, _stop if how.stops else _go_on)
        except OSError as fault:
            reason = f"{fault.strerror or fault}"
        else:
            return stored.images, stored.bad, stored.converted
    place = folder_of(contents, settings).parent
    if how.keep_only:
        raise DataError(
            f"{place}: the pack of {what} cannot be kept there: {reason}. Free some space, set XDG_CACHE_HOME to a "
            "larger disk, or lower data.image_size."
        )
    if has_memory(size):
        how.say(f"packs {what} in memory, as {place} cannot be used: {reason}")
        images, bad, converted = load_files(paths, settings, how.on_progress, stop_at_first=how.stops)
        return Decoded(contents, settings, images), bad, converted
    how.say(f"decodes images in each epoch: {what} fit neither in {place} nor in memory")
    bad, converted = _read_all(paths, contents, settings, how.on_progress)
    states = [index.state_of(path) for path in paths]
    index.check_unchanged(paths, contents)
    return Streamed(contents, settings, paths, states), bad, converted


def _read_all(
    paths: Sequence[Path], contents: Sequence[str], settings: Settings, on_progress: Callable[[int, int], None]
) -> tuple[dict[int, str], Conversions]:
    """Decodes files that were never read, to know which can be; returns why some cannot, and what is changed."""
    known = index.recall(contents)
    unknown = [row for row, content in enumerate(contents) if content not in known]

    def read(numbers: Iterator[int]) -> dict[str, IndexedImage]:
        rows = (unknown[number] for number in numbers)
        return {contents[row]: IndexedImage(_facts_of(paths[row], settings)) for row in rows}

    with index.learning() as learn:
        for numbers, found in map_ranges(len(unknown), read):
            learn(found)
            known |= found
            on_progress(numbers.stop, len(unknown))
    white = settings.fit.white
    reasons = {
        row: known[content].facts.reason or beyond_white(known[content].facts, white)
        for row, content in enumerate(contents)
    }
    bad = {row: reason for row, reason in reasons.items() if reason}
    return bad, count(known[content].facts for row, content in enumerate(contents) if row not in bad)


def _facts_of(path: Path, settings: Settings) -> Facts:
    try:
        return read_pixels(path, settings)[1]
    except BadImageError as fault:
        return fault.now


def most_bad(total: int) -> int:
    """Returns how many files of a split may be unreadable before training on it stops."""
    return math.ceil(total * BAD_PERCENT / 100)


def _check_skipped(
    split: Split, paths: Sequence[Path], skipped: Sequence[Skipped], skipped_rows: Sequence[int], how: Packing
) -> None:
    total = len(split)
    if how.on_bad == "leave_out":
        if len(skipped) == total:
            raise DataError(f"{skipped[0].path}: {skipped[0].reason}; none of {total} files can be read. Check --data.")
        return
    if len(skipped) > most_bad(total):
        first = "; ".join(f"{bad.path} {bad.reason}" for bad in skipped[:3])
        are_files = isinstance(split.images, Sequence)
        advice = (
            f"Repair or remove them ('{how.check} --fix-list out.txt' lists all), or check that --data is the folder "
            "you mean."
            if are_files
            else "Correct what gives them."
        )
        what = "files" if are_files else "images"
        raise DataError(
            f"{len(skipped)} of {total} {what} cannot be read, more than {BAD_PERCENT} %: {first}. {advice}"
        )
    lost = np.bincount(split.labels[list(skipped_rows)], minlength=int(split.labels.max()) + 1)
    for label in np.flatnonzero(lost):
        if lost[label] == np.count_nonzero(split.labels == label):
            path = next(paths[row] for row in skipped_rows if split.labels[row] == label)
            raise DataError(
                f"{path}: of its class no image can be read ({lost[label]} found); expected one or more. "
                f"Repair the files, or remove the class; '{how.check}' says what is wrong with each."
            )


def _stop(path: Path, reason: str) -> NoReturn:
    raise DataError(f'{path}: {reason}. Repair or remove the file, or set data.on_bad = "skip".')


def _go_on(path: Path, reason: str) -> None:
    """Leaves a file that cannot be read for later."""
