"""manifest.json of a folder: the SHA-256 and the size of each file in it, written when all of them are there.

    {"schema": 1, "kind": "manifest", "sealed": true,
     "sha256": {"model/card.json": "3f0c...", ...}, "bytes": {"model/card.json": 1234, ...}, "seal": "..."}

Hidden files and folders are not in it. An earlier zoo wrote no sizes and no seal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, cast

from zoo.errors import RunError
from zoo.system.files import write_atomic
from zoo.system.regular_files import open_regular
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

MANIFEST_FILE = "manifest.json"
SCHEMA = 1

_V = TypeVar("_V")


@dataclass(frozen=True)
class Manifest:
    """What a folder held when it was finished.

    Attributes:
        sha256: The hash of each file, in hex, by its path below the folder with slashes.
        bytes: The size of each; empty where an earlier zoo wrote it.
        is_sealed: Whether it has a seal, which held.
    """

    sha256: Mapping[str, str]
    bytes: Mapping[str, int]
    is_sealed: bool


def files_in(folder: Path) -> list[Path]:
    """Lists the files below a folder that a manifest has, in the order of their names; no link is followed."""
    manifest = folder / MANIFEST_FILE
    return sorted(
        file
        for file in folder.rglob("*")
        if not file.is_symlink() and file.is_file() and file != manifest and not _is_hidden(file.relative_to(folder))
    )


def _is_hidden(path: Path) -> bool:
    """Whether a file, or a folder that it is in, is hidden: one that is half written or half removed is."""
    return any(part.startswith(".") for part in path.parts)


def write_manifest(folder: Path) -> None:
    """Writes manifest.json, the last file of a folder.

    Raises:
        OSError: A file cannot be read, or the manifest not be written.
    """
    import hashlib

    hashes: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for path in files_in(folder):
        name = path.relative_to(folder).as_posix()
        with open_regular(path, follow_links=False) as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
            sizes[name] = file.tell()
    document = {"schema": SCHEMA, "kind": "manifest", "sha256": hashes, "bytes": sizes}
    write_atomic(folder / MANIFEST_FILE, sealed(document))


def read_manifest(folder: Path) -> Manifest | None:
    """Reads manifest.json; None where there is none.

    Raises:
        RunError: It is damaged, cannot be read, or of another schema.
    """
    path = folder / MANIFEST_FILE
    try:
        document = read_document(path, follow_links=False)
    except FileNotFoundError:
        return None
    except DamagedDocumentError as fault:
        raise RunError(f"{path}: {fault}") from None
    except OSError as fault:
        raise RunError(f"{path}: {fault.strerror}") from None
    values = document.values
    if values.get("schema") != SCHEMA:
        raise RunError(f"{path}: schema is {values.get('schema')!r:.40}; expected {SCHEMA}; use a newer zoo")
    hashes, sizes = values.get("sha256"), values.get("bytes", {})
    if not _are_all(hashes, str) or not _are_all(sizes, int):
        raise RunError(f"{path}: does not list hashes by file name; expected what zoo wrote")
    return Manifest(hashes, sizes, document.is_sealed)


def _are_all(values: object, kind: type[_V]) -> TypeGuard[dict[str, _V]]:
    return isinstance(values, dict) and all(isinstance(one, kind) for one in cast("dict[str, Any]", values).values())
