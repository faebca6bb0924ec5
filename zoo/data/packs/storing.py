"""Packs in the cache: images decoded once into a file that later runs map into memory.

    packs/<key>/images.npy      uint8[n, height, width, channels]
    packs/<key>/manifest.json   which rows hold no image and why, and a checksum of each part of the file

The key is a hash of each image's content, in order, and of the settings, so that a hit cannot be stale. A pack is
written beside its place, a part at a time, and renamed when it is whole; one that is interrupted goes on with the parts
that are there. Each part is compared with its checksum when a pack is opened, so that what a crash or the disk damages
is found and made anew, and nothing waits for the disk. The least recently used packs go when the cache is full.
"""

import json
import math
import os
import shutil
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.images import index
from zoo.data.images.facts import BadImageError
from zoo.data.images.index import IndexedImage
from zoo.data.images.reading import read_pixels
from zoo.data.images.settings import Settings
from zoo.data.images.threads import map_ranges
from zoo.data.packs.conversions import Conversions, count
from zoo.data.packs.pixels import Decoded, identity_of
from zoo.errors import DataError
from zoo.system.cache import ENTRY_MANIFEST, UNFINISHED, cache_folder, make_room
from zoo.system.files import is_still_there, write_atomic
from zoo.system.locks import lock

KIND = "packs"
FORMAT = 1
IMAGES_FILE, PARTS_FILE = "images.npy", "parts.jsonl"
# NumPy's header of a file of this kind is one block (NEP 1).
_HEADER_BYTES = 128
# Of a part: a few for each thread, each small beside memory.
_PART_BYTES = 8 << 20
_MAX_PART_ROWS = 256


@dataclass(frozen=True)
class StoredPack:
    """A pack that is whole.

    Attributes:
        images: uint8[n, height, width, channels] in [0, 255], mapped; a row that holds no image is zeros.
        bad: Why a row holds no image.
        converted: What was changed in the others.
    """

    images: Decoded
    bad: dict[int, str]
    converted: Conversions


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """Some rows of a pack, written in one go.

    Attributes:
        start: The first row.
        stop: The row after the last.
        checksum: CRC-32 of their pixels.
        bad: Why a row holds no image, by its number in decimal digits, as JSON has keys.
        converted: How many images were changed, by kind; see `Conversions`.
        peak: See `Conversions`.
    """

    start: int
    stop: int
    checksum: int
    bad: Mapping[str, str]
    converted: Mapping[str, int]
    peak: int


def bytes_of(count: int, settings: Settings) -> int:
    """Returns how many bytes a pack of so many images takes."""
    return count * math.prod(settings.shape)


def folder_of(contents: Sequence[str], settings: Settings) -> Path:
    """Returns where the pack of these contents and settings is, or would be."""
    return cache_folder() / KIND / f"{FORMAT}-{identity_of(contents, settings)}"


def _unfinished(folder: Path) -> Path:
    return folder.with_name(f"{UNFINISHED}{folder.name}")


def bytes_there(contents: Sequence[str], settings: Settings) -> int:
    """Returns how many bytes an interrupted pack of these contents and settings has taken; 0 where there is none."""
    with suppress(OSError):
        return (_unfinished(folder_of(contents, settings)) / IMAGES_FILE).stat().st_size
    return 0


def find_pack(contents: Sequence[str], settings: Settings) -> StoredPack | None:
    """Opens the pack of these contents and settings; None where there is none, or a damaged one, which is removed."""
    folder = folder_of(contents, settings)
    try:
        document = json.loads((folder / ENTRY_MANIFEST).read_text(encoding="utf-8"))
        parts = [StoredPart(**part) for part in document["parts"]]
        found = _opened(folder, parts, contents, settings)
        if found.images.array.shape == found.images.shape and _are_whole(folder / IMAGES_FILE, parts, settings):
            os.utime(folder)
            return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _opened(folder: Path, parts: Sequence[StoredPart], contents: Sequence[str], settings: Settings) -> StoredPack:
    mapped: Any = np.load(folder / IMAGES_FILE, mmap_mode="r")
    bad = {int(row): str(reason) for part in parts for row, reason in part.bad.items()}
    converted = sum((Conversions(part.converted, part.peak) for part in parts), Conversions())
    return StoredPack(Decoded(contents, settings, np.asarray(mapped)), bad, converted)


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
    unfinished = _unfinished(folder)
    with _alone(folder.with_name(f".lock-{folder.name}")):
        there = find_pack(contents, settings)
        if there is not None:
            on_progress(len(paths), len(paths))
            return there
        unfinished.mkdir(exist_ok=True)
        make_room(KIND, bytes_of(len(paths), settings), beside=unfinished)
        parts = _write_parts(unfinished, paths, contents, settings, on_progress, on_bad)
        try:
            index.check_unchanged(paths, contents)
        except DataError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        document = {"schema": 1, "kind": "pack", "settings": settings.described(), "parts": [*map(asdict, parts)]}
        write_atomic(unfinished / ENTRY_MANIFEST, json.dumps(document) + "\n")
        (unfinished / PARTS_FILE).unlink(missing_ok=True)
        unfinished.rename(folder)
    return _opened(folder, parts, contents, settings)


@contextmanager
def _alone(lock_path: Path) -> Generator[None]:
    """Keeps other processes from writing the same pack meanwhile; the lock goes with the process, however it ends."""
    while True:
        with lock_path.open("w") as file:
            lock(file)
            if not is_still_there(lock_path, file):
                continue
            try:
                yield
            finally:
                with suppress(PermissionError):  # Windows removes no open file; an empty one may stay
                    lock_path.unlink(missing_ok=True)
            return


def _write_parts(
    unfinished: Path,
    paths: Sequence[Path],
    contents: Sequence[str],
    settings: Settings,
    on_progress: Callable[[int, int], None],
    on_bad: Callable[[Path, str], None],
) -> list[StoredPart]:
    """Writes what is missing of a pack, and returns what its manifest says of each part."""
    images = unfinished / IMAGES_FILE
    parts = _parts_there(unfinished, len(paths), settings)
    done = {row for part in parts for row in range(part.start, part.stop)}
    on_progress(len(done), len(paths))
    missing = _ranges(len(paths), done, settings)
    before = {content: one.facts.reason for content, one in index.recall(contents).items() if one.facts.reason}
    for path, content in zip(paths, contents, strict=True):
        if content in before:
            on_bad(path, before[content])
    if not done:
        _reserve(images, (len(paths), *settings.shape))
    # Whole lines only: the last one may have been cut.
    write_atomic(unfinished / PARTS_FILE, "".join(json.dumps(asdict(part)) + "\n" for part in parts))
    with images.open("r+b") as file, (unfinished / PARTS_FILE).open("a", encoding="utf-8") as log:

        def write(numbers: Iterator[int]) -> list[tuple[StoredPart, Mapping[str, IndexedImage]]]:
            return [
                _write_part(file.fileno(), missing[number], paths, contents, settings, before) for number in numbers
            ]

        with index.learning() as learn:
            for _, written in map_ranges(len(missing), write, at_once=1):
                for part, known in written:
                    learn(known)
                    log.write(json.dumps(asdict(part)) + "\n")
                    parts.append(part)
                    done.update(range(part.start, part.stop))
                log.flush()
                on_progress(len(done), len(paths))
                for part, _ in written:
                    for row, reason in part.bad.items():
                        on_bad(paths[int(row)], reason)
    return sorted(parts, key=attrgetter("start"))


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
        content = np.ascontiguousarray(pixels).reshape(-1).data
        checksum = zlib.crc32(content, checksum)
        _write_at(file, content, _HEADER_BYTES + bytes_of(row, settings))
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


def _write_at(file: int, content: memoryview, position: int) -> None:
    written = 0
    while written < len(content):
        written += os.pwrite(file, content[written:], position + written)


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """Makes a file of its full size, so that a disk too small is known at once."""
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # pyright: ignore[reportArgumentType] -- a dict it is
        if file.tell() != _HEADER_BYTES:
            raise OSError(f"{path}: NumPy's header takes {file.tell()} bytes")
        file.flush()
        size = _HEADER_BYTES + math.prod(shape)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


def _parts_there(unfinished: Path, count: int, settings: Settings) -> list[StoredPart]:
    """Returns the parts of an interrupted pack that are whole."""
    images, log = unfinished / IMAGES_FILE, unfinished / PARTS_FILE
    if not images.is_file() or not log.is_file():
        return []
    if images.stat().st_size != _HEADER_BYTES + bytes_of(count, settings):
        log.unlink()
        return []
    parts: list[StoredPart] = []
    for line in log.read_bytes().splitlines():
        try:
            part = StoredPart(**json.loads(line))
            if 0 <= part.start < part.stop <= count and _are_whole(images, [part], settings):
                parts.append(part)
        except (ValueError, TypeError, OSError):  # the line that was being written, or a damaged one
            continue
    return parts


def _are_whole(path: Path, parts: Sequence[StoredPart], settings: Settings) -> bool:
    """Compares parts of a file with their checksums."""
    with path.open("rb") as file:

        def compare(numbers: Iterator[int]) -> bool:
            for number in numbers:
                part = parts[number]
                size = bytes_of(part.stop - part.start, settings)
                content = os.pread(file.fileno(), size, _HEADER_BYTES + bytes_of(part.start, settings))
                if len(content) != size or zlib.crc32(content) != part.checksum:
                    return False
            return True

        return all(whole for _, whole in map_ranges(len(parts), compare))
