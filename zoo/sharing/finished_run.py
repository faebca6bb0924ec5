"""A run that can be vouched for: finished, with every file as it was written."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from zoo.errors import RunError
from zoo.jobs.resuming import how_to_resume
from zoo.jobs.run_verification import refuse_damage
from zoo.models.arrays import MODEL_FILE
from zoo.models.saved_card import SavedCard
from zoo.models.saving import CARD_FILE, MODEL_FOLDER, read_card
from zoo.runs.folder import RunFolder
from zoo.runs.images import RunImages, read_images
from zoo.runs.record import ResultRecord, RunRecord
from zoo.system.integrity.manifests import MANIFEST_FILE, finished_folder

NUMBERS = f"{MODEL_FOLDER}/{MODEL_FILE}"
CARD = f"{MODEL_FOLDER}/{CARD_FILE}"


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What is read of a run once all of it was verified.

    Attributes:
        folder: Its folder.
        record: run.json.
        result: What the best model was measured at.
        recipe: recipe.toml.
        card: The model's card.
        sha256: The hash of each of its files, by name.
    """

    folder: RunFolder
    record: RunRecord
    result: ResultRecord
    recipe: str
    card: SavedCard
    sha256: Mapping[str, str]

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.folder.path

    @property
    def finished(self) -> datetime:
        """When its last file was written."""
        return datetime.fromtimestamp((self.path / MANIFEST_FILE).stat().st_mtime, UTC)

    def images(self) -> RunImages:
        """Reads which images each split had.

        Raises:
            RunError: An earlier zoo made the run, which did not keep them.
        """
        images = read_images(self.path)
        if images is None:
            raise RunError(f"{self.path}: lists no images, as an earlier zoo made it; {_again(self.path)}")
        return images


def _again(path: Path) -> str:
    return f"train it again: zoo finetune {shlex.quote(str(path))}"


def open_finished(path: Path) -> FinishedRun:
    """Opens a run, and compares every file of it with its hash.

    Raises:
        NotFoundError: It is not a run folder.
        RunError: It is not finished.
        ContractError: A file is not what was written.
    """
    folder = RunFolder.open(path)
    refuse_damage(folder)
    record = folder.record()
    if record.status != "done" or record.result is None:
        raise RunError(f"{path}: is not finished (status {record.status}); {how_to_resume(path)}")
    covered = finished_folder(path)
    if covered is None:
        raise RunError(f"{path}: has no {MANIFEST_FILE}, which a kill left out; {how_to_resume(path)}")
    if not covered.is_complete:
        raise RunError(f"{path}: {MANIFEST_FILE} has no seal, as an earlier zoo wrote it; {_again(path)}")
    return FinishedRun(
        folder=folder,
        record=record,
        result=record.result,
        recipe=folder.recipe_content().decode(),
        card=read_card(folder.model),
        sha256=covered.sha256,
    )
