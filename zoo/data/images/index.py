"""What is known of image files: which content a path has, and what that content is.

A file that has been read once is known by its path, size, inode and times, as git's index does it; only one that
differs in any of them is read again. What its bytes are is kept by their hash, so a copy elsewhere is known too. All of
it can be found out again: where the index cannot be kept, it is made anew.
"""

import hashlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo.data.images.content import open_number
from zoo.data.images.decoding import READER
from zoo.data.images.facts import Facts
from zoo.data.images.structure import NoPixelsError
from zoo.data.images.threads import map_ranges
from zoo.errors import DataError
from zoo.system.cache import cache_folder

KIND, FILE = "files", "index.sqlite"
# A file that was written this short a time ago may change again without another time; it is hashed each time.
_MIN_AGE_NS = 2_000_000_000
# `looks` is the perceptual hash: the column has that name in every index that exists.
_TABLES = """
CREATE TABLE IF NOT EXISTS paths (path BLOB PRIMARY KEY, stat TEXT NOT NULL, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (
    content TEXT, reader TEXT, facts TEXT NOT NULL, looks TEXT NOT NULL, PRIMARY KEY (content, reader)
) WITHOUT ROWID;
"""
_READ_AT_ONCE = 1 << 20
_LEARN_AT_ONCE = 2000
# What the content of a file that cannot be read begins with.
UNREADABLE = "!"


def contents(paths: Sequence[Path]) -> list[str]:
    """Returns the hash of each file's bytes; of one that cannot be read, a text of its own.

    Only files that are not known are read, on threads.
    """
    found = [state_of(path) for path in paths]
    keys = [_key(path) for path in paths]
    with _open() as index:
        known = _known(index, keys, found)
        missing = [row for row, content in enumerate(known) if content is None]

        def hashed(rows: Iterator[int]) -> list[tuple[str, str]]:
            return [_hash(paths[missing[row]]) for row in rows]

        for rows, results in map_ranges(len(missing), hashed, at_once=256):
            old_enough = time.time_ns() - _MIN_AGE_NS
            fresh: list[tuple[bytes, str, str]] = []
            for number, (stat, content) in zip(rows, results, strict=True):
                row = missing[number]
                known[row] = content
                if stat and _changed_ns(stat) < old_enough:
                    fresh.append((keys[row], _checked(stat, content), content))
            with suppress(sqlite3.Error), index:
                index.executemany("INSERT OR REPLACE INTO paths VALUES (?, ?, ?)", fresh)
    return [content or "" for content in known]


def read_before(beginnings: Collection[str]) -> dict[str, list[Path]]:
    """Finds where files were whose contents' hashes begin so, on this machine; whether they still are is not looked at.

    Args:
        beginnings: All of one length.
    """
    found: dict[str, list[Path]] = {one: [] for one in beginnings}
    if not found:
        return {}
    length = len(next(iter(found)))
    with _open() as index, suppress(sqlite3.DatabaseError):
        for key, content in index.execute("SELECT path, content FROM paths ORDER BY path"):
            if content[:length] in found:
                found[content[:length]].append(Path(key.decode("utf-8", "surrogatepass")))
    return found


def check_unchanged(paths: Sequence[Path], before: Sequence[str]) -> None:
    """Compares contents with what they were; of files that are known that costs a look at their times.

    Raises:
        DataError: A file is another.
    """
    for path, then, now in zip(paths, before, contents(paths), strict=True):
        if then != now:
            raise DataError(f"{path}: changed while it was read; begin again once all files are written")


@dataclass(frozen=True)
class IndexedImage:
    """What a file's bytes are.

    Attributes:
        facts: Whether they give pixels, and what else is known.
        perceptual_hash: In hex; empty where none was made.
    """

    facts: Facts
    perceptual_hash: str = ""


def recall(contents_to_find: Iterable[str]) -> dict[str, IndexedImage]:
    """Returns what is known of contents; those that were never read are left out."""
    found: dict[str, IndexedImage] = {}
    with _open() as index:
        for content in contents_to_find:
            row = _row(index, "SELECT facts, looks FROM contents WHERE content = ? AND reader = ?", content, READER)
            if row:
                with suppress(ValueError, TypeError):  # damaged: it is read anew
                    found[content] = IndexedImage(Facts(**json.loads(row[0])), row[1])
    return found


def store(known: Mapping[str, IndexedImage]) -> None:
    """Keeps what contents are; not where a file could not be read for the system's reasons, as it may be read later."""
    rows = [
        (content, READER, json.dumps(asdict(one.facts)), one.perceptual_hash)
        for content, one in known.items()
        if not (content.startswith(UNREADABLE) or one.facts.passing)
    ]
    with suppress(sqlite3.Error), _open() as index, index:
        index.executemany(
            # A perceptual hash that was made once is not lost to a reader that makes none.
            "INSERT INTO contents VALUES (?, ?, ?, ?) ON CONFLICT (content, reader) DO UPDATE SET "
            "facts = excluded.facts, looks = CASE excluded.looks WHEN '' THEN looks ELSE excluded.looks END",
            rows,
        )


@contextmanager
def learning() -> Generator[Callable[[Mapping[str, IndexedImage]], None]]:
    """Gives what `store` does, many contents at a time: opening the index takes longer than decoding a photo.

    What was learnt is kept also where an error or Ctrl-C ends it.
    """
    learnt: dict[str, IndexedImage] = {}

    def learn(known: Mapping[str, IndexedImage]) -> None:
        learnt.update(known)
        if len(learnt) >= _LEARN_AT_ONCE:
            store(learnt)
            learnt.clear()

    try:
        yield learn
    finally:
        store(learnt)


@contextmanager
def _open() -> Generator[sqlite3.Connection]:
    folder = cache_folder() / KIND
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = _connected(folder / FILE)
    except (OSError, sqlite3.OperationalError):
        connection = _connected(":memory:")
    except sqlite3.DatabaseError:  # damaged, and all in it can be found out again
        with suppress(OSError):
            (folder / FILE).unlink()
        connection = _connected(":memory:")
    with closing(connection):
        yield connection


def _connected(place: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=60)
    try:
        connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_TABLES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _known(index: sqlite3.Connection, keys: Sequence[bytes], stats: Sequence[str]) -> list[str | None]:
    known: list[str | None] = []
    for key, stat in zip(keys, stats, strict=True):
        row = _row(index, "SELECT stat, content FROM paths WHERE path = ?", key)
        known.append(row[1] if row and row[0] == _checked(stat, row[1]) else None)
    return known


def _row(index: sqlite3.Connection, query: str, *values: object) -> tuple[str, str] | None:
    """Reads a row; a damaged index knows nothing, and is removed, as all in it can be found out again."""
    try:
        return index.execute(query, values).fetchone()
    except sqlite3.DatabaseError:
        with suppress(OSError):
            (cache_folder() / KIND / FILE).unlink()
        return None


def state_of(path: Path) -> str:
    """Writes what changes when a file does: its size, inode and times; empty where there is no file."""
    try:
        return _written(path.stat())
    except (OSError, ValueError):  # the latter of a name that no file can have
        return ""


def _key(path: Path) -> bytes:
    # A list may name what no file can be called: any text.
    return os.path.abspath(path).encode("utf-8", "surrogatepass")  # noqa: PTH100 -- pathlib takes thrice as long


def _written(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}"


def _checked(stat: str, content: str) -> str:
    """Adds to a file's state what tells whether a row is as it was written: SQLite keeps no checksums of its pages."""
    return f"{stat} {zlib.crc32(f'{stat} {content}'.encode()):08x}"


def _changed_ns(stat: str) -> int:
    return max(int(part) for part in stat.split()[2:])


def _hash(path: Path) -> tuple[str, str]:
    """Returns what changes with a file and its content's hash."""
    digest = hashlib.sha256()
    try:
        # Not by a file object, whose buffers take longer than a small photo.
        file = open_number(path)
        try:
            found = os.fstat(file)
            size = min(found.st_size + 1, _READ_AT_ONCE)
            while part := os.read(file, size):
                digest.update(part)
            changed = _written(os.fstat(file)) != _written(found)
        finally:
            os.close(file)
    except (OSError, ValueError, NoPixelsError) as fault:
        return "", f"{UNREADABLE}{_key(path).hex()} {getattr(fault, 'strerror', fault)}"
    return ("" if changed else _written(found)), digest.hexdigest()
