"""What a command or a call asks for, resolved: which recipe, and on which images. Nothing here imports Keras."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo import registry
from zoo.errors import DataError, NotFoundError, RecipeError, RunError, shown
from zoo.foreign import saved_models
from zoo.jobs.from_elsewhere import FromElsewhere, from_elsewhere
from zoo.jobs.leading_nowhere import leads_nowhere, refuse_data
from zoo.jobs.recipe_files import recipe_files
from zoo.models.saving import MODULE_FOLDER
from zoo.recipe.finding import find_recipe, is_on_shelf, shipped_recipes
from zoo.recipe.loading import load_recipe
from zoo.recipe.overrides import GivenOverrides, Overrides, read_overrides
from zoo.recipe.resolution import FilesRead
from zoo.recipe.schema import Recipe
from zoo.registry.sources import source_row
from zoo.runs.exactness import listed, recipe_differences
from zoo.runs.folder import RunFolder
from zoo.runs.packages import naming_missing_plug_ins
from zoo.runs.record import OriginRecord, RecipeFileRecord
from zoo.system.paths import given_path
from zoo.training.preparation.initial_weights import InitialWeights

if TYPE_CHECKING:
    from zoo.data import InCode

# What a bare model name runs.
DEFAULT_RECIPE = "finetune/default"
RECIPE_WITHOUT_WEIGHTS = "finetune/from-scratch"
HANDLE_KEY = "model.handle"
NOT_IN_A_RECIPE_NAME = re.compile(r"[^a-z0-9-]")

_OVERRIDES = 'expected values by key, such as {"train.seed": 3}, or texts, such as ["train.seed=3"]'


@dataclass(frozen=True, kw_only=True)
class Job:
    """What `finetune` is about to do.

    Attributes:
        recipe: The resolved recipe.
        data: The images: a path, or what was given in code; None for a source that ships or downloads.
        weights: What the model begins with in place of the recipe's weights, or None.
        repeats: The run whose recipe it is, or None.
        origin: The version on a shelf, or the bundle, that the recipe is from, or None.
        recipe_files: What the recipe was written in, its own file first; None where it extends nothing.
        pulled: Where its file lies then, which stays what it is; None of a recipe that nobody shared.
    """

    recipe: Recipe
    data: "Path | InCode | None"
    weights: InitialWeights | None = None
    repeats: RunFolder | None = None
    origin: OriginRecord | None = None
    recipe_files: tuple[RecipeFileRecord, ...] | None = None
    pulled: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """A recipe that was found.

    Attributes:
        recipe: The recipe, with the model of a hub that it names imported.
        file: Its file; None where a model was named, or a recipe given.
        source: What is known of where it is from.
        files: The file and all that it extends; None where it extends nothing.
    """

    recipe: Recipe
    file: Path | None = None
    source: FromElsewhere
    files: tuple[RecipeFileRecord, ...] | None = None

    @property
    def beside(self) -> Path | None:
        """The folder that its file lies in."""
        return None if self.file is None else self.file.parent


def make_job(
    reference: str | Path | Recipe,
    data: "Path | str | InCode | None" = None,
    overrides: GivenOverrides = None,
    *,
    weights: str | Path | None = None,
    is_said: bool = False,
) -> Job:
    """Resolves what to run and on what, as `finetune` takes them; nothing is read but recipes and weights.

    Args:
        reference: As for `finetune`.
        data: As for `finetune`.
        overrides: As for `finetune`.
        weights: As for `finetune`.
        is_said: Whether what a recipe from a shelf or a bundle needs was said already.

    Raises:
        NotFoundError: The reference is not a file, run, recipe or model.
        RecipeError: The recipe or an override does not hold.
        DataError: There is no data to run on.
        WeightsError: The weights are not there.
    """
    check_reference(reference)
    given = _import_module_of_overrides(as_overrides(overrides))
    begin_with = None if weights is None else _given_weights(weights, given)
    if (folder := _run_at(reference)) is not None:
        return _repeated_job(folder, data, given, begin_with)
    found = _load(reference, given, begin_with, is_said=is_said)
    recipe, origin, files = found.recipe, found.source.origin, found.files
    if data is None and recipe.data.path:
        data = (found.beside or Path()) / recipe.data.path
    begin_with = begin_with or found.source.initial_weights(given)
    pulled = None if origin is None else found.file
    images = _images(recipe, data)
    return Job(recipe=recipe, data=images, weights=begin_with, origin=origin, recipe_files=files, pulled=pulled)


def _run_at(reference: str | Path | Recipe) -> RunFolder | None:
    """Returns the run that a reference names, or None."""
    if isinstance(reference, Recipe) or not str(reference).strip():
        return None
    return RunFolder.open(Path(reference)) if (Path(reference) / "run.json").is_file() else None


def _load(
    reference: str | Path | Recipe, overrides: Overrides, begin_with: InitialWeights | None, *, is_said: bool
) -> _Loaded:
    """Loads the recipe that a reference names; of one that others shared it is said what it needs, unless it was.

    Raises:
        ZooError: As `make_job`.
    """
    file, source, files = None, FromElsewhere(), None
    if isinstance(reference, Recipe):
        recipe = load_recipe(reference, overrides, against_card=True)
    elif not str(reference).strip():
        raise NotFoundError("the recipe's name is empty; expected a recipe, run folder or model; see 'zoo recipe ls'")
    elif _is_recipe(reference):
        refuse_data(Path(reference))
        file = find_recipe(reference)  # once: one on a shelf is pulled
        source = replace(from_elsewhere(file), is_said=is_said)
        with source.needs_said(str(reference)):
            recipe = load_recipe(file, overrides, against_card=True, read=(read := FilesRead()))
        files = recipe_files(reference, read)
        recipe = source.taken_up(recipe)
    elif str(reference) in registry.list_models():
        base = _recipe_for(registry.info(str(reference)), begin_with)
        recipe = load_recipe(base, _for_model(str(reference), overrides), against_card=True)
    else:
        raise NotFoundError(leads_nowhere(reference))
    recipe = _with_imported_module(recipe, Path() if file is None else file.parent)
    return _Loaded(recipe=recipe, file=file, source=source, files=files)


def as_overrides(given: object) -> Overrides:
    """Takes overrides as they are given: a text, several, values by key, or None.

    Raises:
        RecipeError: It is something else.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Mapping):
        overrides = cast("Mapping[str, object]", given)
    elif isinstance(given, list | tuple):
        overrides = tuple(cast("Sequence[str]", given))
    else:
        raise RecipeError(f"overrides is of type {type(given).__name__}; {_OVERRIDES}")
    for one in overrides:
        if not isinstance(one, str):  # pyright: ignore[reportUnnecessaryIsInstance] -- a caller may give anything
            raise RecipeError(f"overrides holds {one!r:.60}; {_OVERRIDES}")
    return overrides


def with_override(overrides: Overrides, key: str, value: object) -> Overrides:
    """Returns overrides with one more, which wins."""
    return {**overrides, key: value} if isinstance(overrides, Mapping) else (*overrides, f"{key}={value}")


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


def _given_weights(weights: str | Path, overrides: Overrides) -> InitialWeights:
    if any(override.key == "model.weights" for override in read_overrides(overrides)[0]):
        raise RecipeError("--weights and --set model.weights both say what to begin with; leave out one of them")
    return InitialWeights.at(given_path(weights, "the path of the weights"))


def _import_module_of_overrides(overrides: Overrides) -> Overrides:
    """Imports the SavedModel that an override names, anywhere on this machine; the recipe says its hash."""
    asked = [override.value for override in read_overrides(overrides)[0] if override.key == HANDLE_KEY]
    if not asked or not asked[-1]:
        return overrides
    return with_override(overrides, HANDLE_KEY, saved_models.fetch(str(asked[-1])).handle)


def _with_imported_module(recipe: Recipe, folder: Path) -> Recipe:
    """Imports the SavedModel that a recipe names: by hash, by an address with its hash, or beside the recipe."""
    handle = recipe.model.handle
    if not handle or handle.startswith(saved_models.BY_HASH):
        return recipe
    found = saved_models.fetch(handle if "://" in handle else str((folder / handle).absolute()))
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"handle": found.handle})})


def _is_recipe(reference: str | Path) -> bool:
    text = str(reference)
    is_file = Path(reference).suffix == ".toml" or Path(reference).is_file()
    return is_file or text in shipped_recipes() or is_on_shelf(reference)


def _for_model(name: str, overrides: Overrides) -> Overrides:
    """Returns the overrides that make a model's recipe of a shipped one; those that were given win."""
    recipe_name = NOT_IN_A_RECIPE_NAME.sub("-", name.lower())
    if isinstance(overrides, Mapping):
        return {"model.name": name, "name": recipe_name, **overrides}
    return (f"model.name={name}", f"name={recipe_name}", *overrides)


def _repeated_job(
    folder: RunFolder,
    data: "Path | str | InCode | None",
    overrides: Overrides,
    weights: InitialWeights | None,
) -> Job:
    with naming_missing_plug_ins(folder):
        recipe = folder.recipe(overrides, against_card=bool(overrides))
    carried = folder.model / MODULE_FOLDER
    if recipe.model.handle and carried.is_dir():
        saved_models.fetch(str(carried))
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
    images, files = _images(recipe, inputs.data if data is None else data), record.recipe_files
    return Job(recipe=recipe, data=images, weights=weights, repeats=folder, origin=record.origin, recipe_files=files)


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
    overrides: GivenOverrides,
    *,
    weights: str | Path | None = None,
    is_said: bool = False,
) -> Job:
    """Resolves what a run that was begun goes on with: its own recipe, its own images or the same elsewhere.

    Args:
        folder: The run.
        reference: As for `finetune`, or None.
        data: As for `finetune`.
        overrides: As for `finetune`.
        weights: As for `finetune`.
        is_said: As for `make_job`.

    Raises:
        RunError: It was begun with another recipe or other weights than those given.
        ZooError: See `make_job`.
    """
    check_reference("" if reference is None else reference)
    recorded = folder.record().weights
    begin_with = None if weights is None else InitialWeights.at(given_path(weights, "the path of the weights"))
    if begin_with is not None and (recorded is None or begin_with.sha256 != recorded.sha256):
        raise RunError(
            f"{folder.path}: did not begin with the weights {weights}; leave out --weights to go on with it, "
            "or choose another --run"
        )
    given = _import_module_of_overrides(as_overrides(overrides))
    # Its first weights are needed only until there is a checkpoint.
    first = InitialWeights.of_record(recorded) if recorded else None
    asked: Recipe | None = None
    run_given = folder if reference is None else _run_at(reference)
    if reference is not None and run_given is None:
        found = _load(reference, given, first, is_said=is_said)
        asked = found.recipe
        if data is None and found.beside is not None and asked.data.path:
            data = found.beside / asked.data.path
    elif run_given is not None and (reference is not None or given):
        asked = run_given.recipe(given)
    job = replace(_repeated_job(folder, data, (), first), repeats=None)
    if asked is not None and asked != job.recipe:
        differing = listed(list(recipe_differences(job.recipe, asked)))
        raise RunError(
            f"{folder.path}: was begun with another recipe than the one given: {differing}; "
            "leave out the recipe and --set to go on with it, or choose another --run"
        )
    return job
