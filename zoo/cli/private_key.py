"""The private key that a verb signs with, and its passphrase."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.errors import ZooError

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
    return load_private_key(path, passphrase=asked_passphrase(f"Passphrase of {path}", path))


def asked_passphrase(prompt: str, path: Path, *, twice: bool = False) -> bytes:
    """Returns a key's passphrase from the environment, or asks for it on the terminal.

    Args:
        prompt: What is asked.
        path: The key's file, for messages.
        twice: Whether it is asked for again, as a new one is.

    Raises:
        ZooError: The environment has none, and there is no terminal.
    """
    passphrase = os.environ.get(PASSPHRASE)
    if not passphrase:
        if not sys.stdin.isatty():
            raise ZooError(f"{path}: needs a passphrase, and there is no terminal to ask on; set {PASSPHRASE}")
        passphrase = click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    return str(passphrase).encode()
