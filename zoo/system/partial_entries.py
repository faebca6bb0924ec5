"""Entries of the cache while they are written: who holds one, and what becomes of what an interruption left.

    KIND/.part-NAME         what is written; it takes the name NAME when it is whole
    KIND/.lock-NAME         locked by the process that writes it; the lock goes with the process, however it ends
    KIND/.gone-NAME.xxxxxx  what is being removed: a half-removed entry is never mistaken for a whole one

What holds a journal can be taken up by the next run, and stays for some days; the rest of the dead goes.
"""

import os
import re
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from zoo.system.files import is_still_there, sync
from zoo.system.locks import lock

UNFINISHED, LOCK, GONE = ".part-", ".lock-", ".gone-"
# What an entry holds until it is whole: which parts of it are written.
JOURNAL = "parts.jsonl"
# So long an interrupted entry waits for being taken up.
MAX_AGE_SECONDS = 7 * 86400
# An earlier zoo held no lock on what it wrote; what has been still for so long is written by nobody.
STILL_SECONDS = 3600
# What an entry and a temporary file of `write_atomic` are called.
_ENTRY_NAME = re.compile(r"(\d+-)?[0-9a-f]{40}")
_TEMPORARY_NAME = re.compile(r"\..+\.[a-z0-9_]{8}")
# Of a SavedModel in the cache: its folder, in which nothing of ours is written.
_MODULE_NAME = re.compile(r"[0-9a-f]{64}")
# Entries that were begun in a block of `removed_after`.
_begun: ContextVar[list[Path] | None] = ContextVar("_begun", default=None)


def partial_of(entry: Path) -> Path:
    """Returns where an entry is written until it is whole."""
    return entry.with_name(f"{UNFINISHED}{entry.name}")


def _lock_of(partial: Path) -> Path:
    return partial.with_name(LOCK + partial.name.removeprefix(UNFINISHED))


@contextmanager
def held(entry: Path) -> Generator[Path]:
    """Keeps other processes from writing the same entry meanwhile; where one does so already, it is waited for.

    Yields:
        Where to write it; there may be what an interruption left.

    Raises:
        OSError: The folder cannot be written.
    """
    partial = partial_of(entry)
    while True:
        with _lock_of(partial).open("w") as file:
            lock(file)
            if not is_still_there(_lock_of(partial), file):
                continue
            is_new = not (entry.exists() or partial.exists())
            try:
                yield partial
            finally:
                if is_new and (begun := _begun.get()) is not None:
                    begun.append(entry)
                with suppress(PermissionError):  # Windows removes no open file; an empty one may stay
                    _lock_of(partial).unlink(missing_ok=True)
            return


@contextmanager
def removed_after(*kinds: str) -> Generator[None]:
    """Removes, however the block ends, the entries of some kinds that this thread began in it, whole or not.

    What was there before stays, and so does what another process writes.
    """
    begun: list[Path] = []
    before = _begun.set(begun)
    try:
        yield
    finally:
        _begun.reset(before)
        for entry in (one for one in begun if one.parent.name in kinds):
            discard(entry)
            if not is_held(partial_of(entry)):
                discard(partial_of(entry))


def is_held(partial: Path) -> bool:
    """Returns whether a process, this one included, writes an entry now."""
    try:
        with _lock_of(partial).open("r+") as file:
            return not lock(file, wait=False)
    except FileNotFoundError:
        return False
    except OSError:  # another user's
        return True


def partials_below(folder: Path) -> Iterator[Path]:
    """Yields what is being written, or was left, anywhere below a folder of the cache."""
    for at, folders, _ in os.walk(folder):
        yield from (Path(at, name) for name in folders if name.startswith(UNFINISHED))
        folders[:] = [name for name in folders if not (name.startswith(UNFINISHED) or _MODULE_NAME.fullmatch(name))]


def held_below(folder: Path) -> list[Path]:
    """Lists what processes write below a folder of the cache now, and their locks."""
    return [path for partial in partials_below(folder) if is_held(partial) for path in (partial, _lock_of(partial))]


def complete(partial: Path, entry: Path) -> None:
    """Gives what is whole its name, in place of what may be there; what it holds is on disk already."""
    sync(partial)
    discard(entry)
    partial.rename(entry)
    (entry / JOURNAL).unlink(missing_ok=True)
    sync(entry.parent)


def discard(path: Path) -> None:
    """Removes a folder or file, under another name, so that a kill in the middle leaves no half of it under its own.

    What the system does not let go stays.
    """
    gone = path.with_name(f"{GONE}{path.name.lstrip('.')}.{os.urandom(3).hex()}")
    with suppress(OSError):
        path.rename(gone)
        _remove(gone)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def is_resumable(partial: Path) -> bool:
    """Returns whether the next run can take up what an interruption left."""
    return (partial / JOURNAL).is_file() and _age(partial) < MAX_AGE_SECONDS


def remove_litter(folder: Path) -> None:
    """Removes what dead processes left below a folder of the cache; what a live one holds stays.

    Only names of our own are looked at. What cannot be removed stays.
    """
    with suppress(OSError):
        for path in list(_named_as_ours(folder)):
            with suppress(OSError):
                _remove_if_dead(path)


def _named_as_ours(folder: Path) -> Iterator[Path]:
    for at, folders, files in os.walk(folder):
        ours = {name for name in folders if name.startswith((UNFINISHED, GONE)) or _is_half(Path(at, name))}
        yield from (Path(at, name) for name in sorted(ours))
        yield from (Path(at, name) for name in files if name.startswith(LOCK) or _TEMPORARY_NAME.fullmatch(name))
        folders[:] = [name for name in folders if name not in ours and not _MODULE_NAME.fullmatch(name)]


def _is_half(path: Path) -> bool:
    """Returns whether an earlier zoo was killed while it removed an entry: entries come whole, the manifest last."""
    return _ENTRY_NAME.fullmatch(path.name) is not None and not (path / "manifest.json").exists()


def _remove_if_dead(path: Path) -> None:
    if path.name.startswith(UNFINISHED):
        _remove_dead_partial(path)
    elif path.name.startswith(LOCK):
        if not path.with_name(UNFINISHED + path.name.removeprefix(LOCK)).exists():
            _unlocked(path)
    elif path.is_dir():
        discard(path) if not path.name.startswith(GONE) else _remove(path)
    elif _age(path) > STILL_SECONDS:  # it takes another name within milliseconds
        _remove(path)


def _remove_dead_partial(partial: Path) -> None:
    has_lock = _lock_of(partial).exists()
    if is_resumable(partial) or not (has_lock or _age(partial) > STILL_SECONDS):
        return
    with _lock_of(partial).open("w") as file:
        if lock(file, wait=False) and is_still_there(_lock_of(partial), file):
            discard(partial)
            _lock_of(partial).unlink(missing_ok=True)


def _unlocked(lock_path: Path) -> None:
    """Removes a lock that no process holds."""
    with lock_path.open("r+") as file:
        if lock(file, wait=False) and is_still_there(lock_path, file):
            lock_path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Returns the seconds since a file, or any in a folder, was written."""
    newest = 0.0
    for place in (path, *path.rglob("*")):
        with suppress(OSError):
            newest = max(newest, place.lstat().st_mtime)
    return time.time() - newest
