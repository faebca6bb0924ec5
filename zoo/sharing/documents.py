"""Reading a sealed document that another team wrote: bounded, of the kind that is expected, and with finite numbers."""

import json
from pathlib import Path
from typing import Any, TypeVar

from zoo.errors import ContractError, NotFoundError, shown
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.regular_files import read_regular
from zoo.system.sealing import LIMIT, DamagedDocumentError, Document, parse_document, sealed

SCHEMA = 1
_O = TypeVar("_O", bound=JsonObject)


def read_proof(path: Path, kind: str, into: type[_O], *, limit: int = LIMIT) -> _O:
    """Reads a lock or a receipt from a file.

    Raises:
        NotFoundError: There is no such file.
        ContractError: It is not what zoo wrote; the message says in what.
    """
    try:
        content = read_regular(path, limit=limit)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such file; expected a {kind}") from None
    except OSError as fault:
        raise ContractError(f"{path}: {fault.strerror}; expected a {kind}") from None
    return parse_proof(content, str(path), kind, into)


def parse_proof(content: bytes, place: str, kind: str, into: type[_O]) -> _O:
    """Reads a lock or a receipt from its bytes.

    Args:
        content: The document.
        place: What a message names.
        kind: What it is to be: `lock`, `receipt`.
        into: The type of the kind.

    Raises:
        ContractError: It is not what zoo wrote; the message says in what.
    """
    try:
        values = checked_values(parse_document(content, finite=True), kind)
        _refuse_unwritable(values)
        return read_object(values, into)
    except (DamagedDocumentError, JsonObjectError) as fault:
        raise ContractError(
            f"{place}: is damaged or was changed ({fault}); expected a {kind} as zoo wrote it"
        ) from None


def checked_values(document: Document, kind: str) -> dict[str, Any]:
    """Returns what a document holds beside its schema and kind.

    Raises:
        DamagedDocumentError: It has no seal, or is of another kind or schema.
    """
    values = document.values
    if values.get("kind") != kind:
        raise DamagedDocumentError(f"kind is {shown(values.get('kind'))}; expected '{kind}'")
    if values.get("schema") != SCHEMA:
        raise DamagedDocumentError(f"schema is {shown(values.get('schema'))}; expected {SCHEMA}; use a newer zoo")
    if not document.is_sealed:
        raise DamagedDocumentError("its seal is missing")
    return {key: value for key, value in values.items() if key not in ("schema", "kind")}


def _refuse_unwritable(values: dict[str, Any]) -> None:
    """Refuses what could be read and never be written again: halves of letters, and values that nest too deeply.

    Raises:
        DamagedDocumentError: It holds such.
    """
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DamagedDocumentError("a text holds half a character (a lone surrogate)") from None
    except RecursionError:
        raise DamagedDocumentError("its values are nested too deeply") from None


def proof_text(kind: str, proof: JsonObject) -> str:
    """Returns a lock or a receipt as sealed text; equal ones give equal bytes."""
    return sealed({"schema": SCHEMA, "kind": kind, **proof.to_json()})
