"""A shelf in a folder, which may be a checkout of git: files that are whole or not there, whenever a process is killed.

A file is written under `.incoming/`, synced, and then linked to its name, which fails where that is taken: of two
processes that write version 3 one has it, and the other takes 4.
"""

import errno
import hashlib
import os
import shlex
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import ContractError
from zoo.shelves.faults import ShelfError, UnreachableError
from zoo.shelves.names import is_recipe_name
from zoo.shelves.places.place import RECIPES, check_count, number_of
from zoo.system.files import TO_WRITE_AFTER_ALL, make_folder, sync
from zoo.system.locks import lock
from zoo.system.regular_files import open_below, open_regular

INCOMING, LOCK = ".incoming", "lock"
_CHUNK = 1 << 20
# What has been still for so long in `.incoming` is written by nobody.
STILL_SECONDS = 3600
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FolderPlace:
    """A shelf in a folder; see `Place` for what it offers."""

    is_listed = True
    is_near = True

    def __init__(self, root: Path, *, why_read_only: str = "", url: str | None = None) -> None:
        """Takes the folder, which need not be there now.

        Args:
            root: The folder.
            why_read_only: As `Place` has it.
            url: What it is called in messages; the folder's path by default.
        """
        self.root = root
        self.url = url or str(root)
        self.why_read_only = why_read_only

    @property
    def after_writing(self) -> str:
        """Returns what to commit, where the folder is in a checkout of git."""
        is_checkout = any((place / ".git").exists() for place in (self.root, *self.root.parents))
        git = f"git -C {shlex.quote(str(self.root))}"
        return f"{git} add index.json objects recipes && {git} commit" if is_checkout else ""

    def documents(self, name: str | None = None) -> list[tuple[str, int]]:
        """Lists the versions that have a document."""
        if not self.root.is_dir():
            raise UnreachableError(f"{self.url}: there is no such folder; if it is on a drive, connect that")
        names = [name] if name is not None else self._names()
        found: list[tuple[str, int]] = []
        for one in names:
            with suppress(FileNotFoundError), self._explained(), os.scandir(self.root / RECIPES / one) as entries:
                for entry in entries:
                    if (number := number_of(entry.name)) is not None:
                        found.append((one, number))
                        check_count(self.url, len(found))
        return sorted(found)

    def _names(self) -> list[str]:
        names: list[str] = []
        with suppress(FileNotFoundError), self._explained(), os.scandir(self.root / RECIPES) as entries:
            for entry in entries:
                if is_recipe_name(entry.name):
                    names.append(entry.name)
                    check_count(self.url, len(names))
        return names

    def read(self, path: str, *, limit: int) -> bytes:
        """Reads a small file whole."""
        with self._explained(), open_below(self.root, path, limit=limit) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ShelfError(f"{self.root / path}: holds more than {limit:,} bytes")
        return content

    def stream(self, path: str, *, size: int) -> Iterator[bytes]:
        """Yields a file in pieces."""
        left = size + 1
        with self._explained(), open_below(self.root, path) as file:
            while left and (piece := file.read(min(left, _CHUNK))):
                yield piece
                left -= len(piece)

    def create(self, path: str, content: bytes) -> bool:
        """Writes a file that is not there yet."""
        with self._explained(writes=True):
            incoming, _ = self._incoming([content])
            return self._take_name(incoming, self.root / path)

    def put(self, path: str, source: Path | bytes, *, sha256: str) -> None:
        """Writes a file that is named by its content."""
        target = self.root / path
        with self._explained(writes=True):
            if target.exists():
                if self._sha256(target) == sha256:
                    return
                target.unlink()  # damaged on the disk: every reader refuses it
            incoming, found = self._incoming(_pieces(source))
            if found != sha256:
                incoming.unlink()
                raise ContractError(f"{source if isinstance(source, Path) else path}: has changed while it was pushed")
            self._take_name(incoming, target)

    @contextmanager
    def alone(self) -> Generator[None]:
        """Keeps other processes that ask for the same from going on meanwhile."""
        with self._explained(writes=True):
            make_folder(self.root / INCOMING)
            with (self.root / INCOMING / LOCK).open("w") as file:
                lock(file)
                yield

    def replace(self, path: str, content: bytes) -> None:
        """Writes a small file over what may be there."""
        with self._explained(writes=True):
            incoming, _ = self._incoming([content])
            incoming.replace(self.root / path)
            sync((self.root / path).parent)

    def _incoming(self, pieces: Iterator[bytes] | list[bytes]) -> tuple[Path, str]:
        """Writes a file that has no name yet; returns it and its SHA-256."""
        folder = self.root / INCOMING
        make_folder(folder)
        _remove_old(folder)
        path, digest = folder / f"{os.getpid()}-{os.urandom(8).hex()}", hashlib.sha256()
        try:
            with path.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        return path, digest.hexdigest()

    def _take_name(self, incoming: Path, target: Path) -> bool:
        """Gives a file its name; returns False, and removes it, where the name is taken."""
        try:
            make_folder(target.parent, parents=True)
            try:
                os.link(incoming, target)
            except FileExistsError:
                return False
            except OSError as fault:
                if fault.errno not in _NO_LINKS:
                    raise
                return self._take_name_by_lock(incoming, target)
            sync(target.parent)
            return True
        finally:
            incoming.unlink(missing_ok=True)

    def _take_name_by_lock(self, incoming: Path, target: Path) -> bool:
        """Gives a file its name where the file system has no hard links: one process at a time."""
        with self.alone():
            if target.exists():
                return False
            incoming.replace(target)
            sync(target.parent)
            return True

    def _sha256(self, path: Path) -> str:
        with open_regular(path, follow_links=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def _explained(self, *, writes: bool = False) -> Generator[None]:
        """Says a fault of the system in one line; that a file is not there passes."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as fault:
            advice = (writes and TO_WRITE_AFTER_ALL.get(fault.errno or 0)) or "ask who keeps the shelf"
            place = fault.filename or self.url
            if INCOMING in (Path(place).name, Path(place).parent.name):  # a name that nobody knows
                place = self.url
            raise ShelfError(f"{place}: {fault.strerror or fault}; {advice}") from fault


def _pieces(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with open_regular(source) as file:
        while piece := file.read(_CHUNK):
            yield piece


def _remove_old(folder: Path) -> None:
    """Removes what processes that were killed left in `.incoming`."""
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if path.name != LOCK and time.time() - path.lstat().st_mtime > STILL_SECONDS:
                    path.unlink()
