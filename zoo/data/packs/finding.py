"""Packs in the cache: images decoded once into a file that later runs map into memory, found and verified.

    packs/<key>/images.npy      uint8[n, height, width, channels]
    packs/<key>/manifest.json   sealed: which rows hold no image and why, and a checksum of each part of the file

The key is a hash of each image's content, in order, and of the settings, so that a hit cannot be stale. Each part is
compared with its checksum when a pack is opened, so that what a crash or the disk damages is found and made anew, and
nothing waits for the disk.
"""

import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.images.settings import Settings
from zoo.data.images.threads import map_ranges
from zoo.data.packs.conversions import Conversions
from zoo.data.packs.pixels import Decoded, identity_of
from zoo.system.array_files import npy_header
from zoo.system.cache import ENTRY_MANIFEST, cache_folder
from zoo.system.partial_entries import JOURNAL, discard, partial_of
from zoo.system.sealing import DamagedDocumentError, read_document

KIND = "packs"
FORMAT = 1
IMAGES_FILE = "images.npy"
# Of millions of images.
_MAX_MANIFEST_BYTES = 1 << 30


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


def bytes_there(contents: Sequence[str], settings: Settings) -> int:
    """Returns how many bytes an interrupted pack of these contents and settings has taken; 0 where there is none."""
    with suppress(OSError):
        return (partial_of(folder_of(contents, settings)) / IMAGES_FILE).stat().st_size
    return 0


def find_pack(contents: Sequence[str], settings: Settings) -> StoredPack | None:
    """Opens the pack of these contents and settings; None where there is none, or a damaged one, which is removed."""
    folder = folder_of(contents, settings)
    try:
        faults, parts = _faults(folder, (len(contents), *settings.shape))
        if not faults:
            found = open_images(folder, parts, contents, settings)
            with suppress(OSError):  # a cache that can only be read
                os.utime(folder)
                (folder / JOURNAL).unlink(missing_ok=True)  # killed just before
            return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        pass
    discard(folder)
    return None


def verify_entry(folder: Path) -> list[str]:
    """Compares all of a pack with what its manifest says.

    Args:
        folder: `packs/<key>` in the cache.

    Returns:
        What is wrong, a line that begins with the file each; nothing where all is as it was written.
    """
    try:
        return _faults(folder)[0]
    except OSError as fault:
        return [f"{fault.filename or folder}: {fault.strerror or fault}"]


def _faults(folder: Path, expected: tuple[int, ...] | None = None) -> tuple[list[str], list[StoredPart]]:
    """Looks for what is wrong with a pack.

    Args:
        folder: Its folder.
        expected: The shape of its images; None for any.

    Returns:
        What is wrong, and its parts.

    Raises:
        OSError: There is no such pack, or it cannot be read.
    """
    manifest, file = folder / ENTRY_MANIFEST, folder / IMAGES_FILE
    try:
        document = read_document(manifest, limit=_MAX_MANIFEST_BYTES).values
        parts = [StoredPart(**part) for part in document["parts"]]
        rows = [row for part in parts for row in range(part.start, part.stop)]
        bad = [int(row) for part in parts for row in part.bad]
        size = document["settings"]
        shape = (len(rows), int(size["height"]), int(size["width"]), int(size["channels"]))
    except DamagedDocumentError as fault:
        return [f"{manifest}: {fault}"], []
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        return [f"{manifest}: does not describe a pack ({fault})"], []
    if document.get("key", folder.name) != folder.name:
        return [f"{manifest}: is of {document['key']}; expected {folder.name}"], parts
    if rows != list(range(shape[0])) or any(row not in range(shape[0]) for row in bad) or shape != (expected or shape):
        return [f"{manifest}: describes {list(shape)} in other rows; expected all of them"], parts
    with file.open("rb") as opened:
        header = npy_header(shape, np.dtype(np.uint8))
        if opened.read(len(header)) != header or os.fstat(opened.fileno()).st_size != len(header) + math.prod(shape):
            return [f"{file}: does not hold uint8{list(shape)}, which {ENTRY_MANIFEST} describes"], parts
    if not are_whole(file, parts, shape):
        return [f"{file}: its checksums are not those in {ENTRY_MANIFEST}; it has changed or is damaged"], parts
    return [], parts


def open_images(folder: Path, parts: Sequence[StoredPart], contents: Sequence[str], settings: Settings) -> StoredPack:
    """Maps the images of a pack that is whole."""
    mapped: Any = np.load(folder / IMAGES_FILE, mmap_mode="r")
    bad = {int(row): str(reason) for part in parts for row, reason in part.bad.items()}
    converted = sum((Conversions(part.converted, part.peak) for part in parts), Conversions())
    return StoredPack(Decoded(contents, settings, np.asarray(mapped)), bad, converted)


def are_whole(path: Path, parts: Sequence[StoredPart], shape: tuple[int, ...]) -> bool:
    """Compares parts of a file with their checksums."""
    before, row_bytes = len(npy_header(shape, np.dtype(np.uint8))), math.prod(shape[1:])
    with path.open("rb") as file:

        def compare(numbers: Iterator[int]) -> bool:
            for number in numbers:
                part = parts[number]
                size = (part.stop - part.start) * row_bytes
                content = os.pread(file.fileno(), size, before + part.start * row_bytes)
                if len(content) != size or zlib.crc32(content) != part.checksum:
                    return False
            return True

        return all(whole for _, whole in map_ranges(len(parts), compare))
