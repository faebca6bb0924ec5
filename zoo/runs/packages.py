"""The packages that decide what a recipe's run comes to, their versions and code: zoo's own, and those of plug-ins."""

import contextlib
import hashlib
from collections.abc import Generator, Iterator, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.errors import NotFoundError, RecipeError, RunError
from zoo.recipe.schema import Recipe
from zoo.registry.augmentations import AUGMENTATIONS
from zoo.registry.losses import LOSSES
from zoo.registry.optimizers import OPTIMIZERS
from zoo.registry.schedules import SCHEDULES
from zoo.registry.sources import row_name, source_row
from zoo.registry.tables import Table
from zoo.runs.folder import RunFolder

RECORDED = ("zoo", "keras", "tensorflow", "jax", "jaxlib", "numpy", "pillow")
# Of these only a run's own decides.
OF_BACKENDS = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}
# Rooms of zoo that compute nothing of a run.
_BESIDE = ("cli", "export", "report", "sharing", "shelves", "testing")
_TABLES: tuple[Table[Any], ...] = (OPTIMIZERS, LOSSES, SCHEDULES, AUGMENTATIONS)


def installed_versions(recipe: Recipe) -> dict[str, str | None]:
    """Returns the version of each package that a run records, by its name; None where it is not installed."""
    names = dict.fromkeys((*RECORDED, *plug_in_packages(recipe)))
    return {name: installed_version(name) for name in names}


def installed_version(package: str) -> str | None:
    """Returns the version of a package, by the name that it is installed by; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def plug_in_packages(recipe: Recipe) -> list[str]:
    """Lists the packages whose rows and architectures a recipe names, as they are installed by."""
    return sorted({package for top in _plug_in_modules(recipe) for package in _installed_as(top)})


def code_hashes(recipe: Recipe) -> dict[str, str]:
    """Returns the SHA-256 of the Python code that computes a recipe's run, by package: zoo's, and that of plug-ins."""
    return {name: digest for name in ("zoo", *sorted(_plug_in_modules(recipe))) if (digest := _code_hash(name))}


def _code_hash(top: str) -> str | None:
    """Hashes a package's sources by name and content; None where there are none."""
    try:
        spec = util.find_spec(top)
    except (ImportError, ValueError):  # made in code, as in a notebook
        return None
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin)
    root = file.parent
    files = sorted(root.rglob("*.py")) if spec.submodule_search_locations is not None else [file]
    digest = hashlib.sha256()
    for path in files:
        name = path.relative_to(root)
        if path.is_file() and not (top == "zoo" and name.parts[0] in _BESIDE):
            digest.update(f"{name.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _plug_in_modules(recipe: Recipe) -> set[str]:
    return {module.partition(".")[0] for module in _modules(recipe)} - {"zoo", "__main__", ""}


def deciding(versions: Mapping[str, str | None], backend: str) -> dict[str, str | None]:
    """Returns those of recorded versions that decide what a run on a backend comes to."""
    others = {name for one, names in OF_BACKENDS.items() if one != backend for name in names}
    return {name: version for name, version in versions.items() if name not in others}


@contextlib.contextmanager
def naming_missing_plug_ins(run: RunFolder) -> Generator[None]:
    """Names the packages that a run used and that are not installed, where what they register is missed here."""
    try:
        yield
    except (RecipeError, NotFoundError) as fault:
        used = {name: version for name, version in run.record().versions.items() if name not in RECORDED and version}
        missing = [f"{name}=={version}" for name, version in used.items() if installed_version(name) is None]
        if not missing:
            raise
        are = "is" if len(missing) == 1 else "are"
        advice = f"{run.path}: used {', '.join(missing)}, which {are} not installed; pip install {' '.join(missing)}"
        raise RunError(f"{advice} ({' '.join(str(fault).split())})") from fault


def _modules(recipe: Recipe) -> Iterator[str]:
    """Yields the modules of all that a recipe names."""
    yield registry.lookup(recipe.model.name).build.__module__
    if row_name(recipe.data.source) is not None:
        yield source_row(recipe.data.source).module
    yield LOSSES.lookup(recipe.train.loss).module
    for phase in recipe.phases:
        yield OPTIMIZERS.lookup(phase.optimizer).module
        yield SCHEDULES.lookup(phase.schedule).module
    for name in (recipe.augment.policy, *recipe.augment.layers):
        if name != "none":
            yield AUGMENTATIONS.lookup(name).module


def _installed_as(top: str) -> list[str]:
    """Finds the packages that a module is of, by its first name: by entry points, else by what packages say of it."""
    groups = ("zoo.architectures", "zoo.sources", *(table.group for table in _TABLES))
    found = {
        plug_in.dist.name
        for group in groups
        for plug_in in metadata.entry_points(group=group)
        if plug_in.dist is not None and plug_in.module.partition(".")[0] == top
    }
    return sorted(found) or metadata.packages_distributions().get(top, [])[:1]
