"""What a look at every hash of a folder or file found, and the collector that it is gathered in."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from zoo.system.regular_files import open_below

# Of a file whose size is not known: the largest model's optimizer state.
MOST_BYTES = 8_000_000_000


@dataclass(frozen=True)
class FileFault:
    """A file that is not what was written.

    Attributes:
        path: Where it is.
        reason: What was found, and what was expected.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `zoo.verify` found.

    Attributes:
        path: What was verified.
        what: `run`, `seeds`, `export`, `cache`, `weights`, `recipe`, `lock`, `receipt`, `version`, `shelf` or
            `bundle`.
        files: How many files were compared with a hash or a seal.
        bytes: Of these files.
        faults: Files that are damaged, missing, or not what they should be.
        notes: What cannot be compared, and what is there besides.
        signature: Who signed it, as `signed by key 3f0c...`, or `unsigned`; None of what is never signed.
    """

    path: Path
    what: str
    files: int
    bytes: int
    faults: tuple[FileFault, ...] = ()
    notes: tuple[str, ...] = ()
    signature: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every hash holds."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return {
            "path": str(self.path),
            "what": self.what,
            "whole": self.is_whole,
            "files": self.files,
            "bytes": self.bytes,
            "faults": [{"path": str(fault.path), "reason": fault.reason} for fault in self.faults],
            "notes": list(self.notes),
            "signature": self.signature,
        }


@dataclass
class Findings:
    """What is found while a folder is looked through.

    Attributes:
        folder: Where names are below.
        files: How many files were compared.
        bytes: Of these files.
        faults: See `Verification`.
        notes: See `Verification`.
        seen: The names that were looked at.
    """

    folder: Path
    files: int = 0
    bytes: int = 0
    faults: list[FileFault] = field(default_factory=list[FileFault])
    notes: list[str] = field(default_factory=list[str])
    seen: set[str] = field(default_factory=set[str])

    def fault(self, name: str, reason: str) -> None:
        """Notes a fault of a file."""
        self.faults.append(FileFault(self.folder / name, reason))

    def note(self, name: str, text: str) -> None:
        """Notes what is no fault."""
        self.notes.append(f"{self.folder / name}: {text}")

    def count(self, name: str, size: int) -> None:
        """Counts a file that was compared."""
        self.seen.add(name)
        self.files += 1
        self.bytes += size

    def compare(self, hashes: Mapping[str, Any], noted_in: str, *, below: str = "", sizes: Mapping[str, int]) -> None:
        """Compares files with hashes that were noted, by their names below a folder of `folder`."""
        for listed, sha256 in hashes.items():
            name = f"{below}{listed}"
            if not is_inside(listed):
                self.fault(noted_in, f"lists {listed[:80]!a}, which lies outside its folder")
            else:
                self.compare_one(name, sha256, noted_in, size=sizes.get(listed))

    def compare_one(self, name: str, sha256: object, noted_in: str, *, size: int | None = None) -> None:
        """Compares a file with a hash that was noted; a size that is another one is known before it is read."""
        self.seen.add(name)
        try:
            with open_below(self.folder, name, limit=MOST_BYTES if size is None else size) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                self.count(name, file.tell())
        except FileNotFoundError:
            self.fault(name, f"is missing; {noted_in} lists it")
        except OSError as fault:
            self.fault(name, str(fault.strerror))
        else:
            if digest != sha256:
                self.fault(name, f"is damaged: its SHA-256 is not the one in {noted_in}")

    def verification(self, what: str, notes: Iterable[str] = ()) -> Verification:
        """Returns what was found, each fault once."""
        return Verification(
            path=self.folder,
            what=what,
            files=self.files,
            bytes=self.bytes,
            faults=tuple(dict.fromkeys(self.faults)),
            notes=(*self.notes, *notes),
        )


def is_inside(name: str) -> bool:
    """Returns whether a name with slashes stays below the folder that it is joined to, on any system."""
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    is_rooted = windows.drive or windows.root or posix.root
    return bool(name) and not is_rooted and ".." not in windows.parts and ".." not in posix.parts and "\0" not in name


def combined(path: Path, what: str, parts: Iterable[Verification]) -> Verification:
    """Returns several verifications as one."""
    found = list(parts)
    return Verification(
        path=path,
        what=what,
        files=sum(one.files for one in found),
        bytes=sum(one.bytes for one in found),
        faults=tuple(fault for one in found for fault in one.faults),
        notes=tuple(note for one in found for note in one.notes),
    )
