"""In which order a process writes, syncs and renames: what holds through a power cut, read from strace.

A file that takes its name by a rename must have its data on disk before, else the name may lead to nothing; and its
folder afterwards, else the name may be gone. A folder that is renamed must have all its files on disk.
"""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

CALLS = "write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,unlinkat,mkdir,mkdirat"
_CALL = re.compile(
    r"""\d+\s+(?:
        (?P<call>write|pwrite64|writev|fsync|fdatasync)\(\d+<(?P<file>[^>]*)>.*
        |unlinkat\(\d+<(?P<folder>[^>]*)>,\s*"(?P<name>[^"]*)".*
        |mkdir(?:at)?\((?:[^",]*,\s*)?"(?P<made>[^"]*)".*=\s0
        |rename(?:at2?)?\((?:[^",]*,\s*)?"(?P<old>[^"]*)",\s*(?:[^",]*,\s*)?"(?P<new>[^"]*)".*
    )""",
    re.VERBOSE,
)


def strace() -> list[str] | None:
    """Returns the words before a command that trace it, without the output file; None where strace is missing."""
    found = shutil.which("strace")
    return [found, "-f", "-y", "-qq", "--seccomp-bpf", "-s", "0", "-e", f"trace={CALLS}", "-o"] if found else None


@dataclass
class Order:
    """What the calls so far have made of files and folders below some roots.

    Attributes:
        roots: Nothing else counts.
        lasting: Those in which a new folder has to last too.
        visible: Paths that took their name by a rename, in order.
        violations: What a power cut could have cost, in a line each.
    """

    roots: tuple[Path, ...]
    lasting: tuple[Path, ...] = ()
    visible: list[Path] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _gone: set[Path] = field(default_factory=set)
    _written: set[Path] = field(default_factory=set)
    _made: set[Path] = field(default_factory=set)
    _unsynced_names: dict[Path, list[Path]] = field(default_factory=dict)

    def read(self, lines: Iterable[str]) -> "Order":
        """Goes through the lines of strace."""
        for line in lines:
            found = _CALL.match(line)
            if found is None:
                continue
            if found["old"]:
                self._rename(Path(found["old"]), Path(found["new"]))
            elif found["made"]:
                self._made.add(Path(found["made"]))
            elif found["folder"]:
                self._remove(Path(found["folder"]) / found["name"])
            elif found["call"] in ("fsync", "fdatasync"):
                self._sync(Path(found["file"]))
            else:
                self._write(Path(found["file"]))
        for folder, names in self._unsynced_names.items():
            self.violations += [f"{name}: its folder {folder} is not synced after the rename" for name in names]
        return self

    def _counts(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self.roots)

    def _write(self, path: Path) -> None:
        if self._counts(path):
            self._written.add(path)

    def _sync(self, path: Path) -> None:
        self._written.discard(path)
        self._made = {made for made in self._made if made.parent != path}
        above = {path, *path.parents} & self._made
        for name in self._unsynced_names.pop(path, []):
            if any(name.is_relative_to(root) for root in self.lasting):
                self.violations += [f"{name}: {folder} is new and not synced into its parent" for folder in above]

    def _remove(self, path: Path) -> None:
        """A folder that took its name whole loses it before it is emptied: half of it must not be found."""
        self._written.discard(path)
        if path.parent in self.visible and path.parent not in self._gone:
            self._gone.add(path.parent)
            self.violations.append(f"{path.parent}: is emptied under its name")

    def _rename(self, old: Path, new: Path) -> None:
        if not self._counts(new):
            return
        inside = {path for path in self._written if path == old or path.is_relative_to(old)}
        self._written = {new / path.relative_to(old) if path in inside else path for path in self._written}
        self._made = {made for made in self._made if not made.is_relative_to(old)}
        if new.name.startswith("."):  # on its way out
            self._gone.add(old)
            return
        self._gone.discard(new)
        self.visible.append(new)
        self.violations += [f"{new}: {path} is renamed before its data is synced" for path in sorted(inside)]
        self._unsynced_names.setdefault(new.parent, []).append(new)
