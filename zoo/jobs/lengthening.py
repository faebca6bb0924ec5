"""More epochs for a finished run: a new run folder that goes on where the run ended.

Under a constant rate without warm-up the new run is bit by bit what it would have been, had it been asked for at once.
Under any other schedule the rates depend on how many epochs there are: the epochs that are done had those of the
shorter one, and the new ones have those of the longer one from there on, down to its end.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace

from zoo.errors import RunError
from zoo.recipe.schema import Phase, Recipe
from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder, resume_command
from zoo.runs.images import FILE
from zoo.runs.record import ContinuesRecord
from zoo.system.files import sha256, sha256_of, write_atomic
from zoo.system.integrity.checked_reading import covered


def lengthened(run: RunFolder, recipe: Recipe, more_epochs: int) -> Recipe:
    """Returns the recipe of a finished run with more epochs in its last phase.

    Args:
        run: The finished run.
        recipe: Its recipe.
        more_epochs: How many more.

    Raises:
        RunError: The run is not finished, or cannot go on.
    """
    if more_epochs < 1:
        raise RunError(f"{more_epochs} more epochs; expected 1 or more")
    if (status := run.record().status) != "done":
        raise RunError(
            f"{run.path}: is not finished (status {status}); go on with it first: {resume_command(run.path)}"
        )
    newest = checkpoint.latest(run.checkpoints)
    if newest is None:
        raise RunError(f"{run.checkpoints}: holds no checkpoint to go on from; begin with the run's weights: --weights")
    if recipe.train.hyperrule != "none":
        raise RunError(
            f"{run.path}: how many epochs it trains follows from its data (train.hyperrule = "
            f'"{recipe.train.hyperrule}"); begin a new run with its weights: --weights {run.path}'
        )
    last = recipe.phases[-1]
    if recipe.train.early_stopping and newest.progress.stale_epochs >= recipe.train.early_stopping:
        raise RunError(
            f"{run.path}: phase '{last.name}' ended early, at epoch {newest.progress.epoch_in_phase} of {last.epochs}, "
            f"and would at once again; begin a new run with its weights: --weights {run.path}"
        )
    longer = last.model_copy(update={"epochs": last.epochs + more_epochs})
    return recipe.model_copy(update={"phases": (*recipe.phases[:-1], longer)})


def _difference(before: Phase, longer: Phase) -> str:
    """Says where more epochs do not come to the same as if they had been asked for at once."""
    if longer.schedule == "constant" and not longer.warmup:
        return ""
    return (
        f"; its epochs had the rates of {longer.schedule} over {before.epochs} epochs, and the new ones have those "
        f"over {longer.epochs}: not the same as {longer.epochs} at once"
    )


def _copy_checkpoints(run: RunFolder, folder: RunFolder) -> None:
    """Copies the checkpoints, and compares each copy with what is known of the file."""
    shutil.copytree(run.checkpoints, folder.checkpoints)
    known = covered(run.path)
    for copy in folder.checkpoints.rglob("*"):
        if copy.is_file() and not copy.name.startswith("."):
            known.check(copy.relative_to(folder.path).as_posix(), sha256(copy))


def begin_lengthened(folder: RunFolder, run: RunFolder, recipe: Recipe, *, say: Callable[[str], None]) -> None:
    """Fills a new run folder with what the finished run came to, so that it goes on from there; that run stays.

    Args:
        folder: The new one, empty.
        run: The finished run.
        recipe: From `lengthened`.
        say: Told what goes on, in a line.
    """
    before = run.recipe().phases[-1]
    say(f"goes on with {run.path}{_difference(before, recipe.phases[-1])}")
    continues = ContinuesRecord(run=str(run.path.resolve()), epochs=len(run.metrics()))
    record = replace(run.record().without_result(), status="interrupted", continues=continues)
    text = recipe.to_toml()
    hashes = {folder.recipe_path.name: sha256_of(text)}
    try:
        _copy_checkpoints(run, folder)
        folder.write_metrics(run.metrics())
        if (run.path / FILE).is_file():
            shutil.copy(run.path / FILE, folder.path / FILE)
            hashes[FILE] = sha256(folder.path / FILE)
        folder.write_record(replace(record, sha256=hashes))
        # The last: until it is there, no run has begun here.
        write_atomic(folder.recipe_path, text)
    except BaseException:
        for part in (folder.checkpoints, folder.metrics_path, folder.path / FILE, folder.record_path):
            shutil.rmtree(part, ignore_errors=True)
            part.unlink(missing_ok=True)
        raise
