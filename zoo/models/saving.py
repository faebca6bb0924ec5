"""A model's folder: its numbers as model.safetensors, and what rebuilds the graph as card.json; no code."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import NotFoundError, WeightsError
from zoo.foreign import saved_models, trust
from zoo.models.arrays import MODEL_FILE, arrays_of, most_bytes, read_verified
from zoo.models.blueprint import blueprint_of
from zoo.models.saved_card import SCHEMA, CardError, SavedCard, parse_card
from zoo.registry.fitting import ImageFit
from zoo.system.files import make_folder, sha256, write_atomic
from zoo.system.integrity.manifests import CoveredFolder, finished_folder
from zoo.system.integrity.unverified import say_unverified
from zoo.system.sealing import LIMIT, DamagedDocumentError, parse_document, sealed

if TYPE_CHECKING:
    import keras
    import numpy as np

CARD_FILE = "card.json"
MODEL_FOLDER = "model"
# Where a model whose graph is a SavedModel carries it, and the option that names it.
MODULE_FOLDER = "saved_model"
HANDLE = "handle"


def save_model(model: "keras.Model", folder: Path, *, fit: ImageFit | None = None) -> None:
    """Writes a model as model.safetensors and card.json: numbers and what rebuilds the graph, no code.

    Args:
        model: From `build`.
        folder: Made where it is not there.
        fit: How photos were brought to the input size; None for the model's own way.

    Raises:
        OSError: It could not be written.
    """
    from safetensors.numpy import save

    blueprint = blueprint_of(model)
    card = blueprint.card
    fit = fit or blueprint.fit
    make_folder(folder)
    # Between the two files the folder holds no model, rather than one whose hash is another's.
    (folder / CARD_FILE).unlink(missing_ok=True)
    write_atomic(folder / MODEL_FILE, save(arrays_of(model.weights)))
    if HANDLE in blueprint.options:
        saved_models.copy_to(saved_models.fetch(str(blueprint.options[HANDLE])), folder / MODULE_FOLDER)
    document = {
        "schema": SCHEMA,
        "kind": "card",
        **blueprint.to_json(),
        "precision": model.dtype_policy.name,
        "preprocessing": {"pixels": card.preprocessing, **asdict(fit)},
        "licence": {"code": card.licence, "initial_weights": blueprint.licence},
        "sha256": sha256(folder / MODEL_FILE),
    }
    write_atomic(folder / CARD_FILE, sealed(document))


@dataclass(frozen=True)
class SavedFolder:
    """What `save_model` wrote, its card read and checked.

    Attributes:
        path: The folder.
        card: What card.json says.
    """

    path: Path
    card: SavedCard

    def arrays(self, model: "keras.Model") -> "Mapping[str, np.ndarray]":
        """Reads the numbers by path.

        Args:
            model: What they are for, which decides how many there can be.

        Raises:
            WeightsError: They are damaged.
            RunError: They are not those that the run's manifest lists.
        """
        path = self.path / MODEL_FILE
        arrays = read_verified(path, self.card.sha256, limit=most_bytes(model))
        if arrays is None:
            raise WeightsError(f"{path}: its SHA-256 is not the one in {CARD_FILE}; it is damaged")
        covered, prefix = _covered(self.path)
        covered.check(f"{prefix}{MODEL_FILE}", self.card.sha256)
        return arrays


def read_folder(folder: Path) -> SavedFolder:
    """Reads the card of a folder that `save_model` wrote; `SavedFolder.arrays` reads the numbers.

    Raises:
        NotFoundError: It holds no model.
        WeightsError: The card is damaged.
        RunError: The card is not the one that the run's manifest lists.
    """
    if not (folder / CARD_FILE).is_file() or not (folder / MODEL_FILE).is_file():
        raise NotFoundError(f"{folder}: holds no finished model; expected {CARD_FILE} and {MODEL_FILE}")
    return SavedFolder(folder, read_card(folder))


def read_card(folder: Path) -> SavedCard:
    """Reads card.json, and compares it with its seal and with the manifest of the run that it is in.

    Raises:
        WeightsError: It is damaged.
        RunError: It is not the one that the run's manifest lists.
    """
    path = folder / CARD_FILE
    covered, prefix = _covered(folder)
    try:
        document = parse_document(covered.read(f"{prefix}{CARD_FILE}", limit=LIMIT))
        card = parse_card(document.values)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such file; expected what zoo wrote") from None
    except (DamagedDocumentError, CardError) as fault:
        raise WeightsError(f"{path}: is damaged ({fault}); expected what zoo wrote") from None
    if not document.is_sealed:
        say_unverified(covered.path)
    return card


def _covered(folder: Path) -> tuple[CoveredFolder, str]:
    """Returns the folder whose manifest lists a model's files, the run's or its own, and what their names begin with.

    Raises:
        RunError: The manifest is damaged.
    """
    run = folder.parent
    if folder.name == MODEL_FOLDER and (run / "run.json").is_file():
        return finished_folder(run) or CoveredFolder(run, {}), f"{MODEL_FOLDER}/"
    return CoveredFolder(folder, {}), ""


def fetch_module(folder: Path, handle: str) -> None:
    """Copies the SavedModel that a run carries into this machine's cache, where the builder finds it by its hash.

    Raises:
        WeightsError: The folder holds another module, or none.
        TrustError: It is not trusted on this machine.
    """
    carried = folder / MODULE_FOLDER
    module = saved_models.fetch(str(carried)) if carried.is_dir() and not carried.is_symlink() else None
    if module is None or module.handle != handle:
        raise WeightsError(f"{carried}: found {module.handle if module else 'no module'}, expected {handle}")
    trust.require(module.sha256, str(folder))
