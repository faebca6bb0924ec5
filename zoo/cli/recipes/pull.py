"""`zoo recipe pull`: a version from a shelf, verified, in the cache or in a folder."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import click

from zoo.cli.options import json_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.completion import complete_recipe
from zoo.cli.shell.groups import Verb
from zoo.errors import DataError
from zoo.system.files import TO_WRITE_AFTER_ALL

# More are counted.
NEEDS_LISTED = 20


@click.command("pull", cls=Verb)
@click.argument("reference", metavar="SHELF/NAME[@VERSION]", shell_complete=complete_recipe)
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="Copy its files into this new folder too.")
@json_option()
def pull_command(reference: str, to: Path | None, as_json: bool) -> None:
    """Fetch a recipe from a shelf, verify every file of it, and keep it for use without a network.

    VERSION is a number, or sha256:HASH of the version; the newest by default.

    \b
    Examples:
      zoo recipe pull vision/pets
      zoo recipe pull vision/pets@3 --to pets/
    """
    from zoo.shelves.pulling import pull

    if to is not None and to.exists():
        raise DataError(f"{to}: is there already; expected a new folder")
    found = pull(reference)
    version, path = found.version, found.path
    notes = [one for one in (found.note, _of_a_path(reference, version.reference)) if one]
    if to is not None:
        path = _copied(found.path, version.files, to)
    if as_json:
        emit(
            "recipe-pull",
            {
                "reference": version.reference,
                "name": version.name,
                "version": version.number,
                "sha256": version.sha256,
                "path": str(path),
                "files": {name: one.to_json() for name, one in version.files.items()},
                "offline": found.is_offline,
                "note": "; ".join(notes),
                "signed_by": found.signed_by,
                "needs": list(version.metadata.needs),
            },
        )
        return
    for note in notes:
        echo(note, err=True)
    signed = f"signed by key {found.signed_by}" if found.signed_by else "unsigned"
    echo(f"{version.reference}  {version.identity}", whole=True)
    echo(f"{counted(len(version.files), 'file')}, {version.size:,} bytes, every hash verified; {signed}")
    needs = version.metadata.needs
    for one in needs[:NEEDS_LISTED]:
        echo(f"needs {one}")
    if len(needs) > NEEDS_LISTED:
        echo(f"needs {len(needs) - NEEDS_LISTED:,} more, which --json lists")
    echo(path, whole=True)


def _of_a_path(reference: str, version: str) -> str:
    """Says that a path here has the name that was typed: all verbs but this one take the path."""
    if not os.path.lexists(reference):
        return ""
    return f"note: {version} is pulled; {reference} is also a path here, which comes first in other verbs"


def _copied(source: Path, names: Iterable[str], to: Path) -> Path:
    """Copies files into a new folder, which appears with all of them or not at all."""
    to = to if to.name not in ("", "..") else to.resolve()
    partial = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        for name in names:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, partial / name)
        partial.rename(to)
    except OSError as fault:
        advice = TO_WRITE_AFTER_ALL.get(fault.errno or 0, "give another folder")
        raise DataError(f"{to}: {fault.strerror}; {advice}; nothing was copied") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return to
