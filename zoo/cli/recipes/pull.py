"""`zoo recipe pull`: a version from a shelf, verified, in the cache or in a folder."""

import shutil
from pathlib import Path

import click

from zoo.cli.options import json_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.completion import complete_recipe
from zoo.cli.shell.groups import Verb
from zoo.errors import DataError

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
    if to is not None:
        path = Path(shutil.copytree(found.path, to))
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
                "note": found.note,
                "signed_by": found.signed_by,
                "needs": list(version.metadata.needs),
            },
        )
        return
    if found.note:
        echo(found.note, err=True)
    signed = f"signed by key {found.signed_by}" if found.signed_by else "unsigned"
    echo(f"{version.reference}  {version.identity}", whole=True)
    echo(f"{counted(len(version.files), 'file')}, {version.size:,} bytes, every hash verified; {signed}")
    needs = version.metadata.needs
    for one in needs[:NEEDS_LISTED]:
        echo(f"needs {one}")
    if len(needs) > NEEDS_LISTED:
        echo(f"needs {len(needs) - NEEDS_LISTED:,} more, which --json lists")
    echo(path, whole=True)
