"""`zoo.verify`: every hash of a run, of the runs of seeds, an export, a cache, weights, or a recipe; reads only."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zoo import registry
from zoo.errors import NotFoundError, RecipeError, RunError, WeightsError
from zoo.foreign import saved_models
from zoo.inference.export_folder import BESIDE_THE_MODEL, EXPORT_FILE, read_export
from zoo.jobs.run_verification import verify_run
from zoo.models import downloads
from zoo.models import weights as weight_files
from zoo.models.arrays import MOST_BYTES
from zoo.models.saving import CARD_FILE, read_card
from zoo.registry import Download, WeightSet
from zoo.runs.folder import runs_within
from zoo.system.cache import ENTRY_MANIFEST, cache_folder
from zoo.system.integrity.checked_reading import RECORD_FILE
from zoo.system.integrity.manifests import files_in
from zoo.system.integrity.verification import FileFault, Findings, Verification, combined
from zoo.system.paths import given_path
from zoo.system.regular_files import open_regular

RECIPE_SUFFIX = ".toml"
PIN_SUFFIX = ".pin.json"


def verify(path: os.PathLike[str] | str) -> Verification:
    """Compares files with every hash that is known of them; nothing is changed, and no Keras is loaded.

    Args:
        path: A run's folder, finished or not; a folder of runs, such as those of several seeds; an export; the cache, a
            kind or an entry of it; a file of weights; a recipe's file.

    Returns:
        What was found: `is_whole` where every hash holds, else `faults`, each with its file.

    Raises:
        NotFoundError: There is nothing there, or nothing says what it should be.

    Example:

        found = zoo.verify("runs/pets")
        print(found.is_whole, found.files, *found.faults)
    """
    place = given_path(path, "the path to verify")
    if not os.path.lexists(place):
        raise NotFoundError(
            f"{place}: there is no such file or folder; expected a run, a cache, weights, a recipe, "
            "a lock, a bundle or a shelf"
        )
    if not place.is_dir():
        return _verify_file(place)
    if _is_in_cache(place):
        return _verify_cache(place)
    if os.path.lexists(place / EXPORT_FILE):
        return _verify_export(place)
    if _is_run(place):
        return verify_run(place)
    if names := runs_within(place):
        return combined(place, "seeds", [verify_run(place / name) for name in names])
    if os.path.lexists(place / CARD_FILE):
        return _verify_model(place)
    raise NotFoundError(
        f"{place}: holds nothing that can be verified; expected a run, a folder of runs, an export, a shelf, or the "
        "cache"
    )


def _is_run(folder: Path) -> bool:
    """Whether a folder is a run's, also where a file of it is lost."""
    names = (RECORD_FILE, ENTRY_MANIFEST, "recipe.toml")
    return sum(os.path.lexists(folder / name) for name in names) >= 1 and not runs_within(folder)


def _verify_file(path: Path) -> Verification:
    if path.suffix.lower() == RECIPE_SUFFIX:
        return _verify_recipe(path)
    if path.name == ENTRY_MANIFEST or path.suffix == ".json":
        raise NotFoundError(f"{path}: is a file of a folder; name the folder: zoo verify {path.parent}")
    return _verify_weights(path)


def _verify_recipe(path: Path) -> Verification:
    """Checks a recipe against the schema and its model's card, and the weights and modules that it names."""
    from zoo.recipe.loading import load_recipe  # imports pydantic

    found = Findings(path.parent)
    try:
        recipe = load_recipe(path, against_card=True)
    except RecipeError as fault:
        for line in str(fault).splitlines():
            found.fault(path.name, line.removeprefix(f"{path}:").removeprefix(f"{path} ").strip())
        return _of_file(found, path, "recipe")
    found.count(path.name, path.stat().st_size)
    handle = recipe.model.handle
    if handle.startswith(saved_models.BY_HASH):
        module = Path(cache_folder() / "modules" / handle.removeprefix(saved_models.BY_HASH))
        found.notes += [] if module.is_dir() else [f"{path}: its module {handle} is not on this machine"]
        if module.is_dir():
            _gather(found, module, lambda: saved_models.verify_entry(module))
    card = registry.info(recipe.model.name)
    weight_set = None if recipe.model.weights == "none" else card.weight_set(recipe.model.weights, recipe.model.options)
    if weight_set is not None and (file := weight_files.locate(weight_set)) is not None:
        _gather(found, file, lambda: _faults_of_set(weight_set, file, card.name))
    return _of_file(found, path, "recipe")


def _of_file(found: Findings, path: Path, what: str) -> Verification:
    whole = found.verification(what)
    return Verification(
        path=path, what=what, files=whole.files, bytes=whole.bytes, faults=whole.faults, notes=whole.notes
    )


def _verify_weights(path: Path) -> Verification:
    """Compares a file of weights with the sets of all cards, with the note of its download, or with the card beside."""
    if os.path.lexists(path.parent / CARD_FILE):
        return _verify_model(path.parent)
    found = Findings(path.parent)
    beside = path.with_name(f"{path.name}{PIN_SUFFIX}")
    known = [(name, one) for name in registry.list_models() for one in registry.info(name).weights]
    for model, weight_set in known:
        if (here := weight_files.locate(weight_set)) is not None and here.resolve() == path.resolve():
            _gather(found, path, lambda one=weight_set, model=model: _faults_of_set(one, path, model))
            return _of_file(found, path, "weights")
    try:
        with open_regular(path, limit=MOST_BYTES) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.count(path.name, file.tell())
    except OSError as fault:
        raise WeightsError(f"{path}: {fault.strerror}; expected a file of weights") from fault
    if beside.is_file():
        _gather(found, path, lambda: downloads.verify_entry(path))
        found.files -= 1
        return _of_file(found, path, "weights")
    named = [f"'{one.name}' of {model}" for model, one in known if one.sha256 == digest]
    if not named:
        raise NotFoundError(
            f"{path}: nothing says what it should be; its SHA-256 is {digest}; expected a set that a card knows"
        )
    return _of_file(found, path, "weights")


def _verify_model(folder: Path) -> Verification:
    """Compares the numbers of a `model` folder with its card."""
    found = Findings(folder)
    try:
        card = read_card(folder)
    except (WeightsError, RunError, NotFoundError) as fault:
        found.fault(CARD_FILE, str(fault).removeprefix(f"{folder / CARD_FILE}: "))
    else:
        found.count(CARD_FILE, (folder / CARD_FILE).stat().st_size)
        found.compare_one("model.safetensors", card.sha256, CARD_FILE)
    return found.verification("weights")


def _verify_export(folder: Path) -> Verification:
    """Compares an export's files with export.json, which has a seal; call.py has no hash, and may be changed."""
    found = Findings(folder)
    try:
        export = read_export(folder)
    except (RunError, NotFoundError) as fault:
        found.fault(EXPORT_FILE, str(fault).removeprefix(f"{folder / EXPORT_FILE}: "))
    else:
        found.count(EXPORT_FILE, (folder / EXPORT_FILE).stat().st_size)
        found.compare(export.document.files, EXPORT_FILE, sizes={})
        with suppress(NotFoundError):  # the format of a package that is not installed here
            for name in export.unlisted():
                found.seen.add(name)
                found.fault(name, f"is not listed in {EXPORT_FILE}; expected its SHA-256")
        for path in files_in(folder):
            name = path.relative_to(folder).as_posix()
            if name not in found.seen and name.split("/")[0] not in BESIDE_THE_MODEL:
                found.note(name, f"is not listed in {EXPORT_FILE}, and was not compared")
    return found.verification("export")


def _is_in_cache(path: Path) -> bool:
    return path.resolve().is_relative_to(cache_folder().resolve())


def _verify_cache(path: Path) -> Verification:
    """Compares what is whole below a folder of the cache; what is being written is left out."""
    found = Findings(path)
    cache = cache_folder().resolve()
    for at, folders, files in os.walk(path.resolve()):
        folder = Path(at)
        kind = next(iter(folder.relative_to(cache).parts), "")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        check = _ENTRIES.get(kind)
        if check is not None and folder.parent == cache / kind and ENTRY_MANIFEST in files:
            _gather(found, folder, lambda check=check, folder=folder: check(folder))
            folders.clear()
        elif kind == "modules" and folder.parent == cache / kind and len(folder.name) == 64:
            _gather(found, folder, lambda folder=folder: saved_models.verify_entry(folder))
            folders.clear()
        elif kind == "weights":
            for name in sorted(files):
                if f"{name}{PIN_SUFFIX}" in files:
                    _gather(found, folder / name, lambda file=folder / name: downloads.verify_entry(file))
    return found.verification("cache")


def _faults_of_pack(folder: Path) -> list[str]:
    from zoo.data.packs.finding import verify_entry

    return verify_entry(folder)


def _faults_of_activations(folder: Path) -> list[str]:
    from zoo.training.prefix.storing import verify_entry

    return verify_entry(folder)


def _faults_of_set(weight_set: WeightSet, file: Path, model: str) -> list[str]:
    if isinstance(weight_set.source, Download) and (faults := downloads.verify_entry(file)):
        return faults
    try:
        weight_files.verify(weight_set, file, model)
    except WeightsError as fault:
        return [str(fault)]
    return []


def _faults_of_version(folder: Path) -> list[str]:
    from zoo.shelves.cached import verify_entry

    return verify_entry(folder)


def _faults_of_bundle(folder: Path) -> list[str]:
    from zoo.shelves.bundles.opened import verify_entry

    return verify_entry(folder)


def _faults_of_kept_export(folder: Path) -> list[str]:
    from zoo.inference.kept_exports import verify_entry

    return verify_entry(folder)


# What lies in folders of their own, each with a manifest.
_ENTRIES: dict[str, Callable[[Path], list[str]]] = {
    "packs": _faults_of_pack,
    "activations": _faults_of_activations,
    "recipes": _faults_of_version,
    "bundles": _faults_of_bundle,
    "exports": _faults_of_kept_export,
}


def _gather(found: Findings, entry: Path, check: Callable[[], list[str]]) -> None:
    """Counts an entry's files, and notes what is wrong with it: lines that begin with a file each."""
    for file in [one for one in entry.rglob("*") if one.is_file()] if entry.is_dir() else [entry]:
        found.count(str(file), file.stat().st_size)
    for line in check():
        place, _, reason = line.partition(": ")
        found.faults.append(FileFault(Path(place), reason))
