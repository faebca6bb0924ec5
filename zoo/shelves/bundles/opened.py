"""From a bundle to a folder of verified files on this machine: in the cache, by the hash of its bundle.json.

bundles/<SHA-256 of bundle.json, 40 digits>/
    files/        the bundle's files, but for its wheels
    bundle.json
    manifest.json written last
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ContractError
from zoo.shelves.bundles.archive import BundleArchive, open_archive
from zoo.shelves.bundles.manifest import (
    LIMIT,
    MANIFEST,
    SIGNATURE,
    VERSION,
    VERSION_SIGNATURE,
    WHEELS,
    BundleDocument,
    read_bundle,
)
from zoo.shelves.faults import ShelfError
from zoo.shelves.versions import FileRecord, Version, read_version
from zoo.system.cache import ENTRY_MANIFEST, cache_folder, make_room, room
from zoo.system.files import make_folder, sha256_of, sync, write_atomic
from zoo.system.partial_entries import complete, discard, held, remove_litter
from zoo.system.regular_files import open_below, read_regular
from zoo.system.sealing import sealed

# Of entries of the cache.
KIND = "bundles"
FILES = "files"


@dataclass(frozen=True)
class OpenedBundle:
    """A bundle whose files are on this machine, each with the hash that its bundle.json says.

    Attributes:
        path: The folder of its files; not to be changed.
        document: What bundle.json says.
        sha256: Of bundle.json, which is the bundle's identity.
    """

    path: Path
    document: BundleDocument
    sha256: str


def open_bundle(path: Path) -> OpenedBundle:
    """Verifies a bundle, and puts its files into the cache.

    Raises:
        NotFoundError: There is no such file.
        ContractError: It is not a bundle, or is not what zoo wrote; the message says in what.
        ShelfError: The cache has no room for it.
        OSError: The cache cannot be written.
    """
    with open_archive(path) as file:
        archive = BundleArchive(file, str(path))
        document, sha256 = read_manifest(archive)
        entry = cache_folder() / KIND / sha256[:40]
        if (found := _cached(entry)) is None or found.sha256 != sha256:
            _unpack(archive, document, sha256, entry)
    return OpenedBundle(entry / FILES, document, sha256)


def read_manifest(archive: BundleArchive) -> tuple[BundleDocument, str]:
    """Reads bundle.json of an open bundle, and compares the names and sizes of all entries with it.

    Returns:
        What it says, and its SHA-256.

    Raises:
        ContractError: It is damaged, or the archive holds other files.
    """
    text = archive.read(MANIFEST, limit=LIMIT)
    document = read_bundle(text, f"{archive.place}: {MANIFEST}")
    sizes = {name: one.size for name, one in document.files.items()}
    found = {name: size for name, size in archive.entries.items() if name not in (MANIFEST, SIGNATURE)}
    if found != sizes:
        name = next(one for one in sorted({*found, *sizes}) if found.get(one) != sizes.get(one))
        what = "is missing" if name not in found else "is not listed" if name not in sizes else "has another size"
        raise ContractError(f"{archive.place}: {name} {what} in {MANIFEST}; get the bundle again")
    return document, sha256_of(text)


def verified(archive: BundleArchive, name: str, known: FileRecord) -> Iterator[bytes]:
    """Yields a file of an open bundle; fails at its end where it is not what bundle.json says.

    Raises:
        ContractError: It is damaged.
    """
    digest = hashlib.sha256()
    for piece in archive.pieces(name):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != known.sha256:
        raise ContractError(
            f"{archive.place}: {name} is damaged or was changed: its SHA-256 is not the one in {MANIFEST}; "
            "get the bundle again"
        )


def version_within(document: BundleDocument, content: bytes, place: str) -> Version:
    """Reads the document of the version that was bundled, and compares what it lists with the bundle's files.

    Args:
        document: The bundle's.
        content: Of version.json.
        place: Where it is, for messages.

    Raises:
        ContractError: It is damaged, another version's, or lists other files.
    """
    version = read_version("", content, place)
    origin = document.origin
    if origin is None or (origin.name, origin.version, origin.sha256) != (version.name, version.number, version.sha256):
        raise ContractError(f"{place}: is not of the version that {MANIFEST} names; get the bundle again")
    for name, one in version.files.items():
        held_as = VERSION_SIGNATURE if name == SIGNATURE else name
        if document.files.get(held_as) != one:
            raise ContractError(f"{place}: lists another {name} than {MANIFEST}; get the bundle again")
    return version


def _unpack(archive: BundleArchive, document: BundleDocument, sha256: str, entry: Path) -> None:
    taken = {name: one for name, one in document.files.items() if not name.startswith(WHEELS)}
    size = sum(one.size for one in taken.values())
    make_folder(entry.parent, parents=True)
    remove_litter(entry.parent)
    if size > (free := room()):
        raise ShelfError(
            f"{archive.place}: has {size:,} bytes; the cache has room for {free:,}; free some space, or 'zoo cache "
            "clear'"
        )
    make_room(KIND, size)
    with held(entry) as partial:
        if (found := _cached(entry)) is not None and found.sha256 == sha256:  # another process was faster
            return
        if partial.exists():
            shutil.rmtree(partial)
        try:
            for name, one in taken.items():
                target = partial / FILES / name
                make_folder(target.parent, parents=True)
                with target.open("xb") as file:
                    for piece in verified(archive, name, one):
                        file.write(piece)
                sync(target)
            if VERSION in taken:
                version_within(document, (partial / FILES / VERSION).read_bytes(), f"{archive.place}: {VERSION}")
            write_atomic(partial / MANIFEST, archive.read(MANIFEST, limit=LIMIT))
            write_atomic(partial / ENTRY_MANIFEST, sealed({"schema": 1, "kind": "unpacked", "bundle": sha256}))
            complete(partial, entry)
        except BaseException:  # Ctrl-C too
            discard(partial)
            raise


def _cached(entry: Path) -> OpenedBundle | None:
    """Finds a bundle in the cache, and compares every file with its hash; a damaged entry is removed."""
    if not (entry / ENTRY_MANIFEST).exists():
        return None
    if verify_entry(entry):
        discard(entry)
        return None
    with suppress(OSError):
        os.utime(entry)  # the least recently used go first
    return _read(entry)


def _read(entry: Path) -> OpenedBundle:
    text = read_regular(entry / MANIFEST, limit=LIMIT, follow_links=False)
    return OpenedBundle(entry / FILES, read_bundle(text, str(entry / MANIFEST)), sha256_of(text))


def verify_entry(entry: Path) -> list[str]:
    """Compares an entry of the cache with its bundle.json.

    Returns:
        What is wrong, a line that begins with the file each.
    """
    try:
        found = _read(entry)
        if found.sha256[:40] != entry.name:
            return [f"{entry / MANIFEST}: is that of another bundle"]
        return [line for name, one in found.document.files.items() if (line := _fault_of_file(found.path, name, one))]
    except ContractError as fault:
        return [str(fault)]
    except OSError as fault:
        return [f"{fault.filename or entry}: {fault.strerror}"]


def _fault_of_file(folder: Path, name: str, one: FileRecord) -> str:
    if name.startswith(WHEELS):
        return ""
    try:
        with open_below(folder, name, limit=one.size) as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == one.sha256
        return "" if same else f"{folder / name}: is damaged: its SHA-256 is not the one in {MANIFEST}"
    except OSError as fault:
        return f"{fault.filename or folder / name}: {fault.strerror}"


def bundle_of(path: Path) -> OpenedBundle | None:
    """Returns the bundle that a file in the cache is of; None for any other file."""
    kept, real = (cache_folder() / KIND).resolve(), path.resolve()
    if not real.is_relative_to(kept) or real == kept:
        return None
    try:
        return _read(kept / real.relative_to(kept).parts[0])
    except (ContractError, OSError):
        return None
