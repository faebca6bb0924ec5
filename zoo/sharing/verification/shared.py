"""What is shared, verified: bundles, shelves, versions, locks and receipts, and who signed them."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo.errors import ContractError, ZooError
from zoo.recipe.finding import is_bundle_file
from zoo.recipe.loading import load_recipe
from zoo.runs.exactness import listed
from zoo.sharing import receipt
from zoo.sharing.finished_run import CARD, NUMBERS
from zoo.sharing.locks import lock
from zoo.sharing.locks.lock import Lock, lock_differences, parse_lock
from zoo.sharing.receipt import RECIPE, SOURCE, parse_receipt
from zoo.sharing.verification.shelf import is_shelf, verify_shelf
from zoo.shelves.cached import FILES, VERSION_FILE
from zoo.shelves.versions import read_version
from zoo.system.files import sha256_of
from zoo.system.integrity.checked_reading import RECORD_FILE, foreign_entries
from zoo.system.integrity.manifests import files_in
from zoo.system.integrity.verification import MOST_BYTES, FileFault, Findings, Verification
from zoo.system.regular_files import open_below, read_regular
from zoo.system.sealing import LIMIT, DamagedDocumentError, parse_document

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Parsed = TypeVar("Parsed")
SIGNATURE_FILE = "signature.json"
UNSIGNED, ALTERED = "unsigned", "altered, or signed by another key"
# A version has few files; of what lies in a folder that is none, not more are looked at.
MOST_FILES = 1000


def verify_shared(place: Path, trusted: "Mapping[str, Ed25519PublicKey]") -> Verification | None:
    """Verifies a bundle, a shelf's folder, a version's, a lock or a receipt; None where it is none of them.

    Args:
        place: A file or folder.
        trusted: Public keys by what they are called, of which one must have signed; none where anybody may.
    """
    if place.is_dir():
        found = verify_shelf(place, trusted) if is_shelf(place) else None
        return _verify_version(place, trusted) if _is_version(place) else found
    return _verify_file(place, trusted) if place.is_file() else None


def _is_version(folder: Path) -> bool:
    names = (lock.FILE, receipt.FILE, SIGNATURE_FILE)
    if any(os.path.lexists(folder / name) for name in names):
        return not os.path.lexists(folder / RECORD_FILE)
    # Of a recipe that was never locked there is nothing else; a run has more.
    is_recipe = {entry.name for entry in folder.iterdir()} in ({RECIPE}, {RECIPE, SOURCE})
    return is_recipe or (folder.name == FILES and _document_of(folder).is_file())


def _document_of(folder: Path) -> Path:
    """Returns where the document of a version in the cache lies, beside the folder of its files."""
    return folder.parent / VERSION_FILE


def _verify_file(path: Path, trusted: "Mapping[str, Ed25519PublicKey]") -> Verification | None:
    """Verifies a bundle, a lock or a receipt; one that is of a version with all of it. None where it is neither."""
    if is_bundle_file(path):
        from zoo.sharing.verification.bundle import verify_bundle

        return verify_bundle(path, trusted)
    kind = _kind_of(path)
    if kind is None:
        return None
    if path.name in (lock.FILE, receipt.FILE, SIGNATURE_FILE):
        return replace(_verify_version(path.parent, trusted), path=path, what=kind)
    found = Findings(path.parent)
    content = _read(found, path.name)
    if content is not None and kind == lock.KIND:
        _compare_recipe(found, _parsed(found, path.name, content, parse_lock), path)
    elif content is not None:
        _parsed(found, path.name, content, parse_receipt)
    if trusted:
        found.fault(path.name, f"is unsigned; expected a signature by {' or '.join(trusted)}")
    return replace(found.verification(kind), path=path, signature=UNSIGNED)


def _kind_of(path: Path) -> str | None:
    """Returns what a file is: by its name, else by what it says of itself."""
    named = {lock.FILE: lock.KIND, receipt.FILE: receipt.KIND, SIGNATURE_FILE: "version"}
    if path.name in named or path.suffix == lock.SUFFIX:
        return named.get(path.name, lock.KIND)
    if path.suffix != ".json":
        return None
    try:
        kind = parse_document(read_regular(path, limit=LIMIT)).values.get("kind")
    except (OSError, DamagedDocumentError):
        return None
    return kind if kind in (lock.KIND, receipt.KIND) else None


def _read(found: Findings, name: str) -> bytes | None:
    """Reads a document; None where it cannot be read, which is noted."""
    try:
        with open_below(found.folder, name, limit=LIMIT) as file:
            content = file.read(LIMIT)
    except OSError as fault:
        found.fault(name, str(fault.strerror))
        return None
    found.count(name, len(content))
    return content


def _parsed(found: Findings, name: str, content: bytes, parse: Callable[[bytes, str], Parsed]) -> Parsed | None:
    """Parses a document; None where it is damaged, which is noted."""
    try:
        return parse(content, name)
    except ContractError as fault:
        found.fault(name, str(fault).removeprefix(f"{name}: "))
        return None


def _compare_recipe(found: Findings, locked: Lock | None, path: Path) -> None:
    """Compares the recipe beside a lock with the one that is locked."""
    beside = path.with_suffix(".toml")
    if locked is None or not beside.is_file():
        return
    try:
        resolved = load_recipe(beside).to_toml()
    except ZooError as fault:
        found.fault(beside.name, f"cannot be compared with {path.name}: {str(fault).splitlines()[0]}")
        return
    found.count(beside.name, beside.stat().st_size)
    if resolved != locked.recipe.resolved:
        now = replace(locked, recipe=replace(locked.recipe, resolved=resolved, sha256=sha256_of(resolved)))
        what = listed(list(lock_differences(locked, now)))
        found.fault(beside.name, f"is not the recipe that {path.name} locks: {what}")


def _verify_version(folder: Path, trusted: "Mapping[str, Ed25519PublicKey]") -> Verification:
    """Compares the files of a version with its receipt and lock, and all of them with the signature."""
    found = Findings(folder)
    hashes = _hashes(found)
    locked = (
        _parsed(found, lock.FILE, content, parse_lock)
        if (content := _content(found, hashes, lock.FILE)) is not None
        else None
    )
    given = (
        _parsed(found, receipt.FILE, content, parse_receipt)
        if (content := _content(found, hashes, receipt.FILE)) is not None
        else None
    )
    if given is not None:
        _compare(found, hashes, given.sha256, noted_in=receipt.FILE)
    if locked is not None:
        _compare(found, hashes, {RECIPE: locked.recipe.sha256}, noted_in=lock.FILE)
    if folder.name == FILES and _document_of(folder).is_file():
        _compare_document(found, hashes)
    elif given is None and locked is None and not found.faults and SIGNATURE_FILE not in hashes:
        found.note(RECIPE, "cannot be compared: nothing beside it lists its SHA-256")
    signature = _signature(found, hashes, trusted)
    return replace(found.verification("version"), signature=signature)


def _hashes(found: Findings) -> dict[str, str]:
    """Hashes every file of a folder that is not hidden."""
    hashes: dict[str, str] = {}
    for entry, what in foreign_entries(found.folder):
        found.fault(entry.relative_to(found.folder).as_posix(), f"is {what}; expected a file of the version")
    for path in files_in(found.folder)[: MOST_FILES + 1]:
        name = path.relative_to(found.folder).as_posix()
        if len(hashes) == MOST_FILES:
            found.fault(name, f"is one of more than {MOST_FILES:,} files; expected those of a version")
            break
        try:
            with open_below(found.folder, name, limit=MOST_BYTES) as file:
                hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
                found.count(name, file.tell())
        except OSError as fault:
            found.fault(name, str(fault.strerror))
    return hashes


def _content(found: Findings, hashes: Mapping[str, str], name: str) -> bytes | None:
    """Reads a document of a version that was hashed; None where it is not there, or too large."""
    if name not in hashes:
        return None
    try:
        return read_regular(found.folder / name, limit=LIMIT, follow_links=False)
    except OSError as fault:
        found.fault(name, str(fault.strerror))
        return None


def _compare_document(found: Findings, hashes: Mapping[str, str]) -> None:
    """Compares the files of a version in the cache with the document of the version, which lists every file."""
    path = _document_of(found.folder)
    try:
        version = read_version("", read_regular(path, limit=LIMIT, follow_links=False), path.name)
    except (ContractError, OSError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        found.faults.append(FileFault(path, str(reason).removeprefix(f"{path.name}: ")))
        return
    for name, sha256 in version.hashes.items():
        if hashes.get(name) != sha256:
            what = "is damaged or was changed: its SHA-256 is not the one" if name in hashes else "is missing; it is"
            found.fault(name, f"{what} in {path.name}")
    for name in hashes.keys() - version.hashes.keys():
        found.fault(name, f"is not listed in {path.name}, which lists every file")


def _compare(found: Findings, hashes: Mapping[str, str], noted: Mapping[str, str], *, noted_in: str) -> None:
    """Compares hashes with those that a document has; the model may be left out of a version."""
    for name, sha256 in noted.items():
        if name in hashes and hashes[name] != sha256:
            found.fault(name, f"is damaged or was changed: its SHA-256 is not the one in {noted_in}")
        elif name not in hashes and name == NUMBERS:
            found.note(name, f"is not here; {noted_in} has its SHA-256")
        elif name not in hashes and name != CARD:
            found.fault(name, f"is missing; {noted_in} lists it")


def _signature(found: Findings, hashes: Mapping[str, str], trusted: "Mapping[str, Ed25519PublicKey]") -> str:
    """Says who signed the files of a version; a signature that does not hold is a fault."""
    from zoo.shelves import signatures

    name = signatures.SIGNATURE_FILE
    if name not in hashes:
        if trusted:
            found.fault(name, f"is missing: the version is unsigned; expected a signature by {' or '.join(trusted)}")
        return UNSIGNED
    if (content := _content(found, hashes, name)) is None:
        return ALTERED
    keys = list(trusted.values()) if trusted else None
    try:
        signature = signatures.read_signature(content, name)
        signer = signatures.verify(signature, hashes, trusted=keys, place=name)
    except ContractError as fault:
        found.fault(name, str(fault).removeprefix(f"{name}: "))
        return ALTERED
    named = [path for path, key in trusted.items() if signatures.key_name(key) == signer]
    return f"signed by key {signer}{f' ({named[0]})' if named else ''}"
