"""Where files that can be had again are kept, and for how long: as long as there is room."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

# Of all entries of a kind together.
MAX_BYTES = 40 << 30
# The file that an entry is whole with.
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class Entry:
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


def entries(kind: str) -> list[Entry]:
    """Lists the whole entries of a kind, a folder each, the least recently used first."""
    folder = cache_folder() / kind
    found = [path for path in (folder.iterdir() if folder.is_dir() else ()) if (path / MANIFEST_FILE).is_file()]
    listed = [
        Entry(path, sum(file.stat().st_size for file in path.iterdir()), path.stat().st_mtime)
        for path in found
        if not path.name.startswith(".")
    ]
    return sorted(listed, key=lambda entry: entry.used)


def make_room(kind: str, size: int) -> None:
    """Removes the least recently used entries of a kind until so many bytes more stay within the limit."""
    listed = entries(kind)
    total = size + sum(entry.bytes for entry in listed)
    for entry in listed:
        if total <= MAX_BYTES:
            return
        shutil.rmtree(entry.path, ignore_errors=True)
        total -= entry.bytes


def has_room(size: int) -> bool:
    """Says whether an entry of so many bytes can be kept: within the limit, and half of what is free."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return size < min(MAX_BYTES, shutil.disk_usage(folder).free // 2)
