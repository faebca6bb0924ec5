"""Which checkpoint a run goes on from, and which holds its best model: good ones only, and what is damaged is named."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import RunError
from zoo.runs import checkpoint
from zoo.runs.checkpoint import Checkpoint
from zoo.runs.folder import RunFolder, resume_command
from zoo.system.text_tables import counted

# More epochs without a checkpoint are counted.
_LISTED = 10


def newest_good(run: RunFolder, *, phases: int, say: Callable[[str], object]) -> Checkpoint | None:
    """Returns the newest checkpoint of which every file is what its manifest says; None where there is none at all.

    Args:
        run: The run.
        phases: How many its recipe has.
        say: Told which file is damaged, and which checkpoint is taken instead.

    Raises:
        RunError: All of them are damaged.
    """
    damaged: list[str] = []
    for path in reversed(checkpoint.folders(run.checkpoints)):
        try:
            found = checkpoint.open_checkpoint(path)
            found.verify()
            _check_progress(found, phases=phases)
        except RunError as fault:
            damaged.append(str(fault))
            continue
        for fault in damaged:
            say(f"warning: {fault}; goes on from the checkpoint before, {path.name}")
        return found
    if not damaged:
        return None
    raise RunError(
        f"{damaged[0]}, and no other checkpoint of {run.path} is whole; nothing was changed; put the file back, or "
        f"train again in another folder: zoo finetune {shlex.quote(str(run.path))} --run DIR"
    )


def _check_progress(found: Checkpoint, *, phases: int) -> None:
    """Refuses progress that no run of the recipe can have."""
    progress, history = found.progress, found.history()
    counts = (progress.phase, progress.epoch_in_phase, progress.epoch, progress.step, progress.batch)
    are_counts = all(type(count) is int and count >= 0 for count in counts)
    fits = are_counts and progress.phase < phases and progress.epoch_in_phase <= progress.epoch
    if not fits or (history is not None and len(history) != progress.epoch):
        raise RunError(f"{found.path / checkpoint.MANIFEST_FILE}: is damaged (its progress is not one of this recipe)")


def best_checkpoint(run: RunFolder, *, unsaved: Sequence[int], say: Callable[[str], object]) -> Checkpoint:
    """Returns the checkpoint with the best model, the newest where nothing was monitored, or where the best is gone.

    Args:
        run: The run, whose training is over.
        unsaved: Epochs whose checkpoints could not be written, which the recipe lets pass.
        say: Told of those, and where the best is gone.

    Raises:
        RunError: It is damaged, or there is none.
    """
    newest = checkpoint.latest(run.checkpoints)
    if newest is None:
        why = "; none could be written; free some space and train again" if unsaved else ""
        raise RunError(f"{run.checkpoints}: no checkpoint is there after training{why}")
    if unsaved:
        epochs = ", ".join(map(str, unsaved[-_LISTED:]))
        say(
            f"warning: {run.checkpoints}: the checkpoints of {counted(len(unsaved), 'epoch')} could not be written: "
            f"{'..., ' if len(unsaved) > _LISTED else ''}{epochs}"
        )
    best = newest.progress.best
    found = newest if best is None else checkpoint.at_batch(run.checkpoints, best.batch)
    if found is None:
        for path in checkpoint.folders(run.checkpoints):
            require_best(path)
        say(f"warning: the checkpoint of the best epoch, after batch {best and best.batch}, is gone; the last is kept")
        return newest
    require_best(found.path)
    return found


def require_best(path: Path) -> None:
    """Makes sure that a checkpoint which may hold a best epoch is whole.

    Raises:
        RunError: It is damaged; the message says what to do.
    """
    try:
        checkpoint.open_checkpoint(path).verify()
    except RunError as fault:
        raise RunError(
            f"{fault}, and it holds the best epoch; put the file back, or delete {shlex.quote(str(path))} to keep the "
            f"last epoch, and go on: {resume_command(path.parent.parent)}"
        ) from fault


def figures_of(kept: Checkpoint, rows: Sequence[Mapping[str, Any]], *, monitor: str) -> dict[str, float | None]:
    """Returns what the epoch of a checkpoint came to, by the metric that was monitored and by the validation loss.

    Args:
        kept: The checkpoint.
        rows: The lines of metrics.jsonl.
        monitor: The metric; its figure is None where nothing validated.
    """
    best = kept.progress.best
    if best is None:
        return {monitor: None}
    if best.batch == kept.progress.batch:
        return {monitor: best.value, **({} if best.loss is None else {"val_loss": best.loss})}
    row = rows[kept.progress.epoch - 1]
    return {name: row[name] for name in (monitor, "val_loss")}
