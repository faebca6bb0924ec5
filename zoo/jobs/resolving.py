"""What a command or a call asks for, resolved: which recipe, and on which images. Nothing here imports Keras."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo import registry
from zoo.errors import DataError, NotFoundError, RecipeError, RunError, did_you_mean, shown
from zoo.foreign import saved_models
from zoo.models.building import MODULE_FOLDER
from zoo.recipe.finding import find_recipe, shipped_recipes
from zoo.recipe.loading import load_recipe
from zoo.recipe.overrides import read_overrides
from zoo.recipe.schema import Recipe
from zoo.registry.sources import source_row, suffixes
from zoo.runs.folder import RunFolder, holds_runs
from zoo.runs.record import WeightsRecord
from zoo.system.paths import given_path
from zoo.training.preparation.initial_weights import InitialWeights

if TYPE_CHECKING:
    from zoo.data import InCode

# What a bare model name runs.
DEFAULT_RECIPE = "finetune/default"
RECIPE_WITHOUT_WEIGHTS = "finetune/from-scratch"
HANDLE_KEY = "model.handle"
# An archive of images is given with --data too, to be told that it is to be unpacked.
ARCHIVE_SUFFIX = ".zip"

Overrides = Sequence[str] | Mapping[str, object]
_OVERRIDES = 'expected values by key, such as {"train.seed": 3}, or texts, such as ["train.seed=3"]'


@dataclass(frozen=True, kw_only=True)
class Job:
    """What `finetune` is about to do.

    Attributes:
        recipe: The resolved recipe.
        data: The images: a path, or what was given in code; None for a source that ships or downloads.
        weights: What the model begins with in place of the recipe's weights, or None.
        repeats: The run whose recipe it is, or None.
    """

    recipe: Recipe
    data: "Path | InCode | None"
    weights: InitialWeights | None = None
    repeats: RunFolder | None = None


def make_job(
    reference: str | Path | Recipe,
    data: "Path | str | InCode | None" = None,
    overrides: Overrides | None = None,
    *,
    weights: str | Path | None = None,
) -> Job:
    """Resolves what to run and on what, as `finetune` takes them; nothing is read but recipes and weights.

    Raises:
        NotFoundError: The reference is no file, run, recipe or model.
        RecipeError: The recipe or an override does not hold.
        DataError: There is no data to run on.
        WeightsError: The weights are not there.
    """
    check_reference(reference)
    check_overrides(overrides)
    overrides = _with_module(overrides or ())
    if not str(reference).strip():
        raise NotFoundError("the recipe's name is empty; expected a recipe, run folder or model; see 'zoo recipe ls'")
    begin_with = None if weights is None else _given_weights(weights, overrides)
    if isinstance(reference, Recipe):
        recipe, own_data = load_recipe(reference, overrides, against_card=True), Path()
    elif (Path(reference) / "run.json").is_file():
        return _repeated_job(RunFolder.open(Path(reference)), data, overrides, begin_with)
    elif _is_recipe(reference):
        _refuse_data(Path(reference))
        recipe = load_recipe(reference, overrides, against_card=True)
        own_data = find_recipe(reference).parent
    elif str(reference) in registry.list_models():
        base = _recipe_for(registry.info(str(reference)), begin_with)
        recipe = load_recipe(base, _for_model(str(reference), overrides), against_card=True)
        own_data = Path()
    else:
        raise NotFoundError(_leads_nowhere(reference))
    if data is None and recipe.data.path:
        data = own_data / recipe.data.path
    recipe = _with_own_module(recipe, own_data)
    return Job(recipe=recipe, data=_images(recipe, data), weights=begin_with)


def check_overrides(overrides: object) -> None:
    """Refuses what is neither values by key nor texts.

    Raises:
        RecipeError: It is something else.
    """
    given: Iterable[object]
    if overrides is None or isinstance(overrides, str):
        return
    if isinstance(overrides, Mapping):
        given = cast("Mapping[object, object]", overrides).keys()
    elif isinstance(overrides, list | tuple):
        given = cast("Sequence[object]", overrides)
    else:
        raise RecipeError(f"overrides is of type {type(overrides).__name__}; {_OVERRIDES}")
    for one in given:
        if not isinstance(one, str):
            raise RecipeError(f"overrides holds {one!r:.60}; {_OVERRIDES}")


def check_reference(reference: object) -> None:
    """Refuses what names nothing to run.

    Raises:
        RecipeError: It is not a text, a path or a recipe.
    """
    if not isinstance(reference, str | os.PathLike | Recipe):
        raise RecipeError(
            f"finetune: the recipe is {shown(reference)}; expected a recipe's file or name, a run's folder, a model's "
            "name, or a zoo.Recipe"
        )


def _recipe_for(card: registry.Card, begin_with: InitialWeights | None) -> str:
    """Chooses what a bare model name runs: without weights there are no features that a head could learn on."""
    return DEFAULT_RECIPE if card.weights or card.own_weights or begin_with else RECIPE_WITHOUT_WEIGHTS


def _with_weights() -> list[str]:
    return [name for name in registry.list_models() if registry.info(name).weights]


def _refuse_data(path: Path) -> None:
    """Refuses a file of images or labels in the recipe's place."""
    if path.is_file() and path.suffix.lower() in (*suffixes(), ARCHIVE_SUFFIX):
        raise RecipeError(f"'{path}' is not a recipe; expected a .toml file or a name; {_as_data(path)}")


def _as_data(path: Path) -> str:
    return f"images are given with --data {shlex.quote(str(path))}, behind the name of a recipe or model"


def _leads_nowhere(reference: str | Path) -> str:
    """Says what is wrong with a name that is not of a file, run, recipe or model."""
    path = Path(reference)
    if held := holds_runs(path):
        return held
    what = f"'{reference}' is not a recipe file, run folder, recipe or model."
    see = "See 'zoo recipe ls' and 'zoo list'."
    if path.is_dir():
        return f"'{path}' is a folder, and not a run's (no run.json in it); {_as_data(path)}. {see}"
    known = [*shipped_recipes(), *registry.list_models(), *_named_like_a_path(path)]
    return f"{what}{_beside(reference) or did_you_mean(str(reference), known, preferred=_with_weights())} {see}"


def _named_like_a_path(path: Path) -> list[str]:
    """Lists the runs and recipe files beside a path, as they would be typed."""
    beside = [*path.parent.glob("*/run.json"), *path.parent.glob("*.toml")]
    return [str(one.parent if one.name == "run.json" else one) for one in beside]


def _beside(reference: str | Path) -> str:
    """Hints at the recipe file whose ending was left out, or at the run in `runs`."""
    file, run = Path(f"{reference}.toml"), Path("runs") / reference
    if file.is_file():
        return f" There is a file '{file}': type its ending too."
    return f" There is a run '{run}': type the folder too." if (run / "run.json").is_file() else ""


def _given_weights(weights: str | Path, overrides: Overrides) -> InitialWeights:
    if any(override.key == "model.weights" for override in read_overrides(overrides)[0]):
        raise RecipeError("--weights and --set model.weights both say what to begin with; leave out one of them")
    return InitialWeights.at(given_path(weights, "the path of the weights"))


def _with_module(overrides: Overrides) -> Overrides:
    """Takes in the SavedModel that an override names, anywhere on this machine; the recipe says its hash."""
    asked = [override.value for override in read_overrides(overrides)[0] if override.key == HANDLE_KEY]
    if not asked or not asked[-1]:
        return overrides
    handle = saved_models.take_in(str(asked[-1])).handle
    if isinstance(overrides, Mapping):
        return {**overrides, HANDLE_KEY: handle}
    return [*overrides, f"{HANDLE_KEY}={handle}"]


def _with_own_module(recipe: Recipe, folder: Path) -> Recipe:
    """Takes in the SavedModel that a recipe names: by hash, by an address with its hash, or beside the recipe."""
    handle = recipe.model.handle
    if not handle or handle.startswith(saved_models.BY_HASH):
        return recipe
    found = saved_models.take_in(handle if "://" in handle else str((folder / handle).absolute()))
    return load_recipe(recipe, {HANDLE_KEY: found.handle})


def _is_recipe(reference: str | Path) -> bool:
    text = str(reference)
    return Path(reference).suffix == ".toml" or Path(reference).is_file() or text in shipped_recipes()


def _for_model(name: str, overrides: Overrides) -> Overrides:
    if isinstance(overrides, Mapping):
        return {"model.name": name, "name": name.replace("_", "-"), **overrides}
    return [f"model.name={name}", f"name={name.replace('_', '-')}", *overrides]


def _repeated_job(
    folder: RunFolder,
    data: "Path | str | InCode | None",
    overrides: Overrides,
    weights: InitialWeights | None,
) -> Job:
    recipe = load_recipe(folder.recipe_path, overrides, against_card=bool(overrides))
    carried = folder.model / MODULE_FOLDER
    if recipe.model.handle and carried.is_dir():
        saved_models.take_in(str(carried))
    record = folder.record()
    inputs = record.inputs
    if weights is None and record.weights is not None:
        weights = InitialWeights.recorded(record.weights, folder.path)
    if data is None and inputs.in_code is not None:
        raise DataError(
            f"{folder.path}: its images were given in code ({inputs.in_code}), and a run does not keep them; "
            "give them again: zoo.finetune(..., data=...)"
        )
    if data is None and inputs.data and not Path(inputs.data).exists():
        raise NotFoundError(
            f"{folder.path}: its images are no longer at {inputs.data}; say where they are now: --data PATH"
        )
    images = _images(recipe, inputs.data if data is None else data)
    return Job(recipe=recipe, data=images, weights=weights, repeats=folder)


def _images(recipe: Recipe, data: "Path | str | InCode | None") -> "Path | InCode | None":
    if data is None:
        if source_row(recipe.data.source).needs_path:
            raise DataError(
                f"recipe '{recipe.name}' names no images; say where they are: --data PATH "
                "(a folder with a subfolder per class)"
            )
        return None
    if not isinstance(data, str | Path):
        return data
    path = given_path(data, "the path of the images")
    if not path.exists():
        raise NotFoundError(f"{path}: there is no such file or folder; expected images; check --data")
    return path


def resumed_job(
    folder: RunFolder,
    reference: str | Path | Recipe | None,
    data: "Path | str | InCode | None",
    overrides: Overrides | None,
    *,
    weights: str | Path | None = None,
) -> Job:
    """Resolves what a run that was begun goes on with: its own recipe, its own images or the same elsewhere.

    Raises:
        RunError: It was begun with another recipe or other weights than those given.
        ZooError: See `make_job`.
    """
    recorded = folder.record().weights
    given = None if weights is None else InitialWeights.at(given_path(weights, "the path of the weights"))
    if given is not None and (recorded is None or given.sha256 != recorded.sha256):
        raise RunError(
            f"{folder.path}: did not begin with the weights {weights}; leave out --weights to go on with it, "
            "or choose another --run"
        )
    if reference is not None and data is None:
        data = _own_data(reference)
    job = _begun_job(folder, data, recorded)
    is_asked = reference is not None or overrides
    if is_asked and _asked_recipe(folder if reference is None else reference, job.data, overrides or ()) != job.recipe:
        raise RunError(
            f"{folder.path}: was begun with another recipe than the one given; "
            "leave out the recipe and --set to go on with it, or choose another --run"
        )
    return job


def _asked_recipe(
    reference: RunFolder | str | Path | Recipe, data: "Path | InCode | None", overrides: Overrides
) -> Recipe:
    if isinstance(reference, str | Path) and (Path(reference) / "run.json").is_file():
        reference = RunFolder.open(Path(reference))
    if isinstance(reference, RunFolder):
        return load_recipe(reference.recipe_path, _with_module(overrides))
    return make_job(reference, data, overrides).recipe


def _begun_job(folder: RunFolder, data: "Path | str | InCode | None", recorded: WeightsRecord | None) -> Job:
    """Resolves a run itself. Its first weights are needed only until there is a checkpoint."""
    job = _repeated_job(
        folder, data, (), InitialWeights(path=recorded.path, sha256=recorded.sha256) if recorded else None
    )
    return replace(job, repeats=None)


def _own_data(reference: str | Path | Recipe) -> Path | None:
    """Returns the images that a recipe file itself names, beside it."""
    if isinstance(reference, Recipe) or (Path(reference) / "run.json").is_file() or not _is_recipe(reference):
        return None
    path = load_recipe(reference).data.path
    return find_recipe(reference).parent / path if path else None
