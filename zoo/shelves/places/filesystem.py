"""A shelf at an address that fsspec reads: memory, S3, Google Cloud Storage, the Hugging Face Hub.

Each row says what the address needs to be installed. Each of these stores makes a file only where there is none, in one
step: without that two teams could write the same version.
"""

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from zoo.errors import ContractError, ZooError, in_one_line
from zoo.shelves.faults import ShelfError, UnreachableError
from zoo.shelves.names import is_recipe_name
from zoo.shelves.places.place import RECIPES, check_count, number_of
from zoo.system.regular_files import open_regular

_CHUNK = 8 << 20
# A store that has not answered for so long is asked once more, and then not waited for.
ANSWER_SECONDS, ATTEMPTS = 4, 2


@dataclass(frozen=True)
class FileSystem:
    """A row of the table.

    Attributes:
        module: What must be installed.
        extra: The extra of zoo that installs it; empty where fsspec brings it.
        options: How it is opened.
    """

    module: str
    extra: str = ""
    options: tuple[tuple[str, Any], ...] = ()


_PATIENCE = {
    "connect_timeout": ANSWER_SECONDS,
    "read_timeout": ANSWER_SECONDS,
    "retries": {"total_max_attempts": 1},
}
_S3 = FileSystem("s3fs", "s3", (("config_kwargs", _PATIENCE),))
_GS = FileSystem("gcsfs", "gs")
FILE_SYSTEMS = {
    "memory": FileSystem("fsspec"),
    "s3": _S3,
    "s3a": _S3,
    "gs": _GS,
    "gcs": _GS,
    "hf": FileSystem("huggingface_hub", "hf"),
}


class FileSystemPlace:
    """A shelf that fsspec reads; see `Place` for what it offers."""

    is_listed = True
    is_near = False
    why_read_only = ""
    after_writing = ""

    def __init__(self, url: str) -> None:
        """Opens the file system of an address; nothing is asked of it yet.

        Raises:
            ShelfError: What it needs is not installed, or it cannot be opened.
        """
        self.url = url.rstrip("/")
        self.protocol = url.partition("://")[0]
        row = FILE_SYSTEMS[self.protocol]
        if importlib.util.find_spec(row.module) is None:
            raise ShelfError(f"{self.url}: needs {row.module}; type pip install 'zoo[{row.extra}]'")
        from fsspec.core import url_to_fs

        with self._explained(""):
            self._system: Any
            self._system, root = url_to_fs(
                self.url, use_listings_cache=False, skip_instance_cache=True, **dict(row.options)
            )
            if hasattr(self._system, "retries"):  # s3fs has its own, around those of its library
                self._system.retries = ATTEMPTS
            self._root = str(root).rstrip("/")

    def documents(self, name: str | None = None) -> list[tuple[str, int]]:
        """Lists the versions that have a document."""
        below = f"{RECIPES}/{name}" if name is not None else RECIPES
        root = self._at(RECIPES)
        found: list[tuple[str, int]] = []
        try:
            with self._explained(below):
                paths: list[str] = self._system.find(self._at(below))
        except FileNotFoundError:
            return []
        for path in paths:
            recipe, _, file = path.removeprefix(root).lstrip("/").partition("/")
            if is_recipe_name(recipe) and (number := number_of(file)) is not None:
                found.append((recipe, number))
                check_count(self.url, len(found))
        return sorted(found)

    def read(self, path: str, *, limit: int) -> bytes:
        """Reads a small file whole."""
        content = b"".join(self._pieces(path, limit))
        if len(content) > limit:
            raise ShelfError(f"{self.url}/{path}: holds more than {limit:,} bytes")
        return content

    def stream(self, path: str, *, size: int) -> Iterator[bytes]:
        """Yields a file in pieces."""
        return self._pieces(path, size)

    def _pieces(self, path: str, size: int) -> Iterator[bytes]:
        with self._explained(path):
            there = int(self._system.info(self._at(path))["size"])
        if there > size:
            raise ShelfError(f"{self.url}/{path}: holds {there:,} bytes; expected at most {size:,}")
        for start in range(0, there, _CHUNK):
            with self._explained(path):
                piece: bytes = self._system.cat_file(self._at(path), start=start, end=min(start + _CHUNK, there))
            yield piece

    def create(self, path: str, content: bytes) -> bool:
        """Writes a file that is not there yet."""
        try:
            with self._explained(path, is_written=True):
                self._system.pipe_file(self._at(path), content, mode="create")
        except FileExistsError:
            return False
        return self.read(path, limit=len(content)) == content

    def put(self, path: str, source: Path | bytes, *, sha256: str) -> None:
        """Writes a file that is named by its content."""
        with tempfile.TemporaryFile() as copy, self._explained(path, is_written=True):
            # A copy, so that what is sent is what was looked at.
            digest, size = hashlib.sha256(), 0
            for piece in _pieces_of(source):
                copy.write(piece)
                digest.update(piece)
                size += len(piece)
            if digest.hexdigest() != sha256:
                changed = source if isinstance(source, Path) else path
                raise ContractError(f"{changed}: has changed while it was pushed; push it again")
            there = self._at(path)
            if self._system.exists(there) and self._system.info(there)["size"] == size:
                return
            copy.seek(0)
            self._write(path, copy, size)

    def _write(self, path: str, copy: IO[bytes], size: int) -> None:
        if size <= _CHUNK:
            self._system.pipe_file(self._at(path), copy.read())
            return
        with self._system.open(self._at(path), "wb", block_size=_CHUNK) as file:
            shutil.copyfileobj(copy, file, _CHUNK)

    def alone(self) -> AbstractContextManager[None]:
        """Keeps nobody waiting."""
        return nullcontext()

    def replace(self, path: str, content: bytes) -> None:
        """Writes a small file over what may be there."""
        with self._explained(path, is_written=True):
            self._system.pipe_file(self._at(path), content)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _explained(self, path: str, *, is_written: bool = False) -> Generator[None]:
        """Says a fault of a library in one line; that a file is there, or one that is read is not, passes."""
        try:
            yield
        except (FileExistsError, ZooError):
            raise
        except FileNotFoundError as fault:
            if not is_written:
                raise
            raise ShelfError(f"{self.url}: {in_one_line(fault)}; make the bucket first") from fault
        except Exception as fault:  # each store has its own
            place = f"{self.url}/{path}".rstrip("/")
            if isinstance(fault, PermissionError) or "redential" in type(fault).__name__:
                login = "check the credentials, and what they may do"
                raise ShelfError(f"{place}: {in_one_line(fault)}; {login}") from fault
            raise UnreachableError(f"{place}: {in_one_line(fault)}; check the address and the connection") from fault


def _pieces_of(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with open_regular(source) as file:
        while piece := file.read(_CHUNK):
            yield piece
