"""Whether a recipe is still what the lock beside it says: its keys, what it extends, and the weights that it names."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.errors import ContractError
from zoo.recipe.by_key import ABSENT, RecipeValue, values_by_key, values_of_text
from zoo.recipe.finding import RECIPE_FILE
from zoo.recipe.overlays import Fault, KeyPath, SourceLocation
from zoo.recipe.parents import written_files
from zoo.recipe.schema import Recipe
from zoo.recipe.toml.reading import read_recipe_file
from zoo.recipe.validation import quoted
from zoo.sharing.locks.lock import FILE, SUFFIX, Lock, read_lock
from zoo.sharing.locks.making import GIVEN, weights_of
from zoo.system.files import sha256_of

# What a lock has by hash where a recipe may have a path or an address.
HANDLE = "model.handle"
ANEW = "write what it says, or lock the recipe anew"


def lock_beside(recipe: Path) -> Path:
    """Returns where the lock of a recipe's file lies, if there is one."""
    return recipe.with_name(FILE) if recipe.name == RECIPE_FILE else recipe.with_suffix(SUFFIX)


def lock_faults(file: Path, recipe: Recipe, keys: Sequence[RecipeValue]) -> list[Fault]:
    """Lists in what a recipe that holds differs from the lock beside it; nothing where there is no lock.

    Args:
        file: The recipe's file.
        recipe: The recipe.
        keys: Where each of its values was written.
    """
    path = lock_beside(file)
    if not path.is_file():
        return []
    try:
        lock = read_lock(path)
    except ContractError as fault:
        message = str(fault).removeprefix(f"{path}: ")
        return [Fault.of_message(SourceLocation(str(path)), message)]
    return [
        *_key_faults(lock, path, keys),
        *_parent_faults(lock, path, file),
        *_weights_faults(lock, path, file, recipe, keys),
    ]


def _key_faults(lock: Lock, path: Path, keys: Sequence[RecipeValue]) -> Iterator[Fault]:
    locked = values_by_key(values_of_text(lock.recipe.resolved))
    now = {one.key: one for one in keys if one.value is not None}
    for key in dict.fromkeys((*now, *locked)):
        one, then = now.get(key), locked.get(key, ABSENT)
        value = ABSENT if one is None else one.value
        is_newer = (
            then is ABSENT and one is not None and one.location is None
        )  # a key that the locking zoo did not know
        if value == then or is_newer or key == HANDLE:
            continue
        place = _place(keys, key)
        said = "not there" if then is ABSENT else quoted(then)
        found = f"{key} is {'not there' if value is ABSENT else quoted(value)}, and {said} in {path.name}"
        yield Fault(place, found, ANEW, _path(key))


def _parent_faults(lock: Lock, path: Path, file: Path) -> Iterator[Fault]:
    now = {one.name: sha256_of(one.content) for one in written_files(file)[1:]}
    for parent in lock.recipe.parents:
        if parent.name in now and now[parent.name] != parent.sha256:
            found = f"extends {quoted(parent.name)}: its SHA-256 is {now[parent.name][:12]}..., and not the "
            place = read_recipe_file(file, str(file))[0].location(("extends",))
            yield Fault(place, f"{found}{parent.sha256[:12]}... of {path.name}", ANEW, ("extends",))


def _weights_faults(lock: Lock, path: Path, file: Path, recipe: Recipe, keys: Sequence[RecipeValue]) -> Iterator[Fault]:
    if lock.weights.set == GIVEN or lock.weights.model != recipe.model.name:
        return
    now = weights_of(recipe)
    if now.set == lock.weights.set and now.sha256 and lock.weights.sha256 and now.sha256 != lock.weights.sha256:
        found = f"weights {quoted(now.set)} have the SHA-256 {now.sha256[:12]}..., and not the "
        place = _place(keys, "model.weights") if any(one.key == "model.weights" for one in keys) else None
        text = f"{found}{lock.weights.sha256[:12]}... of {path.name}"
        yield Fault(place or SourceLocation(str(file)), text, ANEW, ("model", "weights"))


def _place(keys: Sequence[RecipeValue], key: str) -> SourceLocation:
    """Returns where a value was written, or the table around it, or else the recipe begins."""
    while key:
        around = [one for one in keys if one.location and (one.key == key or one.key.startswith(f"{key}."))]
        if around and around[0].location is not None:
            return around[0].location
        key = key.rpartition(".")[0]
    return next((one.location for one in keys if one.location), SourceLocation(""))


def _path(key: str) -> KeyPath:
    return tuple(key.split("."))
