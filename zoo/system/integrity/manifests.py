"""manifest.json of a folder: the SHA-256 and the size of each file in it, written when all of them are there.

    {"schema": 1, "kind": "manifest", "sealed": true,
     "sha256": {"model/card.json": "3f0c...", ...}, "bytes": {"model/card.json": 1234, ...}, "seal": "..."}

Hidden files and folders are not in it. An earlier zoo wrote no sizes and no seal.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, cast

from zoo.errors import RunError
from zoo.system.files import write_atomic
from zoo.system.regular_files import open_below
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

MANIFEST_FILE = "manifest.json"
# What to do where a file of a run is damaged.
PUT_BACK = "put back the file that zoo wrote, or train again"
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
    hashes: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for path in files_in(folder):
        name = path.relative_to(folder).as_posix()
        with open_below(folder, name) as file:
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


@dataclass(frozen=True)
class CoveredFolder:
    """A folder whose files are compared, as they are read, with the hashes that were noted when they were written.

    Attributes:
        path: Where it is.
        sha256: The noted hashes by name; empty where nothing was.
        noted_in: The file that has them, for messages.
        is_complete: Whether a file that is not among them was added later.
    """

    path: Path
    sha256: Mapping[str, str]
    noted_in: str = MANIFEST_FILE
    is_complete: bool = False

    def read(self, name: str, *, limit: int) -> bytes:
        """Reads a file whole; what is compared is what is returned.

        Args:
            name: Its path below the folder, with slashes.
            limit: Most bytes that it may hold.

        Raises:
            FileNotFoundError: It is not there, and nothing says that it should be.
            RunError: It is damaged, missing, not a regular file, or too large.
        """
        try:
            with open_below(self.path, name, limit=limit) as file:
                content = file.read(limit + 1)
        except FileNotFoundError:
            if name in self.sha256:
                raise RunError(f"{self.path / name}: is missing; {self.noted_in} lists it; {PUT_BACK}") from None
            raise
        except OSError as fault:
            raise RunError(f"{fault.filename or self.path / name}: {fault.strerror}; {PUT_BACK}") from None
        self.check(name, hashlib.sha256(content).hexdigest())
        return content

    def check(self, name: str, sha256: str) -> None:
        """Compares the hash of a file.

        Raises:
            RunError: Another was noted, or none although those of all files were.
        """
        noted = self.sha256.get(name)
        if noted is None and self.is_complete:
            raise RunError(f"{self.path / name}: is not in {self.noted_in}, which lists every file; {PUT_BACK}")
        if noted is not None and noted != sha256:
            raise RunError(f"{self.path / name}: is damaged: its SHA-256 is not the one in {self.noted_in}; {PUT_BACK}")


def finished_folder(path: Path) -> CoveredFolder | None:
    """Returns a folder with what its manifest says of its files; None where there is no manifest.

    Raises:
        RunError: The manifest is damaged.
    """
    manifest = read_manifest(path)
    return None if manifest is None else CoveredFolder(path, manifest.sha256, is_complete=manifest.is_sealed)


def _are_all(values: object, kind: type[_V]) -> TypeGuard[dict[str, _V]]:
    return isinstance(values, dict) and all(isinstance(one, kind) for one in cast("dict[str, Any]", values).values())
