"""index.json: the documents of all versions in one file, for places that cannot be listed. Only this module knows it.

    {"schema": 1, "kind": "index", "sealed": true, "versions": ["<text of recipes/pets/1.json>", ...], "seal": "..."}

It can be made anew from the documents at any time. A push lists them after it has written its own, and writes the index
until both agree: whoever lists last has seen every document.
"""

import time
from contextlib import suppress
from dataclasses import dataclass

from zoo.errors import ContractError
from zoo.shelves.faults import ShelfError
from zoo.shelves.places.place import INDEX, MOST_VERSIONS, Place, check_count, document_path
from zoo.shelves.versions import LIMIT, Version, read_version
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.sealing import DamagedDocumentError, parse_document, sealed

SCHEMA, KIND = 1, "index"
# Most bytes of the index, and of all documents of a shelf together.
INDEX_LIMIT = 48_000_000
# Most values in them: a short one takes many times its bytes in memory.
MOST_VALUES = 3_000_000
# While others push at the same time, so often is looked whether the index agrees; each waits a little longer.
_ROUNDS, _WAIT_SECONDS = 50, 0.02

Key = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class _Index(JsonObject):
    versions: tuple[str, ...]


def read_index(place: Place, shelf: str, *, is_needed: bool = False) -> dict[Key, Version]:
    """Reads index.json.

    Args:
        place: Where.
        shelf: The shelf's name.
        is_needed: Whether there must be one; else there is nothing where there is none.

    Raises:
        ContractError: It is damaged.
        ShelfError: It cannot be read, or is needed and not there.
    """
    try:
        content = place.read(INDEX, limit=INDEX_LIMIT)
    except FileNotFoundError:
        if is_needed:
            at = f"{place.url}/{INDEX}"
            raise ShelfError(f"{at}: is not there; expected the address of a shelf that was pushed to") from None
        return {}
    _check_values(place, _values_in(content))
    at = f"{place.url}/{INDEX}"
    try:
        document = parse_document(content)
        values = dict(document.values)
        found = (values.pop("schema", None), values.pop("kind", None))
        if found != (SCHEMA, KIND) or not document.is_sealed:
            raise DamagedDocumentError(f"is not the sealed index of a shelf of schema {SCHEMA}")
        index = read_object(values, _Index)
    except (DamagedDocumentError, JsonObjectError) as fault:
        raise ContractError(f"{at}: {fault}; expected what zoo wrote; ask who keeps the shelf") from None
    check_count(place.url, len(index.versions))
    versions = [read_version(shelf, text.encode(), at) for text in index.versions]
    return {(one.name, one.number): one for one in versions}


def _values_in(content: bytes) -> int:
    """Returns the most values that JSON may hold."""
    return sum(content.count(sign) for sign in (b",", b"[", b"{"))


def _check_values(place: Place, count: int) -> None:
    if count > MOST_VALUES:
        raise ShelfError(f"{place.url}: its documents hold more than {MOST_VALUES:,} values; part the shelf")


def list_versions(place: Place, shelf: str, name: str | None = None) -> list[Version]:
    """Lists the versions of a recipe, or of all, by name and number.

    Where documents can be listed those that are listed count, and the index only saves reading them one by one.

    Raises:
        ContractError: A document is damaged.
        ShelfError: The place cannot be read.
    """
    if not place.is_listed:
        index = read_index(place, shelf, is_needed=True)
        return [index[key] for key in sorted(index) if name in (None, key[0])]
    listed = place.documents(name)
    known = {} if place.is_near or len(listed) < 2 else read_index(place, shelf)
    versions: list[Version] = []
    taken = values = 0
    for key in listed:
        version = known.get(key) or read_listed(place, shelf, key)
        taken, values = taken + len(version.text), values + _values_in(version.text)
        _check_values(place, values)
        if taken > INDEX_LIMIT:
            raise ShelfError(f"{place.url}: its documents have more than {INDEX_LIMIT:,} bytes; part the shelf")
        versions.append(version)
    return versions


def read_listed(place: Place, shelf: str, key: Key) -> Version:
    """Reads the document of a version.

    Raises:
        ContractError: It is damaged, or gone.
        ShelfError: It cannot be read.
    """
    path = document_path(*key)
    try:
        text = place.read(path, limit=LIMIT)
    except FileNotFoundError:
        raise ContractError(
            f"{place.url}/{path}: is gone; versions are never removed; ask who keeps the shelf"
        ) from None
    return read_version(shelf, text, f"{place.url}/{path}", name=key[0], number=key[1])


def write_index(place: Place, shelf: str) -> None:
    """Writes index.json until it agrees with the documents that are there.

    Raises:
        ShelfError: The place cannot be read or written, or others push without end.
    """
    for round_ in range(_ROUNDS):
        with place.alone():
            content = index_text(_fresh(place, shelf))
            try:
                if place.read(INDEX, limit=INDEX_LIMIT) == content:
                    return
            except (FileNotFoundError, ShelfError):  # ShelfError: it is too large to be read
                pass
            place.replace(INDEX, content)
        time.sleep(_WAIT_SECONDS * round_)
    raise ShelfError(f"{place.url}/{INDEX}: does not agree after {_ROUNDS} rounds; push again when fewer others do")


def _fresh(place: Place, shelf: str) -> list[Version]:
    """Lists all versions that can be read: one that somebody damaged does not keep others from pushing."""
    known: dict[Key, Version] = {}
    if not place.is_near:
        with suppress(ContractError, ShelfError):  # the index is about to be written anew
            known = read_index(place, shelf)
    versions: list[Version] = []
    for key in place.documents():
        with suppress(ContractError):
            versions.append(known.get(key) or read_listed(place, shelf, key))
    return versions


def index_text(versions: list[Version]) -> bytes:
    """Returns the bytes of index.json.

    Raises:
        ShelfError: There are more versions than any reader takes.
    """
    texts = [one.text.decode() for one in versions]
    content = sealed({"schema": SCHEMA, "kind": KIND, "versions": texts}, indent=None).encode()
    if len(content) > INDEX_LIMIT or len(texts) > MOST_VERSIONS:
        raise ShelfError(f"the shelf's {INDEX} would have {len(content):,} bytes, which nobody reads; part the shelf")
    return content
