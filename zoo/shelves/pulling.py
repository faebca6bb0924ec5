"""From a reference to a folder of verified files on this machine."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from zoo.errors import ContractError, NotFoundError, did_you_mean
from zoo.shelves.cached import FILES, KIND, CachedVersion, entry_path, find_cached, newest_cached, write_entry
from zoo.shelves.faults import ShelfError, UnreachableError
from zoo.shelves.names import Reference, read_reference
from zoo.shelves.places.place import object_path
from zoo.shelves.seen import seen_versions
from zoo.shelves.shelf import Shelf, open_shelf
from zoo.shelves.versions import FileRecord, Version
from zoo.system.cache import make_room, room
from zoo.system.files import make_folder, sync
from zoo.system.partial_entries import complete, discard, held, remove_litter

# Of so many bytes it is said that they are fetched.
LARGE = 5_000_000


@dataclass(frozen=True)
class PulledVersion:
    """A version whose files are on this machine, each with the hash that its document says.

    Attributes:
        path: The folder of its files; not to be changed.
        version: What it is.
        is_offline: Whether the shelf could not be reached, and it is from the cache.
        note: What to say of that: `offline: from the cache, pulled on 2026-11-27 (...)`; or what is wrong with another
            version of the recipe; empty for nothing.
        signed_by: The name of the key whose signature was verified; None where it is not signed.
    """

    path: Path
    version: Version
    is_offline: bool = False
    note: str = ""
    signed_by: str | None = None


def pull(reference: str) -> PulledVersion:
    """Fetches a version, verifies every file of it, and keeps it in the cache.

    Args:
        reference: `vision/pets`, `vision/pets@3` or `vision/pets@sha256:...`.

    Raises:
        NotFoundError: There is no such shelf, recipe or version.
        ShelfError: The shelf cannot be used, and the version is not in the cache.
        ContractError: Something was altered, is gone, or is not signed as the user requires.
        OSError: The cache cannot be written.
    """
    asked = read_reference(reference)
    shelf = open_shelf(asked.shelf)
    if asked.sha256 and (found := find_cached(shelf.name, asked.sha256)) and found[0].name == asked.name:
        return _pulled(shelf, found[0])
    try:
        version, note = _chosen(shelf, asked)
        if find_cached(shelf.name, version.sha256) is None:
            _fetch(shelf, version)
    except UnreachableError as fault:
        return _offline(shelf, asked, fault)
    return _pulled(shelf, version, note=note)


def _chosen(shelf: Shelf, asked: Reference) -> tuple[Version, str]:
    """Chooses the version that is asked for, by its own document; says what is wrong with another, if anything is."""
    try:
        versions = shelf.versions(asked.name)
    except ContractError as fault:
        version = _alone(shelf, asked, fault)
        return version, f"note: {version.reference} holds; another version does not: {fault}"
    if not versions:
        names = {one.name for one in shelf.versions()}
        near = did_you_mean(asked.name, names)
        raise NotFoundError(
            f"Shelf '{shelf.name}' has no recipe '{asked.name}'.{near} See 'zoo recipe ls --shelf {shelf.name}'."
        )
    if asked.sha256 is not None:
        fitting = [one for one in versions if one.sha256 == asked.sha256]
    else:
        fitting = [one for one in versions if asked.number in (None, one.number)]
    if not fitting:
        newest = versions[-1].number
        raise NotFoundError(f"{asked}: shelf '{shelf.name}' has no such version; the newest is {asked.name}@{newest}")
    return shelf.confirmed(fitting[-1]), ""


def _alone(shelf: Shelf, asked: Reference, fault: ContractError) -> Version:
    """Reads the version that is asked for where another of the recipe is damaged; which is the newest is not known.

    Raises:
        ContractError: None is asked for by its number or hash, or there is none such, or it is damaged itself.
    """
    if asked.sha256 is None and asked.number is None:
        raise fault
    listed = shelf.place.documents(asked.name) if shelf.place.is_listed else []
    if asked.number is not None:
        if shelf.place.is_listed and (asked.name, asked.number) not in listed:
            raise fault
        return shelf.version_alone(asked.name, asked.number)
    for name, number in listed:
        with suppress(ContractError):
            if (version := shelf.version_alone(name, number)).sha256 == asked.sha256:
                return version
    raise fault


def _pulled(shelf: Shelf, version: Version, *, note: str = "", is_offline: bool = False) -> PulledVersion:
    """Gives what is in the cache, once its signature is what the user requires."""
    path = entry_path(version.sha256) / FILES
    signed_by = shelf.verified_signer(version, lambda name: (path / name).read_bytes())
    return PulledVersion(path, version, is_offline=is_offline, note=note, signed_by=signed_by)


def _offline(shelf: Shelf, asked: Reference, fault: UnreachableError) -> PulledVersion:
    """Finds in the cache what is asked for, as far as it was seen on this shelf."""
    seen = seen_versions(shelf.url)
    if asked.sha256 is not None:
        found = find_cached(shelf.name, asked.sha256)
    elif asked.number is not None:
        sha256 = seen.get((asked.name, asked.number))
        found = find_cached(shelf.name, sha256) if sha256 else None
    else:
        found = newest_cached(shelf.name, asked.name, seen)
    if found is None:
        raise UnreachableError(f"{fault}; {asked} is not in the cache") from fault
    version, cached = found
    newest = max((number for name, number in seen if name == asked.name), default=version.number)
    older = f"; version {newest} was seen and not pulled" if asked.number is None and newest > version.number else ""
    said = f"{version.reference} is from the cache, pulled on {cached.pulled[:10]}{older}"
    return _pulled(shelf, version, note=f"offline: {said} ({fault})", is_offline=True)


def _fetch(shelf: Shelf, version: Version) -> None:
    """Fetches the files of a version into the cache; they appear there together."""
    shelf.verified_signer(version, lambda name: _content(shelf, version.files[name]))  # before anything large is taken
    entry = entry_path(version.sha256)
    make_folder(entry.parent, parents=True)
    remove_litter(entry.parent)
    if version.size > (free := room()):
        sizes = f"has {version.size:,} bytes; the cache has room for {free:,}"
        raise ShelfError(f"{version.reference}: {sizes}; free some space, or 'zoo cache clear'")
    make_room(KIND, version.size)
    if version.size > LARGE:
        print(f"pulling {version.reference}: {version.size / 1e6:,.1f} MB", file=sys.stderr)
    with held(entry) as partial:
        if find_cached(shelf.name, version.sha256) is not None:  # another process was faster
            return
        if partial.exists():
            shutil.rmtree(partial)
        try:
            for name, one in version.files.items():
                make_folder((partial / FILES / name).parent, parents=True)
                _fetch_file(shelf, name, one, partial / FILES / name)
            write_entry(partial, version, CachedVersion(url=shelf.url, pulled=_now(), version=version.sha256))
            complete(partial, entry)
        except BaseException:  # Ctrl-C too
            discard(partial)
            raise


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _fetch_file(shelf: Shelf, name: str, one: FileRecord, target: Path) -> None:
    with target.open("xb") as file:
        for piece in _verified(shelf, name, one):
            file.write(piece)
    sync(target)


def read_file(shelf: Shelf, version: Version, name: str) -> bytes:
    """Reads a small file of a version from the shelf, verified, without the others; nothing is kept.

    Args:
        shelf: The shelf that the version is on.
        version: The version.
        name: The file's name in it.

    Raises:
        ContractError: The file was altered, or is gone.
        ShelfError: The shelf cannot be read.
    """
    return b"".join(_verified(shelf, name, version.files[name]))


def _content(shelf: Shelf, one: FileRecord) -> bytes:
    return b"".join(_verified(shelf, "signature.json", one))


def _verified(shelf: Shelf, name: str, one: FileRecord) -> Iterator[bytes]:
    """Yields a file of a version; fails at its end, or before, where it is not what the document says."""
    path = object_path(one.sha256)
    digest, size = hashlib.sha256(), 0
    try:
        for piece in shelf.place.stream(path, size=one.size):
            digest.update(piece)
            size += len(piece)
            if size > one.size:
                break
            yield piece
    except FileNotFoundError:
        raise ContractError(f"{shelf.url}/{path}: is gone, which is {name}; ask who keeps the shelf") from None
    if size != one.size or digest.hexdigest() != one.sha256:
        found = f"more than {one.size:,} bytes" if size > one.size else f"{size:,} of {one.size:,} bytes"
        what = found if size != one.size else "another SHA-256"
        raise ContractError(f"{shelf.url}/{path}: {name} has {what}; it was altered; ask who keeps the shelf")
