"""What a step that failed saw: failed/batch.json, and the last checkpoint before it, so that it can be taken again.

All that a step draws is a function of the recipe's seed and of where the step is, so that images and state before it
follow from the checkpoint: a few seconds of training lead there again.
"""

import contextlib
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.errors import NotFoundError, RunError
from zoo.runs.checkpoint import Checkpoint, latest
from zoo.runs.folder import RunFolder
from zoo.system.files import write_atomic
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

FOLDER, FILE = "failed", "batch.json"
# Characters of a fault that are kept: TensorFlow prints whole graphs.
_LONGEST = 2_000


@dataclass(frozen=True, kw_only=True)
class FailedImage(JsonObject):
    """An image of the batch.

    Attributes:
        image: Its path, or its number in the training split where it has none.
        row: Where it lies among the images that trained.
        label: Its class name.
    """

    image: str
    row: int
    label: str


@dataclass(frozen=True, kw_only=True)
class FailedBatch(JsonObject):
    """A batch in which training failed.

    Attributes:
        phase: The phase's name.
        epoch: Of the run, counted from 1.
        batch: Of the epoch, counted from 1.
        step: Of the run, counted from 1.
        seed: The recipe's: what is drawn follows from it, the epoch and the batch.
        fault: What was reported.
        images: In the order of the batch.
    """

    phase: str
    epoch: int
    batch: int
    step: int
    seed: int
    fault: str
    images: tuple[FailedImage, ...]


def keep(folder: RunFolder, failed: FailedBatch) -> None:
    """Writes what a step saw in the place of one that failed before, with a link to the newest checkpoint."""
    target = folder.path / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    if (newest := latest(folder.checkpoints)) is not None:
        link_checkpoint(newest, target)
    failed = replace(failed, fault=failed.fault[:_LONGEST])
    write_atomic(target / FILE, sealed({"schema": 1, "kind": "failed-batch", **failed.to_json()}))


def link_checkpoint(source: Checkpoint, folder: Path) -> None:
    """Has a checkpoint in another folder too, under its name, without its bytes where the file system can."""
    target = folder / source.path.name
    target.mkdir()
    for file in source.path.iterdir():
        try:
            os.link(file, target / file.name)
        except OSError:
            shutil.copyfile(file, target / file.name)


def read(folder: RunFolder) -> FailedBatch:
    """Reads what `keep` wrote.

    Raises:
        NotFoundError: No step of the run has failed.
        RunError: The file is damaged.
    """
    path = folder.path / FOLDER / FILE
    if not path.is_file():
        raise NotFoundError(f"{folder.path}: no step of this run has failed; there is nothing to replay")
    try:
        document = read_document(path, follow_links=False).values
        values = {key: value for key, value in document.items() if key not in ("schema", "kind")}
        return read_object(values, FailedBatch)
    except (OSError, DamagedDocumentError, JsonObjectError) as fault:
        raise RunError(f"{path}: {fault}; go on with the run, and it is kept anew if the step fails again") from None


def checkpoint_before(folder: RunFolder) -> Checkpoint | None:
    """Returns the checkpoint before a failed step; None where the run had none yet."""
    return latest(folder.path / FOLDER)


def remove(folder: RunFolder) -> None:
    """Removes what is kept of a failed step, since the run has gone past it."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder.path / FOLDER)
