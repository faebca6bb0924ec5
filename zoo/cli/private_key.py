"""The private key that a verb signs with, and its passphrase."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Where a key's passphrase is read from; else it is asked for on a terminal.
PASSPHRASE = "ZOO_KEY_PASSPHRASE"


def private_key(path: Path) -> "Ed25519PrivateKey":
    """Reads a private key; the passphrase of an encrypted one is in the environment, or is asked for."""
    from zoo.shelves.signatures import load_private_key
    from zoo.system.regular_files import read_regular

    try:
        is_encrypted = b"ENCRYPTED" in read_regular(path, limit=100_000)
    except OSError:
        is_encrypted = False  # what reads it says so
    if not is_encrypted:
        return load_private_key(path)
    passphrase = os.environ.get(PASSPHRASE) or click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return load_private_key(path, passphrase=str(passphrase).encode())
