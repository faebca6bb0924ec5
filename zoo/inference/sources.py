"""What can answer: a finished run, its `model` folder, or a model's name; looked at before anything is loaded."""

import os
from pathlib import Path

from zoo import registry
from zoo.errors import NotFoundError, WeightsError, did_you_mean
from zoo.models import weights
from zoo.models.saving import CARD_FILE, read_card
from zoo.registry import Download
from zoo.runs.folder import RunFolder, holds_runs, resume_command
from zoo.system.paths import given_path


def check_source(source: os.PathLike[str] | str) -> None:
    """Looks whether there is a classifier to load, before anything is.

    Raises:
        NotFoundError: There is no finished run, and no model of this name that has classes of its own.
        WeightsError: The model's weights are not on this machine.
    """
    name, path = str(source), given_path(source, "the path of the run")
    if model_folder(path) is not None:
        return
    if name not in registry.list_models():
        if held := holds_runs(path):
            raise NotFoundError(held)
        if path.is_file():
            raise NotFoundError(
                f"{name}: is a file; expected the folder of a finished run or of an export, or a model's name"
            )
        hint = "" if path.exists() else did_you_mean(name.lower(), registry.list_models())
        raise NotFoundError(
            f"{name}: not a run folder (no run.json in it) and not a model's name.{hint} See 'zoo list' for models."
        )
    card = registry.info(name)
    weight_set = card.weight_set("default")
    if weight_set is None:
        raise NotFoundError(
            f"model '{name}' has no pretrained weights, and so no classes of its own; train it first: "
            f"zoo finetune {name} --data PHOTOS"
        )
    if not isinstance(weight_set.source, Download) and weights.locate(weight_set) is None:
        raise WeightsError(
            f"{name}: weights '{weight_set.name}' are not here; get them with '{weights.how_to_get(weight_set, name)}'"
        )


def model_folder(path: Path) -> Path | None:
    """Returns the folder of a run's model; None where there is no run.

    Raises:
        NotFoundError: The run has not come to its end.
    """
    if (path / CARD_FILE).is_file():
        return path
    folder = RunFolder(path)
    if not folder.record_path.is_file():
        return None
    if not (folder.model / CARD_FILE).is_file():
        raise NotFoundError(
            f"{path}: the run holds no finished model (status {folder.record().status}); "
            f"go on with it: {resume_command(path)}"
        )
    return folder.model


def weights_of(source: os.PathLike[str] | str) -> str:
    """Returns the SHA-256 of the weights that a source has, in hex; empty where nothing says it.

    Args:
        source: What `check_source` lets pass.

    Raises:
        WeightsError: The card of a run's model is damaged.
    """
    folder = model_folder(given_path(source, "the path of the run"))
    if folder is not None:
        return read_card(folder).sha256
    weight_set = registry.info(str(source)).weight_set("default")
    return weights.expected_sha256(weight_set) if weight_set else ""
