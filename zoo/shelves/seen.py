"""What this machine saw of a shelf: a version that was altered since, or is gone, is noticed.

    shelves/<the shelf's address, hashed>.json of the cache: {"url": ..., "versions": {"pets": {"1": "<SHA-256>", ...}}}

Only this module knows its keys. Whoever can write to a shelf can rewrite it; they cannot rewrite what others remember.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ContractError
from zoo.shelves.faults import ShelfError
from zoo.shelves.versions import Version
from zoo.system.cache import cache_folder
from zoo.system.files import make_folder, sha256_of, write_atomic
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.locks import lock
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

FOLDER = "shelves"
SCHEMA, KIND = 1, "seen"
LIMIT = 32_000_000

Key = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class _Seen(JsonObject):
    url: str
    versions: Mapping[str, Mapping[str, str]]


def _path(url: str) -> Path:
    return cache_folder() / FOLDER / f"{sha256_of(url)[:40]}.json"


def seen_versions(url: str) -> dict[Key, str]:
    """Returns the SHA-256 of each version that was seen on a shelf, by the recipe's name and the version.

    Raises:
        ShelfError: What was noted is damaged.
    """
    path = _path(url)
    try:
        values = read_document(path, limit=LIMIT, follow_links=False).values
        values = {key: value for key, value in values.items() if key not in ("schema", "kind")}
        versions = read_object(values, _Seen).versions
        return {(name, int(number)): sha256 for name, known in versions.items() for number, sha256 in known.items()}
    except FileNotFoundError:
        return {}
    except (DamagedDocumentError, JsonObjectError, ValueError) as fault:
        raise ShelfError(f"{path}: {fault}; remove it to forget what was seen of {url}") from None


def seen_names(url: str) -> list[str]:
    """Returns the names of the recipes that were seen on a shelf; none where what was noted is damaged."""
    with suppress(ShelfError, OSError):
        return sorted({name for name, _ in seen_versions(url)})
    return []


def remember(url: str, versions: Iterable[Version], *, of: str | None = None, is_all: bool = True) -> None:
    """Compares what a shelf lists with what was seen before, and notes what is new.

    Args:
        url: The shelf's address.
        versions: What it lists now.
        of: The recipe whose versions these are; None for all recipes.
        is_all: Whether every version of it is among them.

    Raises:
        ContractError: A version was altered since, or is gone.
        OSError: It cannot be noted.
    """
    now = {(one.name, one.number): one.sha256 for one in versions}
    with _held(url):
        before = seen_versions(url)
        for key, sha256 in sorted(before.items()):
            if of in (None, key[0]) and (is_all or key in now):
                _check(url, key, sha256, now)
        if any(key not in before for key in now):
            _write(url, {**before, **now})


def _check(url: str, key: Key, sha256: str, now: Mapping[Key, str]) -> None:
    reference = f"{key[0]}@{key[1]}"
    accept = "'zoo shelf remove' and 'zoo shelf add' accept it"
    if key not in now:
        newest = max((number for name, number in now if name == key[0]), default=0)
        older = f"; the newest is now {newest}: an older state of the shelf" if newest < key[1] else ""
        raise ContractError(
            f"{url}: {reference} was seen before and is gone{older}; ask who keeps the shelf, or {accept}"
        )
    if now[key] != sha256:
        raise ContractError(
            f"{url}: {reference} was altered: its SHA-256 is {now[key][:16]}..., and was {sha256[:16]}... when it was "
            f"first seen; ask who keeps the shelf, or {accept}"
        )


def forget(url: str) -> None:
    """Forgets what was seen of a shelf."""
    _path(url).unlink(missing_ok=True)


@contextmanager
def _held(url: str) -> Generator[None]:
    """Keeps other processes from noting something of the same shelf meanwhile."""
    path = _path(url)
    make_folder(path.parent, parents=True)
    with path.with_suffix(".lock").open("w") as file:
        lock(file)
        yield


def _write(url: str, seen: Mapping[Key, str]) -> None:
    versions: dict[str, dict[str, str]] = {}
    for (name, number), sha256 in sorted(seen.items()):
        versions.setdefault(name, {})[str(number)] = sha256
    document = {"schema": SCHEMA, "kind": KIND, "url": url, "versions": versions}
    write_atomic(_path(url), sealed(document, indent=None))
