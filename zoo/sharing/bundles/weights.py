"""The weights that a bundle carries: what the model begins with, and the SavedModel of a tfhub model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoo import registry
from zoo.errors import MissingWeightsError, RecipeError
from zoo.foreign import saved_models
from zoo.models import downloads
from zoo.models.arrays import MODEL_FILE
from zoo.models.saving import CARD_FILE, MODEL_FOLDER, MODULE_FOLDER
from zoo.models.weights import file_size, how_to_get, locate, verify
from zoo.recipe.schema import Recipe
from zoo.registry import Download, ShippedFile, WeightSet
from zoo.runs.folder import RunFolder
from zoo.runs.record import WeightsRecord
from zoo.sharing.locks.making import GIVEN, RANDOM
from zoo.shelves.bundles.manifest import MODULE, WEIGHTS, CarriedWeights
from zoo.system.files import sha256
from zoo.training.preparation.initial_weights import InitialWeights

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, kw_only=True)
class BundledWeights:
    """What a model begins with, and the files of it.

    Attributes:
        carried: What bundle.json says of it.
        files: Each file by its name in the bundle.
    """

    carried: CarriedWeights
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])


def weights_of_run(run: RunFolder, recipe: Recipe) -> BundledWeights:
    """Finds what a run began with.

    Raises:
        WeightsError: It is no longer there, or is another.
    """
    given = run.record().weights
    if given is not None:
        return _given(given, recipe, run.path)
    carried = run.model / MODULE_FOLDER
    if recipe.model.handle and carried.is_dir():
        saved_models.fetch(str(carried))
    return weights_of_recipe(recipe)


def _given(given: WeightsRecord, recipe: Recipe, run: Path) -> BundledWeights:
    """Takes the numbers of another run, with their card beside them, or a file of numbers."""
    path = Path(InitialWeights.recorded(given, run).path)
    folder = path if (path / CARD_FILE).is_file() else path / MODEL_FOLDER
    model = recipe.model.name
    if path.is_dir():
        files = {WEIGHTS + name: folder / name for name in (MODEL_FILE, CARD_FILE)}
        carried = CarriedWeights(model=model, set=GIVEN, file=WEIGHTS.rstrip("/"), sha256=given.sha256)
        return BundledWeights(carried=carried, files=files)
    name = WEIGHTS + _NOT_IN_A_NAME.sub("_", path.name)
    carried = CarriedWeights(model=model, set=GIVEN, file=name, sha256=given.sha256)
    return BundledWeights(carried=carried, files={name: path})


def weights_of_recipe(recipe: Recipe) -> BundledWeights:
    """Finds what a recipe's model begins with; a download that is not here is fetched.

    Raises:
        WeightsError: It cannot be found or downloaded, or is not what the card describes.
    """
    card = registry.info(recipe.model.name)
    if recipe.model.handle:
        module = saved_models.fetch(recipe.model.handle)
        files = {
            MODULE + path.relative_to(module.path).as_posix(): path
            for path in sorted(module.path.rglob("*"))
            if path.is_file()
        }
        return BundledWeights(carried=CarriedWeights(model=card.name, set=card.own_weights), files=files)
    chosen = recipe.model.weights
    weight_set = None if chosen == RANDOM else card.weight_set(chosen, recipe.model.builder_options)
    if weight_set is None:
        return BundledWeights(carried=CarriedWeights(model=card.name, set=RANDOM))
    if isinstance(weight_set.source, ShippedFile):  # whoever has zoo has it
        return BundledWeights(
            carried=CarriedWeights(model=card.name, set=weight_set.name, sha256=weight_set.sha256 or None)
        )
    path = _here(weight_set, card.name)
    name = WEIGHTS + _NOT_IN_A_NAME.sub("_", path.name)
    carried = CarriedWeights(model=card.name, set=weight_set.name, file=name, sha256=sha256(path))
    return BundledWeights(carried=carried, files={name: path})


def _here(weight_set: WeightSet, model: str) -> Path:
    """Returns the verified file of a set."""
    path = locate(weight_set)
    if path is None and isinstance(weight_set.source, Download):
        path = downloads.fetch(weight_set, weight_set.source)
    if path is None:
        raise MissingWeightsError(
            f"{model}: weights '{weight_set.name}' ({file_size(weight_set.bytes)}) are not here to be bundled; get "
            f"them with '{how_to_get(weight_set, model)}'"
        )
    verify(weight_set, path, model)
    return path


def refuse_module_beside(recipe: Recipe, reference: str | Path) -> None:
    """Refuses a recipe that names its SavedModel by a path: a bundle is opened elsewhere.

    Raises:
        RecipeError: It does.
    """
    handle = recipe.model.handle
    if handle and not handle.startswith(saved_models.BY_HASH) and "#sha256=" not in handle:
        raise RecipeError(
            f"{reference}: model.handle is '{handle}'; expected one with its hash: sha256:HEX, or an address with "
            "#sha256=HEX"
        )
