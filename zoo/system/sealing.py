"""JSON documents that carry the SHA-256 of their own bytes, so that a flipped bit in them is noticed.

    {
      "schema": 1,
      "kind": "card",
      "sealed": true,
      ...
      "seal": "<SHA-256 of the file, taken with 64 zeros in this place>"
    }

"sealed" at the beginning and "seal" at the end: damage to the name of one is not taken for a document that an earlier
zoo wrote, which has neither. A seal shows damage, and no forgery: who changes a document can seal it anew.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.system.regular_files import read_regular

# Most bytes of a document: a card of 21,841 classes with long names has 2 MB. The worst of that size takes 430 MB
# while it is read: lists of empty lists.
LIMIT = 12_000_000

# What stands in the seal's place while the hash is taken.
NO_SEAL = "0" * 64
_SEAL = re.compile(rb'"seal": ?"([0-9a-f]{64})"\s*\}\s*\Z')
_FIRST = ("schema", "kind")


class DamagedDocumentError(ValueError):
    """A document that cannot be read, or is not what was written; the message says what was found."""


@dataclass(frozen=True)
class Document:
    """What was read.

    Attributes:
        values: The document, without its seal.
        is_sealed: Whether it had one, which held; an earlier zoo wrote none.
        sha256: Of the bytes that were read, in hex.
    """

    values: dict[str, Any]
    is_sealed: bool
    sha256: str


def sealed(document: Mapping[str, Any], *, indent: int | None = 2) -> str:
    """Returns a document as text with its seal.

    Args:
        document: Begins with `schema` and `kind`; what JSON can hold.
        indent: As for `json.dumps`.
    """
    first = {key: document[key] for key in _FIRST if key in document}
    rest = {key: value for key, value in document.items() if key not in (*_FIRST, "sealed", "seal")}
    return sealed_text(
        json.dumps({**first, "sealed": True, **rest, "seal": NO_SEAL}, indent=indent, ensure_ascii=False)
    )


def sealed_text(text: str) -> str:
    """Returns a document that is text already, such as one with a layout of its own, with its seal.

    Args:
        text: Holds `"sealed": true`, and ends in `"seal": "..."` with `NO_SEAL` in its place.
    """
    text = text.rstrip("\n") + "\n"
    head, tail = text.rsplit(NO_SEAL, 1)
    return f"{head}{hashlib.sha256(text.encode()).hexdigest()}{tail}"


def read_document(path: Path, *, limit: int = LIMIT, follow_links: bool = True) -> Document:
    """Reads a document, and checks its seal where it has one.

    Raises:
        DamagedDocumentError: It is damaged, or not a JSON object.
        OSError: It cannot be read, is not a regular file, or holds more than `limit` bytes.
    """
    return parse_document(read_regular(path, limit=limit, follow_links=follow_links))


def parse_document(content: bytes, *, finite: bool = False) -> Document:
    """Reads a document from its bytes.

    Args:
        content: The bytes.
        finite: Whether NaN and infinite numbers are refused; Python's JSON has them.

    Raises:
        DamagedDocumentError: It is damaged, or not a JSON object.
    """
    # While it is read: a walk over millions of values would take as long again, and as much memory.
    read = _finite if finite else None
    try:
        values = json.loads(content.decode("utf-8"), parse_float=read, parse_constant=read)
    except (ValueError, RecursionError) as fault:
        why = "its values are nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        raise DamagedDocumentError(f"cannot be read as JSON ({why})") from None
    if not isinstance(values, dict):
        raise DamagedDocumentError(f"holds a {type(values).__name__}; expected a JSON object")
    digest = hashlib.sha256(content).hexdigest()
    claims, seal = values.pop("sealed", None), values.pop("seal", None)
    if claims is None and seal is None:
        return Document(values, is_sealed=False, sha256=digest)
    found = _SEAL.search(content)
    if claims is not True or found is None:
        raise DamagedDocumentError("its seal is damaged")
    unsealed = content[: found.start(1)] + NO_SEAL.encode() + content[found.end(1) :]
    if hashlib.sha256(unsealed).hexdigest() != seal:
        raise DamagedDocumentError("was changed after it was written: its SHA-256 is not the one in its seal")
    return Document(values, is_sealed=True, sha256=digest)


def _finite(text: str) -> float:
    """Reads a number; raises ValueError where it is NaN or infinite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is not a finite number")
    return number
