"""Every hash of a bundle: its own seal, each file in it, the version that it was made of, and who signed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ContractError
from zoo.sharing.bundles.composing import signed_hashes
from zoo.sharing.locks import lock
from zoo.sharing.receipt import FILE as RECEIPT_FILE
from zoo.sharing.receipt import RECIPE, parse_receipt
from zoo.shelves.bundles.archive import BundleArchive, open_archive
from zoo.shelves.bundles.manifest import MANIFEST, MOST_SMALL, SIGNATURE, VERSION, VERSION_SIGNATURE, BundleDocument
from zoo.shelves.bundles.opened import read_manifest, verified, version_within
from zoo.system.integrity.verification import FileFault, Findings, Verification

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify_bundle(path: Path, trusted: "Mapping[str, Ed25519PublicKey]") -> Verification:
    """Compares a bundle with every hash in it; nothing is unpacked.

    Args:
        path: The bundle.
        trusted: Keys of which one must have signed it, by the paths that they were given as.
    """
    found = Findings(path.parent)
    signature = "altered, or signed by another key"
    try:
        with open_archive(path) as file:
            archive = BundleArchive(file, path.name)
            document, sha256 = read_manifest(archive)
            found.count(MANIFEST, archive.entries[MANIFEST])
            for name, one in document.files.items():
                for _ in verified(archive, name, one):
                    pass
                found.count(name, one.size)
            _compare_documents(archive, document)
            signature = _signature(archive, document, sha256, trusted)
    except ContractError as fault:
        found.faults.append(FileFault(path, str(fault).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")))
    return replace(found.verification("bundle"), path=path, signature=signature)


def _compare_documents(archive: BundleArchive, document: BundleDocument) -> None:
    """Compares the files with what lock.json, receipt.json and version.json say of them; raises ContractError."""
    noted: dict[str, Mapping[str, str]] = {}
    for name in (lock.FILE, RECEIPT_FILE, VERSION):
        if name not in document.files:
            continue
        place, content = f"{archive.place}: {name}", archive.read(name, limit=MOST_SMALL)
        if name == VERSION:
            version_within(document, content, place)
        elif name == lock.FILE:
            noted[name] = {RECIPE: lock.parse_lock(content, place).recipe.sha256}
        else:
            noted[name] = parse_receipt(content, place).sha256
    for noted_in, hashes in noted.items():
        for name, sha256 in hashes.items():
            if name in document.files and document.files[name].sha256 != sha256:
                raise ContractError(f"{archive.place}: {name} is not the one that {noted_in} lists; get it again")


def _signature(
    archive: BundleArchive, document: BundleDocument, sha256: str, trusted: "Mapping[str, Ed25519PublicKey]"
) -> str:
    """Says who signed; a signature that does not hold, or is missing where one is demanded, raises ContractError."""
    if SIGNATURE not in archive.entries:
        if trusted:
            raise ContractError(f"{archive.place}: is unsigned; expected a signature by {' or '.join(trusted)}")
        return f"unsigned{_signature_of_version(archive, document)}"
    from zoo.shelves import signatures

    place = f"{archive.place}: {SIGNATURE}"
    signature = signatures.read_signature(archive.read(SIGNATURE, limit=signatures.LIMIT), place)
    keys = list(trusted.values()) if trusted else None
    signer = signatures.verify(signature, signed_hashes(document, sha256), trusted=keys, place=place)
    named = [path for path, key in trusted.items() if signatures.key_name(key) == signer]
    return f"signed by key {signer}{f' ({named[0]})' if named else ''}"


def _signature_of_version(archive: BundleArchive, document: BundleDocument) -> str:
    """Says who signed the version that was bundled, on its shelf; one that does not hold raises ContractError."""
    if VERSION_SIGNATURE not in document.files or VERSION not in document.files:
        return ""
    from zoo.shelves import signatures

    place = f"{archive.place}: {VERSION_SIGNATURE}"
    version = version_within(document, archive.read(VERSION, limit=MOST_SMALL), f"{archive.place}: {VERSION}")
    signature = signatures.read_signature(archive.read(VERSION_SIGNATURE, limit=signatures.LIMIT), place)
    signer = signatures.verify(signature, version.hashes, place=place)
    return f"; in it, {version.name}@{version.number} is signed by key {signer}"
