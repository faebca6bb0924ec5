"""Every hash of a shelf in a folder: its documents, the files that they list, and who signed each version."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ContractError
from zoo.shelves import index
from zoo.shelves.faults import ShelfError
from zoo.shelves.places.folder import FolderPlace
from zoo.shelves.places.place import INDEX, RECIPES, document_path, object_path
from zoo.shelves.versions import Version
from zoo.system.integrity.verification import Findings, Verification
from zoo.system.regular_files import read_regular
from zoo.system.text_tables import counted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

OBJECTS = "objects/sha256"


def is_shelf(folder: Path) -> bool:
    """Returns whether a folder is that of a shelf."""
    return (folder / RECIPES).is_dir() and (folder / OBJECTS).is_dir()


def verify_shelf(folder: Path, trusted: "Mapping[str, Ed25519PublicKey]") -> Verification:
    """Compares every file of a shelf with its hash, and verifies every signature; reads only.

    Args:
        folder: Where the shelf lies.
        trusted: Keys of which one must have signed each version, by the paths that they were given as.
    """
    found, place = Findings(folder), FolderPlace(folder)
    signers: Counter[str] = Counter()
    versions: list[Version] = []
    for key in place.documents():
        name = document_path(*key)
        try:
            version = index.read_listed(place, "", key)
        except (ContractError, ShelfError) as fault:
            found.fault(name, str(fault).removeprefix(f"{folder / name}: "))
            continue
        versions.append(version)
        found.count(name, len(version.text))
        for one in version.files.values():
            if object_path(one.sha256) not in found.seen:
                found.compare_one(object_path(one.sha256), one.sha256, name, size=one.size)
        signers[_signer(found, version, trusted)] += 1
    _index(found, place, versions)
    said = ", ".join(f"{count:,} {who}" for who, count in sorted(signers.items()))
    verification = found.verification("shelf")
    return replace(verification, signature=f"{counted(len(versions), 'version')}{f': {said}' if said else ''}")


def _signer(found: Findings, version: Version, trusted: "Mapping[str, Ed25519PublicKey]") -> str:
    """Says who signed a version; a signature that does not hold, or is not as expected, is a fault of its document."""
    from zoo.shelves.signatures import LIMIT, SIGNATURE_FILE, read_signature, verify

    document = document_path(version.name, version.number)
    if SIGNATURE_FILE not in version.files:
        if trusted:
            found.fault(document, f"is of an unsigned version; expected a signature by {' or '.join(trusted)}")
        return "unsigned"
    try:
        path = found.folder / object_path(version.files[SIGNATURE_FILE].sha256)
        signature = read_signature(read_regular(path, limit=LIMIT, follow_links=False), SIGNATURE_FILE)
        keys = list(trusted.values()) if trusted else None
        return f"signed by key {verify(signature, version.hashes, trusted=keys, place=SIGNATURE_FILE)}"
    except (ContractError, OSError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else str(fault)
        found.fault(document, f"its signature does not hold: {reason}")
        return "altered, or signed by another key"


def _index(found: Findings, place: FolderPlace, versions: list[Version]) -> None:
    """Compares index.json with the documents; one that a push was killed before is older, and is no fault."""
    path = found.folder / INDEX
    try:
        listed = index.read_index(place, "")
    except (ContractError, ShelfError) as fault:
        found.fault(INDEX, str(fault).removeprefix(f"{path}: "))
        return
    if path.is_file():
        found.count(INDEX, path.stat().st_size)
    texts = {(one.name, one.number): one.text for one in versions}
    if any(one.text != texts.get(key, one.text) for key, one in listed.items()):
        found.fault(INDEX, "has another document of a version than the shelf")
    elif listed.keys() != texts.keys():
        found.note(INDEX, "does not list the same versions as the shelf; the next push writes it anew")
