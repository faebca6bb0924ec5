"""Where a lock lies, and when one that is there is replaced."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from zoo.errors import ContractError, NotFoundError, ZooError
from zoo.recipe.by_key import value_differences, values_of_text
from zoo.recipe.loading import load_recipe
from zoo.runs.exactness import Difference, listed
from zoo.sharing.locks.data import FileNames
from zoo.sharing.locks.lock import SUFFIX, Lock, lock_differences, read_lock
from zoo.system.files import write_atomic

State = Literal["written", "unchanged", "replaced"]


@dataclass(frozen=True, kw_only=True)
class LockFile:
    """A lock on disk.

    Attributes:
        path: Where it is.
        state: Whether it is new, as it was, or in place of another.
        differences: In what it differs from the one that was there; empty where that was damaged.
    """

    path: Path
    state: State
    differences: tuple[Difference, ...] = ()


def lock_path_beside(reference: str | Path) -> Path | None:
    """Returns NAME.lock beside a recipe's file; None for a run, or a recipe by name."""
    path = Path(reference)
    return path.with_suffix(SUFFIX) if path.suffix == ".toml" else None


def default_lock_path(reference: str | Path, lock: Lock) -> Path:
    """Returns NAME.lock beside a recipe's file; for a run, or a recipe by name, in the current folder."""
    return lock_path_beside(reference) or Path(f"{lock.recipe.name}{SUFFIX}")


def refuse_beside_another_recipe(lock: Lock, path: Path, run: str) -> None:
    """Refuses to lock a run beside a recipe that says something else, as one that was changed by `--set` does.

    Raises:
        ContractError: It does; the message says in which keys.
    """
    recipe = path.with_suffix(".toml")
    if not recipe.is_file():
        return
    try:
        now = load_recipe(recipe).to_toml()
    except ZooError:  # of whatever is called so, and is not the run's recipe as it was
        return
    differences = value_differences(values_of_text(lock.recipe.resolved), values_of_text(now))
    keys = [one.key for one in differences if one.key != "model.handle"]
    if keys:
        more = f" and {len(keys) - 3} more" if keys[3:] else ""
        other = path.with_stem(f"{path.stem}-of-run")
        raise ContractError(
            f"{path}: lies beside {recipe}, which differs from the run's recipe in {', '.join(keys[:3])}{more}; "
            f"type zoo recipe lock {shlex.quote(run)} --out {shlex.quote(str(other))}"
        )


def write_lock(
    lock: Lock, path: Path, *, force: bool = False, names: Callable[[], FileNames] | None = None
) -> LockFile:
    """Writes a lock; another one that is there is replaced only by force, or where all that is new is what is expected.

    Args:
        lock: What to write.
        path: Where.
        force: Whether to replace a lock that differs, or is damaged.
        names: Finds the names of the images' files, for what is said of those that changed.

    Raises:
        ContractError: A lock is there that differs, or is damaged; the message says in what.
        ZooError: Something that is not a lock is there.
    """
    text = lock.to_text()
    try:
        before = read_lock(path)
    except NotFoundError:
        write_atomic(path, text)
        return LockFile(path=path, state="written")
    except ContractError as fault:
        if path.is_dir():
            raise ZooError(f"{path}: is a folder; expected the path of a lock; give another --out") from None
        if not force:
            raise ContractError(f"{fault}; replace it with --force") from None
        write_atomic(path, text)
        return LockFile(path=path, state="replaced")
    lock = _grown(before, lock)
    text = lock.to_text()
    named = names() if names is not None and before.data.sha256 != lock.data.sha256 else None
    differences = tuple(lock_differences(before, lock, named))
    if before.to_text() == text:
        return LockFile(path=path, state="unchanged")
    adds_only = before.expected is None and {one.name for one in differences} == {"expected"}
    if not force and not adds_only:
        what = listed(differences, most=5) or "its form"
        raise ContractError(f"{path}: locks something else: {what}; replace it with --force, or give another --out")
    write_atomic(path, text)
    return LockFile(path=path, state="replaced", differences=differences)


def _grown(before: Lock, lock: Lock) -> Lock:
    """Returns a run's lock with the parents that its recipe was locked with, where an earlier zoo did not note them."""
    is_of_a_run = before.expected is None and lock.expected is not None and not lock.recipe.parents
    if not is_of_a_run or before.recipe.sha256 != lock.recipe.sha256:
        return lock
    return replace(lock, recipe=replace(lock.recipe, parents=before.recipe.parents))
