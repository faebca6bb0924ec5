"""How a version comes onto a shelf: files first, named by their content; its document, in one step; then the index.

A reader sees the document or not. Killed before it, a push leaves files that nothing names, and that the next push of
the same content finds; killed after it, an index that the next push writes anew.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo.errors import DataError, printable
from zoo.shelves.faults import ShelfError
from zoo.shelves.index import write_index
from zoo.shelves.names import fault_of_file_names, is_recipe_name
from zoo.shelves.places.place import Place, document_path, object_path
from zoo.shelves.versions import FileRecord, Version, VersionDocument, VersionMetadata, read_metadata, version_text
from zoo.system.json_objects import JsonObjectError
from zoo.system.regular_files import open_regular, read_regular

# Others that push at the same time take numbers too.
MOST_TAKEN = 10_000
# Most bytes of a file that is read whole.
SMALL = 1_000_000


def draft_version(shelf: str, name: str, files: Mapping[str, Path | bytes], metadata: VersionMetadata) -> Version:
    """Hashes the files of a version that has no number yet.

    Args:
        shelf: The shelf's name.
        name: The recipe's.
        files: Each file by its name in the version.
        metadata: What is said of it.

    Raises:
        DataError: A name or a file cannot be published.
    """
    document = VersionDocument(name=name, version=1, published=_now(), files=_records(name, files), metadata=metadata)
    return Version(shelf, document, version_text(document))  # which refuses what no reader would take


def publish(place: Place, draft: Version, files: Mapping[str, Path | bytes], *, above: Iterable[int] = ()) -> Version:
    """Adds a version.

    Args:
        place: Where.
        draft: What it is to be, but for its number.
        files: Each file by its name in the version.
        above: Numbers that versions of the recipe had, which may be gone.

    Raises:
        ContractError: A file has changed since it was hashed.
        ShelfError: It cannot be written.
    """
    if place.why_read_only:
        raise ShelfError(f"{place.url}: {place.why_read_only}")
    taken = [number for _, number in place.documents(draft.name)]
    for file, source in files.items():
        place.put(object_path(draft.files[file].sha256), source, sha256=draft.files[file].sha256)
    first = max([*taken, *above], default=0) + 1
    for number in range(first, first + MOST_TAKEN):
        document = replace(draft.document, version=number)
        text = version_text(document)
        if place.create(document_path(draft.name, number), text):
            try:
                write_index(place, draft.shelf)
            except ShelfError as fault:
                raise ShelfError(
                    f"{draft.name}@{number} is on the shelf, and index.json is not written: {fault}"
                ) from fault
            return Version(draft.shelf, document, text)
    raise ShelfError(f"{place.url}: {MOST_TAKEN:,} versions were written by others meanwhile; push again later")


def content(source: Path | bytes) -> bytes:
    """Returns the bytes of a small file.

    Raises:
        DataError: It cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return read_regular(source, limit=SMALL)
    except OSError as fault:
        raise DataError(f"{source}: {fault.strerror}; expected a file to publish") from None


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _records(name: str, files: Mapping[str, Path | bytes]) -> dict[str, FileRecord]:
    """Hashes every file."""
    if not is_recipe_name(name):
        expected = "expected small letters, digits and '-', such as pets"
        raise DataError(f"'{printable(name)}' cannot be the name of a recipe on a shelf; {expected}")
    if fault := fault_of_file_names(files):
        raise DataError(f"{name}: {fault}")
    return {file: _record(source) for file, source in sorted(files.items())}


def _record(source: Path | bytes) -> FileRecord:
    if isinstance(source, bytes):
        return FileRecord(sha256=hashlib.sha256(source).hexdigest(), size=len(source))
    try:
        with open_regular(source) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileRecord(sha256=digest, size=file.tell())
    except OSError as fault:
        raise DataError(f"{source}: {fault.strerror}; expected a file to publish") from None


def checked_metadata(metadata: Mapping[str, Any]) -> VersionMetadata:
    """Takes what is said of a version.

    Raises:
        DataError: A key is of another type.
    """
    try:
        return read_metadata(metadata)
    except JsonObjectError as fault:
        raise DataError(str(fault)) from None
