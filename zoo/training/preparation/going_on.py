"""What a run that goes on begins with: its record, its lines of metrics, and where it was left."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoo.runs.checkpoint import Checkpoint
from zoo.runs.counted_in_batches import lines_anew
from zoo.runs.exactness import claim_after
from zoo.runs.folder import RunFolder
from zoo.runs.record import RunRecord


def going_on(before: RunRecord, now: RunRecord, resume_from: Checkpoint, *, deterministic: bool) -> RunRecord:
    """Returns the record of a run that goes on: what it was begun with, and what it may claim from now on."""
    claim = claim_after(before, now, deterministic=deterministic)
    return replace(before.going_on(now, phases=resume_from.progress.phase), exactness=claim)


def history_of(folder: RunFolder, resume_from: Checkpoint | None, *, accumulate: int) -> list[Mapping[str, Any]]:
    """Returns the lines of metrics.jsonl that a run goes on with: those that its checkpoint keeps."""
    if resume_from is None:
        return []
    lines = resume_from.history()
    if lines is None:  # an earlier zoo's
        progress = resume_from.progress
        return lines_anew(folder.metrics()[: progress.epoch], progress, accumulate=accumulate)
    return list(lines)
