"""`zoo bundle`: a run or a recipe in one file, with all that a machine without a network needs."""

import contextlib
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import InPath, OutFile, Reference, gathered, json_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.private_key import private_key
from zoo.cli.shell.completion import complete_reference
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.sharing.bundles.composing import Bundle, Contents

_MISSING = "required and not installed here, so neither in requirements.txt nor among the wheels: {}"
_UNSIGNED = "the bundle that {} was before is signed, and this one is not; --sign KEY signs it"


@dataclass(frozen=True, kw_only=True)
class BundleOptions:
    """What `zoo bundle` is asked to do."""

    reference: str
    out: Path
    wheels: bool
    hashes: bool
    model: bool
    key: Path | None


@click.command("bundle")
@click.argument("reference", type=Reference(), metavar="RUN|RECIPE|SHELF/NAME", shell_complete=complete_reference)
@click.argument("out", type=OutFile(".zip"), metavar="OUT.zip")
@click.option("--wheels", is_flag=True, help="Put the wheels of zoo and of all that it needs into it, by pip.")
@click.option(
    "--hashes/--no-hashes", default=True, show_default=True, help="Whether pip asks its index for the wheels' hashes."
)
@click.option("--model/--no-model", default=True, show_default=True, help="Whether the model of a RUN goes with it.")
@click.option("--sign", "key", type=InPath(), metavar="KEY", help="Sign the bundle with this private key (Ed25519).")
@json_option()
@gathered(BundleOptions)
def bundle_command(asked: BundleOptions, as_json: bool) -> None:
    """Write a finished RUN, a RECIPE or a version on a shelf into one file that needs no network.

    In it are the resolved recipe and what it extends, the weights that it begins with, the lock, the receipt, the
    curves and the model of a RUN, a SavedModel that it names, and requirements.txt: zoo and all that it needs here,
    with hashes. Images are not in it. Whoever has it types: zoo finetune OUT.zip --data photos/

    \b
    Examples:
      zoo bundle runs/pets pets.zip
      zoo bundle vision/pets@3 pets.zip --sign team.key
      zoo bundle pets.toml pets.zip --wheels
    """
    from zoo.recipe.finding import is_bundle_file
    from zoo.sharing.bundles.composing import contents_of, signed_bundle
    from zoo.shelves.bundles.archive import is_signed

    if asked.out.suffix != ".zip":
        raise click.UsageError(f"{asked.out}: expected a name that ends in .zip")
    if asked.out.is_symlink() or (asked.out.exists() and not asked.out.is_file()):
        raise DataError(f"{asked.out}: is there already, and is not a file; give another name")
    if asked.out.exists() and asked.out.stat().st_size and not is_bundle_file(asked.out):
        raise DataError(f"{asked.out}: is there already, and is not a bundle; give another name")
    signer = None if asked.key is None else private_key(asked.key)
    notes = [_UNSIGNED.format(asked.out)] if signer is None and is_signed(asked.out) else []
    contents = contents_of(asked.reference, model=asked.model)
    if contents.missing:
        notes.append(_MISSING.format(", ".join(contents.missing)))
    with _with_wheels(contents, asked) as bundle:
        ready = bundle if signer is None else signed_bundle(bundle, signer)
        if not as_json:
            for line in _lines(ready):
                echo(line)
        ready.write(asked.out)
    if as_json:
        emit("bundle", {**_document(ready, asked.out), "not_installed": list(contents.missing), "notes": notes})
        return
    for note in notes:
        echo(f"note: {note}", err=True)
    echo(f"bundled  {asked.out.stat().st_size:,} bytes, sha256:{ready.sha256}")
    echo(asked.out, whole=True)


@contextlib.contextmanager
def _with_wheels(contents: "Contents", asked: BundleOptions) -> Generator["Bundle"]:
    """Makes the bundle, with wheels or their hashes as far as they are asked for; what is fetched is said before."""
    from zoo.sharing.bundles.composing import bundle_of_contents
    from zoo.sharing.bundles.packages import installed_bytes
    from zoo.sharing.bundles.wheels import WheelsError, downloaded, with_hashes

    listed = counted(len(contents.packages), "package")
    size = f"{installed_bytes(contents.packages):,} bytes when they are installed"
    if asked.wheels:
        echo(f"fetching the wheels of {listed}, which have {size}", err=True)
        with tempfile.TemporaryDirectory(dir=asked.out.absolute().parent, prefix=".wheels-") as name:
            folder = Path(name)
            yield bundle_of_contents(contents, find_wheels=lambda all_of: downloaded(all_of, folder), wheels=folder)
        return
    bundle = None
    if asked.hashes:
        echo(
            f"asking the index of pip for the hashes of {listed} (--no-hashes does not); where the index lists no "
            f"metadata, pip downloads the wheels, which have {size}",
            err=True,
        )
        try:
            bundle = bundle_of_contents(contents, find_wheels=with_hashes)
        except WheelsError as fault:
            echo(f"note: the wheels' hashes are left out: {fault}", err=True)
    yield bundle or bundle_of_contents(contents)


def _lines(bundle: "Bundle") -> list[str]:
    """Says what is in it, what it begins with and under which licence, and what has to be trusted."""
    from zoo.models.weights import file_size

    document = bundle.document
    sizes = {name: one.size for name, one in document.files.items()}
    weights = document.weights
    carried = sum(sizes[name] for name in sizes if weights.file and name.startswith(weights.file))
    size = file_size(carried) if weights.file else "random" if weights.set == "none" else "they come with zoo"
    licence = f", of licence {document.metadata.licence}" if document.metadata.licence else ""
    wheels = [name for name in sizes if name.startswith("wheels/")]
    known = sum(one.sha256 is not None for one in document.wheels)
    lines = [
        f"files    {len(sizes):,}, {sum(sizes.values()):,} bytes",
        f"weights  '{weights.set}' of {weights.model}: {size}{licence}",
        f"model    {file_size(sizes.get('model/model.safetensors')) if 'model/card.json' in sizes else 'none'}",
        f"wheels   {len(wheels):,} of {counted(len(document.wheels), 'package')}, "
        f"{sum(sizes[name] for name in wheels):,} bytes; hashes of {known:,}; for Python {document.python} on "
        f"{document.platform}",
    ]
    lines += [f"needs    {one}" for one in document.metadata.needs]
    return [*lines, f"signed   by key {bundle.signed_by}" if bundle.signed_by else "signed   no"]


def _document(bundle: "Bundle", out: Path) -> dict[str, Any]:
    document = bundle.document
    return {
        "path": str(out),
        "bytes": out.stat().st_size,
        "name": document.name,
        "sha256": bundle.sha256,
        "origin": document.origin.to_json() if document.origin else None,
        "weights": document.weights.to_json(),
        "files": {name: one.to_json() for name, one in document.files.items()},
        "wheels": [one.to_json() for one in document.wheels],
        "python": document.python,
        "platform": document.platform,
        "needs": list(document.metadata.needs),
        "signed_by": bundle.signed_by,
    }
