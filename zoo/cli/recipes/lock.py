"""`zoo recipe lock`: all that decides what a recipe comes to, in one file beside it."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import InPath, OutFile, Reference, data_option, json_option, trust_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.completion import complete_reference
from zoo.cli.shell.groups import Verb

if TYPE_CHECKING:
    from zoo.sharing.locks.files import LockFile
    from zoo.sharing.locks.lock import Lock


@click.command("lock", cls=Verb)
@click.argument("reference", type=Reference(), metavar="RECIPE|RUN", shell_complete=complete_reference)
@data_option()
@click.option(
    "--out", type=OutFile(".lock"), metavar="FILE", help="By default NAME.lock beside the recipe, or here for a run."
)
@click.option("--force", is_flag=True, help="Replace a lock that differs; what changed is said.")
@trust_option
@json_option()
def lock_command(reference: str, data: Path | None, out: Path | None, force: bool, as_json: bool) -> None:
    """Write all that decides what a recipe comes to into NAME.lock: recipe, weights, images, versions, machine.

    Of a RECIPE that is what is known without training; its images are read as a run reads them. Of a RUN, or of the
    folder around the runs of --seeds, it is also what the recipe came to, with its spread. A lock that is there and
    says something else is replaced only with --force.

    \b
    Examples:
      zoo recipe lock pets.toml --data photos/
      zoo recipe lock runs/pets --out pets.lock
    """
    from zoo.sharing.locks.files import (
        default_lock_path,
        lock_path_beside,
        refuse_beside_another_recipe,
        write_lock,
    )
    from zoo.sharing.locks.making import is_run_or_runs, lock_recipe, lock_runs

    if is_run_or_runs(reference):
        if data is not None:
            raise click.UsageError("--data is for a RECIPE; a RUN knows its images")
        lock, names = lock_runs(InPath().convert(reference, None, None)), None
        if not force:
            refuse_beside_another_recipe(lock, out or default_lock_path(reference, lock), reference)
    else:
        from zoo.cli.shell.start import start_backend
        from zoo.sharing.locks.image_files import image_files

        if out is None and (beside := lock_path_beside(reference)) is not None:
            out = OutFile().convert(beside, None, None)
        lock = lock_recipe(reference, data, load=start_backend)
        names = partial(image_files, reference, data)
    written = write_lock(lock, out or default_lock_path(reference, lock), force=force, names=names)
    if as_json:
        emit("recipe-lock", _document(lock, written))
        return
    for difference in written.differences:
        echo(f"changed  {difference}")
    for line in _lines(lock):
        echo(line)
    echo(f"{written.path}  {written.state}", whole=True)
    if lock.expected is None:
        images = f" --data {shlex.quote(str(data))}" if data is not None else ""
        train = f"zoo finetune {shlex.quote(reference)}{images}"
        echo(f"next     {train}, then zoo recipe lock RUN: it adds what is expected")


def _lines(lock: "Lock") -> list[str]:
    """Says in short what is locked, and what is not."""
    from zoo.sharing.locks.data import WITHOUT_KEYS

    images = ", ".join(
        f"{split} {sum(one.images for one in classes.values()):,}" for split, classes in lock.data.splits.items()
    )
    weights = lock.weights
    known = f" {weights.sha256[:12]}..." if weights.sha256 else "" if weights.set == "none" else ", hash not known"
    lines = [
        f"recipe   {lock.recipe.name}, {counted(len(lock.recipe.parents), 'parent')}",
        f"weights  {weights.model}: {weights.set}{known}",
        f"images   {images} of {len(lock.classes):,} classes",
    ]
    if lock.expected is not None and (accuracy := lock.expected.metrics.get("accuracy")) is not None:
        spread = ""
        if accuracy.mean is not None and accuracy.deviation is not None:
            spread = f"; {counted(lock.expected.runs, 'run')}: {accuracy.mean:.4f} ± {accuracy.deviation:.4f}"
        lines.append(f"expected accuracy {accuracy.value:.4f}{spread}")
    if not lock.data.has_keys:
        lines.append(f"note     {WITHOUT_KEYS}")
    return lines


def _document(lock: "Lock", written: "LockFile") -> dict[str, object]:
    return {
        "lock": str(written.path),
        "state": written.state,
        "changed": [{"name": one.name, "then": str(one.then), "now": str(one.now)} for one in written.differences],
        "recipe": lock.recipe.name,
        "data_sha256": lock.data.sha256,
        "names_images": lock.data.has_keys,
        "expected": {name: one.to_json() for name, one in lock.expected.metrics.items()} if lock.expected else None,
    }
