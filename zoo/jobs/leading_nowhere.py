"""What is said of a reference that names nothing to run: images in a recipe's place, or what is spelt another way."""

import shlex
from pathlib import Path

from zoo import registry
from zoo.errors import RecipeError, did_you_mean
from zoo.recipe.finding import is_bundle_file, shipped_recipes
from zoo.registry.sources import suffixes
from zoo.runs.folder import holds_runs

# An archive of images is taken by --data too, and the message says to unpack it.
ARCHIVE_SUFFIX = ".zip"


def refuse_data(path: Path) -> None:
    """Refuses a file of images or labels in the recipe's place."""
    if path.is_file() and path.suffix.lower() in (*suffixes(), ARCHIVE_SUFFIX) and not is_bundle_file(path):
        raise RecipeError(f"'{path}' is not a recipe; expected a .toml file or a name; {_as_data(path)}")


def _as_data(path: Path) -> str:
    return f"images are given with --data {shlex.quote(str(path))}, behind the name of a recipe or model"


def leads_nowhere(reference: str | Path) -> str:
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


def _with_weights() -> list[str]:
    return [name for name in registry.list_models() if registry.info(name).weights]
