"""Versions that were pulled: in the cache, verified, for use without a network.

recipes/<SHA-256 of the document, 40 digits>/
    files/        the version's files
    version.json  its document
    manifest.json where and when it was pulled; written last
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ContractError
from zoo.shelves.versions import LIMIT, Version, read_version
from zoo.system.cache import ENTRY_MANIFEST, cache_folder
from zoo.system.files import sha256_of, write_atomic
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.partial_entries import discard
from zoo.system.regular_files import open_below
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

# Of entries of the cache.
KIND = "recipes"
FILES, VERSION_FILE = "files", "version.json"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class CachedVersion(JsonObject):
    """manifest.json of an entry.

    Attributes:
        url: The shelf that it was pulled from.
        pulled: When, in UTC.
        version: The SHA-256 of version.json.
    """

    url: str
    pulled: str
    version: str


def entry_path(sha256: str) -> Path:
    """Returns where a version is or will be kept."""
    return cache_folder() / KIND / sha256[:40]


def write_entry(partial: Path, version: Version, note: CachedVersion) -> None:
    """Writes what belongs to the files of an entry, and that it is whole.

    Raises:
        OSError: The disk is full, ...
    """
    (partial / VERSION_FILE).write_bytes(version.text)
    write_atomic(partial / ENTRY_MANIFEST, sealed({"schema": SCHEMA, "kind": "pulled", **note.to_json()}))


def find_cached(shelf: str, sha256: str) -> tuple[Version, CachedVersion] | None:
    """Finds a version in the cache, and compares every file with its hash; a damaged entry is removed.

    Args:
        shelf: The name of the shelf that it is asked for.
        sha256: Of its document.
    """
    entry = entry_path(sha256)
    if not (entry / ENTRY_MANIFEST).exists():
        return None
    try:
        found = _read(entry, shelf)
        faults = _faults(entry, found[0])
    except (ContractError, DamagedDocumentError, JsonObjectError, OSError):
        faults, found = ["damaged"], None
    if found is None or faults or found[0].sha256 != sha256:
        discard(entry)
        return None
    with suppress(OSError):
        os.utime(entry)  # the least recently used go first
    return found


def _read(entry: Path, shelf: str) -> tuple[Version, CachedVersion]:
    values = dict(read_document(entry / ENTRY_MANIFEST, follow_links=False).values)
    values = {key: value for key, value in values.items() if key not in ("schema", "kind")}
    note = read_object(values, CachedVersion)
    with open_below(entry, VERSION_FILE, limit=LIMIT) as file:
        text = file.read(LIMIT + 1)
    if sha256_of(text) != note.version:
        raise DamagedDocumentError("version.json is damaged")
    return read_version(shelf, text, str(entry / VERSION_FILE)), note


def _faults(entry: Path, version: Version) -> list[str]:
    faults: list[str] = []
    for name, one in version.files.items():
        path = entry / FILES / name
        try:
            with open_below(entry / FILES, name, limit=one.size) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != one.sha256:
                    faults.append(f"{path}: is damaged: its SHA-256 is not the one in {VERSION_FILE}")
        except OSError as fault:
            faults.append(f"{fault.filename or path}: {fault.strerror}")
    return faults


def version_of(path: Path) -> Version | None:
    """Returns the version that a file in the cache is of, without the name of its shelf; None for any other file."""
    kept, real = (cache_folder() / KIND).resolve(), path.resolve()
    if not real.is_relative_to(kept) or real == kept:
        return None
    try:
        return _read(kept / real.relative_to(kept).parts[0], "")[0]
    except (ContractError, DamagedDocumentError, JsonObjectError, OSError):
        return None


def verify_entry(entry: Path) -> list[str]:
    """Compares an entry with its document.

    Returns:
        What is wrong, a line that begins with the file each.
    """
    try:
        version, _ = _read(entry, "")
    except (ContractError, DamagedDocumentError, JsonObjectError) as fault:
        return [f"{entry / VERSION_FILE}: {fault}"]
    except OSError as fault:
        return [f"{fault.filename or entry}: {fault.strerror}"]
    return _faults(entry, version)


def newest_cached(shelf: str, name: str, seen: Mapping[tuple[str, int], str]) -> tuple[Version, CachedVersion] | None:
    """Finds the newest version of a recipe that was seen on a shelf and is in the cache."""
    numbers = sorted((number for one, number in seen if one == name), reverse=True)
    return next((found for number in numbers if (found := find_cached(shelf, seen[name, number]))), None)
