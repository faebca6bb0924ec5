"""The file of a bundle: a zip archive whose entries are stored, and whose comment is the SHA-256 of all before it.

    bundle.json            first: names every other file by its hash
    recipe.toml, ...       sorted by name
    (directory)
    "zoo bundle sha256:"   and 64 hex digits, of the file with 64 zeros in their place

So equal files give equal bytes, nothing unpacks to more than the archive holds, and a flipped bit is noticed wherever
it is. As the seal of a document, it shows damage and no forgery.
"""

import hashlib
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from zoo.errors import ContractError, NotFoundError, printable
from zoo.foreign.zip_archives import ZipError, open_zip, unpacked
from zoo.shelves.bundles.manifest import MANIFEST, SIGNATURE
from zoo.shelves.names import fault_of_file_names
from zoo.shelves.versions import FileRecord
from zoo.system.files import say_room, sync
from zoo.system.regular_files import open_regular

SUFFIX = ".zip"
MARK, DIGITS = b"zoo bundle sha256:", 64
MOST_ENTRIES = 2_000
# Weights, and wheels for a GPU, together.
MOST_BYTES = 40 << 30
EXPECTED = "expected a bundle as 'zoo bundle' wrote it; get it again"
_CHUNK = 1 << 20
_NO_DIGITS = b"0" * DIGITS
# The local header of an entry (APPNOTE.TXT, 4.3.7), without its name.
_HEADER_BYTES = 30
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)
_ENCRYPTED = 1


def is_bundle(path: Path) -> bool:
    """Returns whether a file is meant as a bundle, damaged or not: it begins or ends as one."""
    if path.suffix.lower() != SUFFIX:
        return False
    try:
        with open_regular(path) as file:
            begins = file.read(_HEADER_BYTES + len(MANIFEST))[_HEADER_BYTES:] == MANIFEST.encode()
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - len(MARK) - DIGITS, 0))
            return begins or file.read(len(MARK)) == MARK
    except OSError:
        return False


def is_signed(path: Path) -> bool:
    """Returns whether a bundle holds a signature, valid or not; what cannot be opened as a bundle holds none."""
    try:
        with open_archive(path) as file:
            return SIGNATURE in open_zip(file).namelist()
    except (ContractError, NotFoundError, ZipError):
        return False


def write_archive(path: Path, files: Mapping[str, bytes | Path], hashes: Mapping[str, FileRecord]) -> None:
    """Writes a bundle, which appears whole or not at all.

    Args:
        path: Where; what is there is replaced.
        files: The content of each file by its name, bundle.json among them.
        hashes: The hash and size of those that are copied from a path.

    Raises:
        ContractError: A file has changed since it was hashed.
        OSError: It cannot be written.
    """
    import tempfile  # here, because `zoo list` comes by and need not wait for it

    size = sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in files.values())
    try:
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w+b") as file:
                _write(file, files, hashes)
            temporary.chmod(0o644)
            temporary.replace(path)
            sync(path.absolute().parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as fault:
        if fault.filename not in map(str, files.values()):  # a file that cannot be read is named already
            say_room(fault, path, needed=size)
        raise


def _write(file: IO[bytes], files: Mapping[str, bytes | Path], hashes: Mapping[str, FileRecord]) -> None:
    """Writes the archive, then its hash over the zeros at its end."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for one in [MANIFEST, *sorted(files.keys() - {MANIFEST})]:
            _write_entry(archive, one, files[one], hashes.get(one))
        archive.comment = MARK + _NO_DIGITS
    file.seek(0)
    digest = _digest(file)
    file.seek(-DIGITS, os.SEEK_END)
    file.write(digest.encode())
    file.flush()
    os.fsync(file.fileno())


def _write_entry(archive: zipfile.ZipFile, name: str, content: bytes | Path, known: FileRecord | None) -> None:
    entry = zipfile.ZipInfo(name, _FIRST_TIME)
    entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    entry.compress_type = zipfile.ZIP_STORED
    if isinstance(content, bytes):
        archive.writestr(entry, content)
        return
    digest = hashlib.sha256()
    with open_regular(content) as source:
        entry.file_size = os.fstat(source.fileno()).st_size  # decides whether it is written as zip64
        with archive.open(entry, "w") as target:
            while piece := source.read(_CHUNK):
                digest.update(piece)
                target.write(piece)
    if known is not None and digest.hexdigest() != known.sha256:
        raise ContractError(f"{content}: has changed while it was bundled; try again when nothing writes it")


def _digest(file: IO[bytes]) -> str:
    """Hashes an open file to its end, with zeros in the place of its last digits."""
    digest, last = hashlib.sha256(), b""
    while piece := file.read(_CHUNK):
        last += piece
        digest.update(last[:-DIGITS])
        last = last[-DIGITS:]
    digest.update(_NO_DIGITS)
    return digest.hexdigest()


class BundleArchive:
    """A bundle that is open: its entries are known, and none is read yet.

    Attributes:
        place: The path, for messages.
        entries: The size of each file by its name.
    """

    def __init__(self, file: IO[bytes], place: str) -> None:
        """Looks through the directory, and compares the seal.

        Args:
            file: The bundle.
            place: Its path, for messages.

        Raises:
            ContractError: It is not a bundle, is damaged, or holds what no bundle holds.
        """
        self.place = place
        self._file = file
        try:
            self._zip = open_zip(file)
            _check_entries(self._zip.infolist(), file.seek(0, os.SEEK_END))
        except ZipError as fault:
            raise ContractError(f"{place}: {printable(fault)}; {EXPECTED}") from None
        self._check_seal()
        self.entries = {one.filename: one.file_size for one in self._zip.infolist()}

    def _check_seal(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(max(size - len(MARK) - DIGITS, 0))
        if self._file.read(len(MARK)) != MARK:
            raise ContractError(f"{self.place}: has no seal at its end, as other zip archives; {EXPECTED}")
        said = self._file.read(DIGITS)
        self._file.seek(0)
        if _digest(self._file).encode() != said:
            raise ContractError(
                f"{self.place}: is damaged or was changed: its SHA-256 is not the one at its end; {EXPECTED}"
            )

    def pieces(self, name: str) -> Iterator[bytes]:
        """Reads a file piece by piece.

        Raises:
            ContractError: It is not there, or is damaged.
        """
        try:
            yield from unpacked(self._zip, name)
        except ZipError as fault:
            raise ContractError(f"{self.place}: {printable(fault)}; {EXPECTED}") from None

    def read(self, name: str, *, limit: int) -> bytes:
        """Reads a small file whole.

        Raises:
            ContractError: It is not there, is damaged, or holds more bytes.
        """
        if (size := self.entries.get(name, 0)) > limit:
            raise ContractError(f"{self.place}: {name} has {size:,} bytes; expected at most {limit:,}")
        return b"".join(self.pieces(name))


def open_archive(path: Path) -> IO[bytes]:
    """Opens the file of a bundle.

    Raises:
        NotFoundError: There is no such file.
        ContractError: It is not a regular file, or larger than any bundle.
    """
    try:
        return open_regular(path, limit=MOST_BYTES)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such file; expected a bundle") from None
    except OSError as fault:
        raise ContractError(f"{path}: {fault.strerror}; {EXPECTED}") from None


def _check_entries(entries: Iterable[zipfile.ZipInfo], size: int) -> None:
    """Refuses what no bundle holds, before anything of it is read.

    Args:
        entries: The directory, as it is written.
        size: Of the archive.

    Raises:
        ZipError: It holds such; the message says what.
    """
    listed = list(entries)
    if not listed or len(listed) > MOST_ENTRIES:
        raise ZipError(f"has {len(listed):,} entries; expected 1 to {MOST_ENTRIES:,}")
    names = [one.orig_filename for one in listed]
    if len(set(names)) != len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise ZipError(f"has two entries named '{printable(twice)}'")
    if fault := fault_of_file_names(names):
        raise ZipError(fault)
    end = 0
    for one in sorted(listed, key=lambda entry: entry.header_offset):
        if fault := _fault_of_entry(one):
            raise ZipError(f"its entry '{one.filename}' {fault}")
        if one.header_offset < end:
            raise ZipError(f"its entry '{one.filename}' overlaps another")
        end = one.header_offset + _HEADER_BYTES + len(one.filename) + one.file_size
    if end > size:
        raise ZipError("has entries that reach beyond its end")


def _fault_of_entry(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        return "is packed; expected all of them stored"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return "is a link, a folder or a device; expected files" if kind not in (0, stat.S_IFREG) else ""


__all__ = [
    "MOST_BYTES",
    "SIGNATURE",
    "SUFFIX",
    "BundleArchive",
    "is_bundle",
    "is_signed",
    "open_archive",
    "write_archive",
]
