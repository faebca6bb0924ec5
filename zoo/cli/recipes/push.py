"""`zoo recipe push`: a run or a recipe as the next version on a shelf."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import InPath, Reference, json_option
from zoo.cli.output import echo, emit
from zoo.cli.private_key import private_key
from zoo.cli.shell.completion import complete_reference
from zoo.cli.shell.groups import Verb

if TYPE_CHECKING:
    from zoo.sharing.publishing import Publication
    from zoo.shelves.versions import Version


@click.command("push", cls=Verb)
@click.argument("reference", type=Reference(), metavar="RUN|RECIPE", shell_complete=complete_reference)
@click.argument("target", metavar="SHELF/NAME")
@click.option("--sign", "key", type=InPath(), metavar="KEY", help="Sign the version with this private key (Ed25519).")
@click.option(
    "--weights/--no-weights", default=False, show_default=True, help="Whether to push the model of a RUN too."
)
@click.option("--describe", metavar="TEXT", help="One line for lists; by default the recipe's own.")
@json_option()
def push_command(
    reference: str, target: str, key: Path | None, weights: bool, describe: str | None, as_json: bool
) -> None:
    """Publish a finished RUN or a RECIPE as the next version of NAME on a shelf.

    Of a RUN go its recipe, its lock, its receipt and its curves, and with --weights its model; of the folder around the
    runs of --seeds the first, with the spread of all in its lock. Of a RECIPE go the recipe, the files that it extends,
    and the lock beside it. A recipe on another shelf is copied with all that is in it. A version is never changed.
    Where the newest version has the same recipe and results, nothing is published; weights, another signature or
    another description make a new one.

    \b
    Examples:
      zoo recipe push runs/pets vision/pets
      zoo recipe push runs/pets vision/pets --weights --sign team.key
      zoo recipe push pets.toml vision/pets --describe "Cats and dogs, 12 minutes on a laptop"
    """
    from zoo.models.weights import file_size
    from zoo.sharing.publishing import compose, signed
    from zoo.sharing.repeated import find_repeated
    from zoo.shelves.names import read_reference
    from zoo.shelves.shelf import open_shelf

    to = read_reference(target)
    if to.number is not None or to.sha256 is not None:
        raise click.UsageError(f"{target}: names a version; a push makes the next one; leave out @...")
    if describe is not None and not describe.isprintable():
        raise click.UsageError("--describe: holds a line break or a control character; expected one line")
    signer = None if key is None else private_key(key)
    shelf = open_shelf(to.shelf)
    publication = compose(reference, weights=weights, description=describe)
    if signer is not None:
        publication = signed(publication, signer)
    same = find_repeated(shelf, to.name, publication)
    notes = [] if same is None else [same.note]
    if same is not None and same.is_newest:
        _say(same.version, publication, notes, as_json=as_json, is_published=False)
        return
    if not as_json:
        for line in _lines(publication, file_size(publication.weights_bytes)):
            echo(line)
    version = shelf.publish(to.name, publication.files, publication.metadata)
    fault = shelf.fault_of(to.name)
    if fault:
        notes.append(f"{version.reference} is on the shelf, and cannot be taken from here yet: {fault}")
    _say(version, publication, notes, as_json=as_json, after=shelf.place.after_writing)


def _say(
    version: "Version",
    publication: "Publication",
    notes: Sequence[str],
    *,
    as_json: bool,
    is_published: bool = True,
    after: str = "",
) -> None:
    """Says which version has what was to be published.

    Args:
        version: The one that was published, or that was there.
        publication: What was to be published.
        notes: What to know of it.
        as_json: Whether a program reads it.
        is_published: Whether it is new.
        after: What to type next.
    """
    if as_json:
        document = {
            "version": version.reference,
            "identity": version.identity,
            "published": is_published,
            "files": {name: one.sha256 for name, one in version.files.items()},
            "weights_bytes": publication.weights_bytes,
            "signed_by": version.metadata.signed_by,
            "note": "; ".join(notes),
            "names_images": publication.names_images,
        }
        emit("recipe-push", document)
        return
    for note in notes:
        echo(f"note: {note}", err=True)
    if is_published:
        echo(f"pushed   {version.identity}", whole=True)
    if after:
        echo(f"commit   {after}", whole=True)
    echo(version.reference, whole=True)


def _lines(publication: "Publication", size: str) -> list[str]:
    """Says what is about to be published: files, weights, what has to be trusted, who signs, and what is not known."""
    from zoo.sharing.locks.data import WITHOUT_KEYS
    from zoo.shelves.versions import read_metadata

    metadata = publication.metadata
    licence = f"; begins with weights of licence {metadata['licence']}" if metadata.get("licence") else ""
    weights = size if publication.weights_bytes else "not pushed"
    lines = [f"files    {', '.join(publication.files)}", f"weights  {weights}{licence}"]
    lines += [f"needs    {one}" for one in read_metadata(metadata).needs]
    signer = metadata.get("signed_by")
    lines.append(f"signed   by key {signer}" if signer else "signed   no")
    if publication.names_images is False:
        lines.append(f"note     {WITHOUT_KEYS}")
    return lines
