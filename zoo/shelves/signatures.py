"""signature.json: who vouches for the files of a version, by Ed25519. The only module that knows its keys.

What is signed is a list of files by name and SHA-256, and so every byte of them. A signature says which key made it;
whether that key is trusted is for the reader to say, by the `.pub` file that its owner gave.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from zoo.errors import ContractError, NotFoundError, ZooError
from zoo.shelves.names import fault_of_file_names, is_sha256
from zoo.system.files import sync
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.regular_files import read_regular
from zoo.system.sealing import DamagedDocumentError, parse_document, sealed

SIGNATURE_FILE = "signature.json"
SCHEMA, KIND = 1, "signature"
# Most bytes of a key file, and of signature.json.
LIMIT = 100_000
# What a signed list begins with, so that a signature of ours is none of anything else.
_DOMAIN = b"zoo signature 1\n"
_PUBLIC, _PRIVATE = "a public key (Ed25519, PEM)", "a private key (Ed25519, PEM)"


@dataclass(frozen=True, kw_only=True)
class Signature(JsonObject):
    """signature.json.

    Attributes:
        key: The name of the key that made it: see `key_name`.
        public_key: The key itself, 32 bytes in base64.
        signature: 64 bytes in base64.
        algorithm: How it was made.
    """

    key: str
    public_key: str
    signature: str
    algorithm: Literal["ed25519"] = "ed25519"


def key_name(key: Ed25519PublicKey | Ed25519PrivateKey) -> str:
    """Returns the name of a key: the first 16 hex digits of the SHA-256 of the public key's 32 bytes."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def generate_key(path: Path, *, passphrase: bytes | None = None) -> str:
    """Makes a key pair: the private key in a file that only its owner can read, the public one beside it in `PATH.pub`.

    Args:
        path: Where to write it; a file that is there is never replaced.
        passphrase: What encrypts it; None for none.

    Returns:
        The key's name.

    Raises:
        FileExistsError: One of the two files is there.
        OSError: It cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    public = path.with_name(f"{path.name}.pub")
    _write_new(path, pem, mode=0o600)
    try:
        _write_new(public, public_pem(key.public_key()).encode(), mode=0o644)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    sync(path.absolute().parent)
    return key_name(key)


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:  # which names no file, such as a full disk
        with suppress(OSError):
            path.unlink()
        raise OSError(fault.errno, fault.strerror, str(path)) from fault


def public_pem(key: Ed25519PublicKey) -> str:
    """Returns a public key as the text of a `.pub` file."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def load_private_key(path: Path, *, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Reads a private key.

    Args:
        path: A PEM file (PKCS 8).
        passphrase: What it is encrypted with; None where it is not.

    Raises:
        NotFoundError: There is no such file.
        ZooError: It is not a private Ed25519 key, or the passphrase is missing or wrong.
    """
    content = _read(path, _PRIVATE)
    try:
        key = serialization.load_pem_private_key(content, passphrase or None)
    except TypeError:
        why = "is not encrypted; leave the passphrase out" if passphrase else "is encrypted; give its passphrase"
        raise ZooError(f"{path}: {why}") from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase:
            raise ZooError(
                f"{path}: the passphrase is wrong, or the file is damaged; give the key's passphrase"
            ) from None
        raise ZooError(f"{path}: does not hold {_PRIVATE}; give the file that 'zoo shelf key' wrote") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ZooError(f"{path}: holds a key of another kind; expected {_PRIVATE}")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Reads a public key.

    Raises:
        NotFoundError: There is no such file.
        ZooError: It is not a public Ed25519 key.
    """
    return read_public_key(_read(path, _PUBLIC), str(path))


def read_public_key(content: bytes | str, place: str) -> Ed25519PublicKey:
    """Reads a public key from the text of a `.pub` file.

    Args:
        content: The text.
        place: Where it stands, for messages.

    Raises:
        ZooError: It is not a public Ed25519 key.
    """
    try:
        key = serialization.load_pem_public_key(content.encode() if isinstance(content, str) else content)
    except (ValueError, UnsupportedAlgorithm):
        raise ZooError(f"{place}: does not hold {_PUBLIC}; give the .pub file of the key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ZooError(f"{place}: holds a key of another kind; expected {_PUBLIC}")
    return key


def _read(path: Path, expected: str) -> bytes:
    try:
        return read_regular(path, limit=LIMIT)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such file; expected {expected}") from None
    except OSError as fault:
        raise ZooError(f"{path}: {fault.strerror}; expected {expected}") from None


def sign(hashes: Mapping[str, str], key: Ed25519PrivateKey) -> Signature:
    """Signs a list of files.

    Args:
        hashes: The SHA-256 of each file in hex, by its name; signature.json itself is not among them.
        key: What signs.

    Raises:
        ValueError: A name or a hash is not one.
    """
    return Signature(
        key=key_name(key),
        public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
        signature=base64.b64encode(key.sign(_signed_bytes(hashes))).decode(),
    )


def _signed_bytes(hashes: Mapping[str, str]) -> bytes:
    """Returns what is signed: a line for each file, sorted by name, as `sha256sum` writes it."""
    fault = fault_of_file_names(hashes)
    wrong = next((name for name, sha256 in hashes.items() if not is_sha256(sha256)), None)
    if fault or wrong is not None or SIGNATURE_FILE in hashes:
        raise ValueError(fault or f"'{wrong or SIGNATURE_FILE}' has no SHA-256 that can be signed")
    return _DOMAIN + "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes)).encode()


def verify(
    signature: Signature,
    hashes: Mapping[str, str],
    *,
    trusted: Collection[Ed25519PublicKey] | None = None,
    place: str = SIGNATURE_FILE,
) -> str:
    """Verifies that a key signed exactly these files.

    Args:
        signature: The signature.
        hashes: The SHA-256 of each file as it is now, by name; signature.json itself is passed over.
        trusted: The keys of which one must have signed; None for any.
        place: The file that the signature is from, for messages.

    Returns:
        The name of the key that signed.

    Raises:
        ContractError: It does not hold, or another key signed.
    """
    try:
        public = base64.b64decode(signature.public_key, validate=True)
        key = Ed25519PublicKey.from_public_bytes(public)
        name = key_name(key)
        if name != signature.key:
            raise ContractError(f"{place}: names key {signature.key}; the key in it is {name}; it was altered")
        others = {one: sha256 for one, sha256 in hashes.items() if one != SIGNATURE_FILE}
        key.verify(base64.b64decode(signature.signature, validate=True), _signed_bytes(others))
    except InvalidSignature:
        raise ContractError(
            f"{place}: the signature of key {signature.key} does not hold; a file was altered, added or removed"
        ) from None
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as fault:
        raise ContractError(f"{place}: the signature cannot be verified ({fault})") from None
    if trusted is not None and public not in [one.public_bytes_raw() for one in trusted]:
        expected = " or ".join(sorted(key_name(one) for one in trusted)) or "none"
        raise ContractError(f"{place}: is signed by key {name}; expected key {expected}")
    return name


def signature_document(signature: Signature) -> str:
    """Returns a signature as the text of signature.json."""
    return sealed({"schema": SCHEMA, "kind": KIND, **signature.to_json()})


def read_signature(content: bytes, place: str = SIGNATURE_FILE) -> Signature:
    """Reads signature.json from its bytes.

    Args:
        content: The bytes.
        place: Where they are from, for messages.

    Raises:
        ContractError: It is damaged, or another document.
    """
    try:
        if len(content) > LIMIT:
            raise DamagedDocumentError(f"holds more than {LIMIT:,} bytes")
        document = parse_document(content)
        values = dict(document.values)
        found = (values.pop("schema", None), values.pop("kind", None))
        if found != (SCHEMA, KIND) or not document.is_sealed:
            raise DamagedDocumentError(f"is not a sealed signature of schema {SCHEMA}")
        return read_object(values, Signature)
    except (DamagedDocumentError, JsonObjectError) as fault:
        raise ContractError(f"{place}: {fault}; expected the signature that zoo wrote") from None
