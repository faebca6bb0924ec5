"""Where an export goes: a new folder, or in the place of an earlier export; whole, or not there."""

import errno
import os
import shlex
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import RunError
from zoo.inference.export_folder import BESIDE_THE_MODEL, is_export, read_export
from zoo.registry.exports import Quantize
from zoo.runs.folder import first_there
from zoo.system.files import make_folder, sync


def default_path(run: str, name: str, quantize: Quantize | None) -> Path:
    """Returns `exports/<run>-<format>`, with `-int8` or `-float16` behind it."""
    return Path("exports") / "-".join(filter(None, [run, name, quantize]))


def refuse_taken(path: Path) -> None:
    """Checks that an export can be made here, as far as can be known without making it.

    Raises:
        RunError: The path is taken by something else than an export, or cannot be written.
    """
    if Path.cwd().is_relative_to(path.resolve()):
        raise RunError(f"{path}: is where this command runs; expected a new folder; choose another --out DIR")
    if os.path.lexists(path):
        _refuse_other(path)
    nearest = first_there(path)
    if not nearest.is_dir():
        raise _cannot_be_written(path, os.strerror(errno.ENOTDIR))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise _cannot_be_written(path, os.strerror(errno.EACCES))


def _refuse_other(path: Path) -> None:
    """Refuses what is there already, but for an empty folder and an export in which nothing else lies.

    Raises:
        RunError: It is something else.
    """
    advice = "choose another --out DIR"
    if path.is_symlink() or not path.is_dir():
        raise RunError(f"{path}: is there already; expected a new folder; {advice}")
    names = {entry.name for entry in path.iterdir()}
    if not names:
        return
    if not is_export(path):
        raise RunError(f"{path}: is there already, and is not an export of zoo; expected a new folder; {advice}")
    try:
        model = {name.split("/")[0] for name in read_export(path).document.files}
    except RunError as fault:
        raise RunError(f"{fault}; or remove it: rm -r {shlex.quote(str(path))}") from None
    if others := sorted(names - model - BESIDE_THE_MODEL):
        raise RunError(f"{path}: holds {others[0]}, which zoo did not write; expected an export alone; {advice}")


def _cannot_be_written(path: Path, reason: str) -> RunError:
    return RunError(f"{path}: cannot be written ({reason}); choose another folder with --out DIR")


@contextmanager
def made_beside(path: Path) -> Generator[Path]:
    """Gives a hidden folder to write an export into, and moves it into its place where the block ends well.

    However it ends otherwise, interrupted too, the folder is removed, and what was at the path is as it was.

    Args:
        path: What `refuse_taken` let pass.

    Raises:
        RunError: The folder cannot be made, or something else has come to lie at the path meanwhile.
        OSError: It cannot be moved.
    """
    path = path.absolute()  # a program may change its folder meanwhile
    first_new = _first_new(path)
    try:
        make_folder(path.parent, parents=True)
        made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as fault:
        raise _cannot_be_written(path, fault.strerror or str(fault)) from fault
    try:
        yield made
        made.chmod(0o755)
        refuse_taken(path)  # minutes have gone by
        _move(made, path)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if first_new is not None:
            _remove_empty(path.parent, first_new)


def _move(made: Path, path: Path) -> None:
    """Puts a folder into the place of another, which is removed."""
    replaced = made.with_name(f"{made.name}.replaced")
    try:
        if path.is_dir():
            path.rename(replaced)
        made.rename(path)
        sync(path.parent)
    except BaseException:
        if replaced.is_dir() and not path.exists():
            replaced.rename(path)
        raise
    finally:
        if path.exists():
            shutil.rmtree(replaced, ignore_errors=True)


def _first_new(path: Path) -> Path | None:
    """Returns the highest folder above a path that has to be made; None where there is none."""
    new = [above for above in path.absolute().parents if not above.exists()]
    return new[-1] if new else None


def _remove_empty(folder: Path, highest: Path) -> None:
    """Removes folders that were made for an export that did not come to be, from the lowest up."""
    for place in (folder.absolute(), *folder.absolute().parents):
        try:
            place.rmdir()
        except OSError:  # something is in it: the export, say
            return
        if place == highest:
            return
