"""Packs as they are written: a part at a time, beside their place, and renamed when they are whole.

One that is interrupted goes on with the parts that its journal names. The least recently used packs go when the cache
is full. Where they lie and how they are read: see `finding`.
"""

import math
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path

import numpy as np

from zoo.data.images import index
from zoo.data.images.facts import BadImageError
from zoo.data.images.index import IndexedImage
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.data.images.threads import map_ranges
from zoo.data.packs.conversions import count
from zoo.data.packs.finding import (
    IMAGES_FILE,
    KIND,
    StoredPack,
    StoredPart,
    are_whole,
    bytes_of,
    find_pack,
    folder_of,
    open_images,
)
from zoo.errors import DataError
from zoo.system.array_files import bytes_of as bytes_of_array
from zoo.system.array_files import npy_header, reserve, write_at
from zoo.system.cache import ENTRY_MANIFEST, make_room
from zoo.system.files import write_atomic
from zoo.system.journal import journal_line, journal_lines, read_journal
from zoo.system.partial_entries import JOURNAL, complete, discard, held, remove_litter
from zoo.system.sealing import sealed

# Of a part: small beside memory, and few enough that a kill costs a second or two, also of large photos.
_PART_BYTES = 8 << 20
_MAX_PART_ROWS = 16


def store_pack(
    paths: Sequence[Path],
    contents: Sequence[str],
    settings: Settings,
    on_progress: Callable[[int, int], None],
    on_bad: Callable[[Path, str], None],
) -> StoredPack:
    """Decodes files into a pack, and opens it; where another process does so already, it is waited for.

    Args:
        paths: The files, each of another content.
        contents: Their contents' hashes.
        settings: The size.
        on_progress: Called with the images done and their total, from the calling thread.
        on_bad: Called with each file that gives no pixels, and why; what it raises ends the packing, and what
            is done by then is kept for another try.

    Raises:
        OSError: The cache cannot be written, or the disk is full; what is done by then is kept for another try.
        DataError: A file changed meanwhile.
    """
    folder = folder_of(contents, settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_litter(folder.parent)
    with held(folder) as partial:
        there = find_pack(contents, settings)
        if there is not None:
            on_progress(len(paths), len(paths))
            return there
        partial.mkdir(exist_ok=True)
        make_room(KIND, bytes_of(len(paths), settings), beside=partial)
        parts = _write_parts(partial, paths, contents, settings, on_progress, on_bad)
        try:
            index.check_unchanged(paths, contents)
        except DataError:
            discard(partial)
            raise
        described = {"schema": 1, "kind": "pack", "key": folder.name, "settings": settings.described()}
        document = {**described, "parts": [*map(asdict, parts)]}
        write_atomic(partial / ENTRY_MANIFEST, sealed(document, indent=None))
        complete(partial, folder)
    return open_images(folder, parts, contents, settings)


def _write_parts(
    partial: Path,
    paths: Sequence[Path],
    contents: Sequence[str],
    settings: Settings,
    on_progress: Callable[[int, int], None],
    on_bad: Callable[[Path, str], None],
) -> list[StoredPart]:
    """Writes what is missing of a pack, and returns what its manifest says of each part."""
    images, journal = partial / IMAGES_FILE, partial / JOURNAL
    shape = (len(paths), *settings.shape)
    parts = _parts_there(partial, shape)
    done = {row for part in parts for row in range(part.start, part.stop)}
    on_progress(len(done), len(paths))
    missing = _ranges(len(paths), done, settings)
    before = {content: one.facts.reason for content, one in index.recall(contents).items() if one.facts.reason}
    for path, content in zip(paths, contents, strict=True):
        if content in before:
            on_bad(path, before[content])
    _begin(partial, parts, shape)
    noting = threading.Lock()
    with images.open("r+b") as file, journal.open("a", encoding="utf-8") as log:

        def write(numbers: Iterator[int]) -> list[tuple[StoredPart, Mapping[str, IndexedImage]]]:
            written: list[tuple[StoredPart, Mapping[str, IndexedImage]]] = []
            for number in numbers:
                written.append(_write_part(file.fileno(), missing[number], paths, contents, settings, before))
                # Here, as the parts before may still be under way.
                with noting:
                    log.write(journal_line(asdict(written[-1][0])))
                    log.flush()
            return written

        with index.learning() as learn:
            for _, written in map_ranges(len(missing), write, at_once=1):
                for part, known in written:
                    learn(known)
                    parts.append(part)
                    done.update(range(part.start, part.stop))
                on_progress(len(done), len(paths))
                for part, _ in written:
                    for row, reason in part.bad.items():
                        on_bad(paths[int(row)], reason)
    return sorted(parts, key=attrgetter("start"))


def _begin(partial: Path, parts: Sequence[StoredPart], shape: tuple[int, ...]) -> None:
    """Prepares a folder for what is missing: room for all, a journal of whole lines, and nothing else.

    Raises:
        OSError: The disk is full, ...; there is no folder then, where nothing was in it.
    """
    if not parts:
        try:
            reserve(partial / IMAGES_FILE, shape, np.dtype(np.uint8))
        except OSError:
            discard(partial)
            raise
    write_atomic(partial / JOURNAL, journal_lines(map(asdict, parts)))
    for path in partial.iterdir():
        if path.name not in (IMAGES_FILE, JOURNAL):
            path.unlink()


def _ranges(count: int, done: set[int], settings: Settings) -> list[range]:
    """Divides the rows that are not done into parts."""
    even = max(1, count // (4 * (os.cpu_count() or 1)))
    length = max(1, min(_PART_BYTES // bytes_of(1, settings), _MAX_PART_ROWS, even))
    ranges: list[range] = []
    row = 0
    while row < count:
        if row in done:
            row += 1
            continue
        stop = row
        while stop < min(row + length, count) and stop not in done:
            stop += 1
        ranges.append(range(row, stop))
        row = stop
    return ranges


def _write_part(
    file: int,
    rows: range,
    paths: Sequence[Path],
    contents: Sequence[str],
    settings: Settings,
    known_bad: Mapping[str, str],
) -> tuple[StoredPart, Mapping[str, IndexedImage]]:
    """Decodes some files and writes them at their place.

    Not through a mapping: its pages would count as the process's memory, and a full disk would kill it.
    """
    checksum = 0
    before = len(npy_header((len(paths), *settings.shape), np.dtype(np.uint8)))
    known: dict[str, IndexedImage] = {}
    bad: dict[str, str] = {}
    nothing = np.zeros(settings.shape, np.uint8)
    for row in rows:
        if contents[row] in known_bad:
            pixels, bad[str(row)] = nothing, known_bad[contents[row]]
        else:
            try:
                pixels, facts = read_pixels(paths[row], settings)
            except BadImageError as fault:
                if fault.facts.passing and not contents[row].startswith(index.UNREADABLE):
                    # The bytes could be read before: what is wrong does not belong to what the pack is known by.
                    raise OSError(f"{paths[row]} {fault}") from fault
                pixels, bad[str(row)], facts = nothing, str(fault), fault.now
            known[contents[row]] = IndexedImage(facts)
        # One at a time, while it is still in the processor's cache.
        content = bytes_of_array(pixels)
        checksum = zlib.crc32(content, checksum)
        write_at(file, content, before + bytes_of(row, settings))
    converted = count(known[contents[row]].facts for row in rows if str(row) not in bad)
    part = StoredPart(
        start=rows.start,
        stop=rows.stop,
        checksum=checksum,
        bad=bad,
        converted=converted.counts,
        peak=converted.peak,
    )
    return part, known


def _parts_there(partial: Path, shape: tuple[int, ...]) -> list[StoredPart]:
    """Returns the parts of an interrupted pack that are whole."""
    images, header = partial / IMAGES_FILE, npy_header(shape, np.dtype(np.uint8))
    with suppress(OSError), images.open("rb") as file:
        if file.read(len(header)) != header or os.fstat(file.fileno()).st_size != len(header) + math.prod(shape):
            return []
    parts: dict[int, StoredPart] = {}
    for line in read_journal(partial / JOURNAL):
        with suppress(ValueError, TypeError, OSError):
            part = StoredPart(**line)
            if 0 <= part.start < part.stop <= shape[0] and are_whole(images, [part], shape):
                parts[part.start] = part
    return [*parts.values()]
