"""Runs of zoo 0.1, which counted batches where they said steps.

Where `train.accumulate` is 1, both are the same. Else a run that goes on is counted anew, so that its lines and
checkpoints, old and new, count the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.runs.folder import RunFolder
from zoo.runs.progress import Best, Progress


def counted_anew(progress: Progress, run: RunFolder) -> Progress:
    """Returns the progress of a checkpoint of zoo 0.1 in steps.

    Args:
        progress: Its steps are batches.
        run: Whose checkpoint it is; a checkpoint alone is taken as it is.
    """
    batch = run.record().batch if run.record_path.is_file() else None
    if batch is None or batch.accumulate == 1:
        return progress
    per_epoch = progress.batch // progress.epoch
    lines = run.metrics()[: progress.epoch]
    steps = dict(enumerate(steps_of(lines, batches_per_epoch=per_epoch, accumulate=batch.accumulate), start=1))

    def step_after(batches: int) -> int:
        # Where its line is lost, as if all had been one phase.
        return steps.get(batches // per_epoch, batches // batch.accumulate)

    def anew(best: Best | None) -> Best | None:
        return best and replace(best, step=step_after(best.batch))

    return replace(
        progress,
        step=step_after(progress.batch),
        best=anew(progress.best),
        phase_best=anew(progress.phase_best),
    )


def lines_anew(lines: Sequence[Mapping[str, Any]], progress: Progress, *, accumulate: int) -> list[Mapping[str, Any]]:
    """Returns the lines of metrics.jsonl before a checkpoint in steps, where zoo 0.1 wrote them.

    Args:
        lines: Up to the checkpoint.
        progress: The checkpoint's.
        accumulate: Batches of a step.
    """
    if not lines or lines[-1]["step"] == progress.step:
        return list(lines)
    steps = steps_of(lines, batches_per_epoch=progress.batch // progress.epoch, accumulate=accumulate)
    return [{**line, "step": step} for line, step in zip(lines, steps, strict=True)]


def steps_of(lines: Sequence[Mapping[str, Any]], *, batches_per_epoch: int, accumulate: int) -> list[int]:
    """Counts the steps of a run after each epoch; batches that wait for a step when their phase ends come to none.

    Args:
        lines: The lines of metrics.jsonl from the first on.
        batches_per_epoch: Of all epochs.
        accumulate: Batches of a step.
    """
    steps: list[int] = []
    before = 0
    for line in lines:
        if line["epoch_in_phase"] == 1:
            before = steps[-1] if steps else 0
        steps.append(before + line["epoch_in_phase"] * batches_per_epoch // accumulate)
    return steps
