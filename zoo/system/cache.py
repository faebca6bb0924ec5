"""Where files that can be made or downloaded again are kept, and for how long: as long as there is room."""

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from zoo.system import partial_entries
from zoo.system.partial_entries import UNFINISHED, discard, held_below, is_held, partials_below

# Of all entries of a kind together.
MAX_BYTES = 40 << 30
# The last file of an entry that is written: without it the entry is not whole.
ENTRY_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class CacheEntry:
    """A folder of the cache.

    Attributes:
        path: Where it is.
        bytes: Of its files.
        used: When it was last read or written, in seconds since 1970.
    """

    path: Path
    bytes: int
    used: float


def cache_folder() -> Path:
    """Returns `$XDG_CACHE_HOME/zoo`, by default `~/.cache/zoo`; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"


def entries(kind: str) -> list[CacheEntry]:
    """Lists the whole entries of a kind, a folder each, the least recently used first."""
    return _listed(kind, lambda path: not path.name.startswith(".") and (path / ENTRY_MANIFEST).is_file())


def unfinished_entries(kind: str) -> list[CacheEntry]:
    """Lists the entries of a kind that are being written, or that an interruption left, the oldest first."""
    return _listed(kind, lambda path: path.name.startswith(UNFINISHED) and path.is_dir())


def _listed(kind: str, is_listed: Callable[[Path], bool]) -> list[CacheEntry]:
    folder = cache_folder() / kind
    found = [_entry(path) for path in (folder.iterdir() if folder.is_dir() else ()) if is_listed(path)]
    return sorted(found, key=lambda entry: entry.used)


def _entry(path: Path) -> CacheEntry:
    """Sums up a folder; another process may remove it, or parts of it, meanwhile."""
    size, used = 0, 0.0
    for place in (path, *path.rglob("*")):
        with suppress(FileNotFoundError):
            found = place.stat()
            size += found.st_size if stat.S_ISREG(found.st_mode) else 0
            # A whole entry is touched when it is used; one that is being written has a file that grows.
            if place == path or path.name.startswith(UNFINISHED):
                used = max(used, found.st_mtime)
    return CacheEntry(path, size, used)


@dataclass(frozen=True)
class Removal:
    """What became of a folder that was to be removed.

    Attributes:
        bytes: Of the files that are gone.
        left: Of the files that stay.
        fault: Why the first of them stays; None where all is gone.
    """

    bytes: int = 0
    left: int = 0
    fault: OSError | None = None


def remove(folder: Path) -> Removal:
    """Removes a folder and all in it, as far as the system lets it; of a link to a folder, what the folder holds.

    What a process writes at the moment stays.
    """
    faults: list[OSError] = []
    gone = left = 0
    top = folder.resolve()
    held = held_below(top)

    def stays(path: Path) -> bool:
        return any(path == one or one in path.parents or path in one.parents for one in held)

    for at, folders, files in os.walk(top, topdown=False, onerror=lambda fault: _note(fault, faults)):
        for path in (Path(at, name) for name in (*files, *folders)):
            if held and stays(path):
                continue
            try:
                found = path.lstat()
                size = found.st_size if stat.S_ISREG(found.st_mode) else 0
            except OSError as fault:
                _note(fault, faults)
                continue
            try:
                path.rmdir() if stat.S_ISDIR(found.st_mode) else path.unlink()
                gone += size
            except OSError as fault:
                _note(fault, faults)
                left += size if not isinstance(fault, FileNotFoundError) else 0
    if not folder.is_symlink() and not held:
        try:
            top.rmdir()
        except OSError as fault:
            _note(fault, faults)
    return Removal(gone, left, faults[0] if faults else None)


def _note(fault: OSError, faults: list[OSError]) -> None:
    """Notes why something stays; what is not there, or was removed by another process meanwhile, does not."""
    if not isinstance(fault, FileNotFoundError):
        faults.append(fault)


def make_room(kind: str, size: int, *, beside: Path | None = None) -> None:
    """Removes entries of a kind, the least recently used first, until so many bytes more stay within the limit.

    Args:
        kind: Of entries; those that an interruption left count too, and those that are being written, which stay.
        size: Of what is to come, in bytes.
        beside: The unfinished entry that it is to become, which stays and is not counted.
    """
    listed = [entry for entry in (*entries(kind), *unfinished_entries(kind)) if entry.path != beside]
    total = size + sum(entry.bytes for entry in listed)
    for entry in sorted(listed, key=lambda entry: entry.used):
        if total <= MAX_BYTES:
            return
        if not (entry.path.name.startswith(UNFINISHED) and is_held(entry.path)):
            discard(entry.path)
            total -= 0 if entry.path.exists() else entry.bytes


def is_writable(kind: str) -> bool:
    """Returns whether entries of a kind can be kept at all, as far as can be known without writing."""
    folder = cache_folder() / kind
    nearest = next(place for place in (folder, *folder.parents) if os.access(place, os.F_OK))
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def has_room(size: int, *, there: int = 0) -> bool:
    """Returns whether an entry can be kept: within the limit, and in half of what is free.

    Args:
        size: Of the whole entry, in bytes.
        there: Bytes of it that an earlier try has taken from the disk already.
    """
    return size < room(there=there)


def room(*, there: int = 0) -> int:
    """Returns how many bytes the largest entry may take; see `has_room`."""
    # The folder need not be there yet; whether it can be is known when it is made.
    folder = next(place for place in (cache_folder(), *cache_folder().parents) if os.access(place, os.F_OK))
    return min(MAX_BYTES, (shutil.disk_usage(folder).free + there) // 2)


def remove_litter() -> None:
    """Removes from the cache what dead processes left, but what the next run can take up; see `partial_entries`."""
    folder = cache_folder()
    for kind in folder.iterdir() if folder.is_dir() else ():
        partial_entries.remove_litter(kind)


def unfinished_bytes(kind: str) -> tuple[int, int]:
    """Returns how many entries of a kind are being written or were left, at any depth, and their bytes."""
    sizes = [_entry(path).bytes for path in partials_below(cache_folder() / kind)]
    return len(sizes), sum(sizes)
