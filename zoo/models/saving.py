"""A model's folder: its numbers as model.safetensors, and what rebuilds the graph as card.json; no code."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, NotFoundError, WeightsError
from zoo.foreign import saved_models, trust
from zoo.models.arrays import MODEL_FILE, arrays_of, read_verified
from zoo.models.blueprint import Blueprint, blueprint_of
from zoo.registry.fitting import ImageFit
from zoo.system.files import make_folder, sha256, write_atomic
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

if TYPE_CHECKING:
    import keras
    import numpy as np

CARD_FILE = "card.json"
SCHEMA = 1
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
    """What `save_model` wrote, read and checked.

    Attributes:
        blueprint: What rebuilds the graph.
        precision: The dtype policy it was saved in; empty in folders of versions that did not keep it.
        arrays: Its numbers by path.
    """

    blueprint: Blueprint
    precision: str
    arrays: "Mapping[str, np.ndarray]"


def read_folder(folder: Path) -> SavedFolder:
    """Reads a folder that `save_model` wrote.

    Raises:
        NotFoundError: It holds no model.
        WeightsError: It is damaged.
    """
    card_path, weights_path = folder / CARD_FILE, folder / MODEL_FILE
    if not card_path.is_file() or not weights_path.is_file():
        raise NotFoundError(f"{folder}: holds no finished model; expected {CARD_FILE} and {MODEL_FILE}")
    try:
        document = read_document(card_path, follow_links=False).values
        blueprint = replace(
            Blueprint.from_json(document),
            own_fit=_fit_of(document["preprocessing"]),
            own_licence=document.get("licence", {}).get("initial_weights"),
        )
        precision = str(document.get("precision", ""))
    except DamagedDocumentError as fault:
        raise WeightsError(f"{card_path}: is damaged ({fault}); expected what zoo wrote") from None
    except OSError as fault:
        raise WeightsError(f"{card_path}: {fault.strerror}; expected what zoo wrote") from None
    except (ValueError, KeyError, TypeError, DataError) as fault:
        raise WeightsError(f"{card_path}: is damaged ({fault!r}); expected what zoo wrote") from fault
    arrays = read_verified(weights_path, document.get("sha256"))
    if arrays is None:
        raise WeightsError(f"{weights_path}: its SHA-256 is not the one in {CARD_FILE}; it is damaged")
    return SavedFolder(blueprint, precision, arrays)


def fetch_module(folder: Path, handle: str) -> None:
    """Copies the SavedModel that a run carries into this machine's cache, where the builder finds it by its hash.

    Raises:
        WeightsError: The folder holds another module, or none.
        TrustError: It is not trusted on this machine.
    """
    carried = folder / MODULE_FOLDER
    module = saved_models.fetch(str(carried)) if carried.is_dir() else None
    if module is None or module.handle != handle:
        raise WeightsError(f"{carried}: found {module.handle if module else 'no module'}, expected {handle}")
    trust.require(module.sha256, str(folder))


def _fit_of(preprocessing: Mapping[str, Any]) -> ImageFit:
    """Reads what a card says; one that is older than share, interpolation and white means the whole, bilinear."""
    return ImageFit(
        resize=preprocessing["resize"],
        crop_share=preprocessing.get("crop_share", 1.0),
        interpolation=preprocessing.get("interpolation", "bilinear"),
        white=preprocessing.get("white", 0),
    )
