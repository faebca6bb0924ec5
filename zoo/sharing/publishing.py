"""What goes into a version on a shelf: composed from a finished run or a recipe, and signed where a key is given."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import __version__
from zoo.errors import ContractError, NotFoundError, RecipeError, RunError
from zoo.foreign.saved_models import BY_HASH
from zoo.jobs.from_elsewhere import from_elsewhere
from zoo.recipe.finding import find_recipe, is_bundle_file, is_version
from zoo.recipe.loading import load_recipe
from zoo.recipe.parents import SUFFIX, WrittenRecipe, written_files
from zoo.recipe.schema import Recipe
from zoo.runs.exactness import listed
from zoo.runs.folder import runs_within
from zoo.runs.packages import installed_version, naming_missing_plug_ins, plug_in_packages
from zoo.runs.record import OriginRecord, RecipeFileRecord
from zoo.sharing.difference.against_lock import lock_beside
from zoo.sharing.finished_run import CARD, NUMBERS, FinishedRun, open_finished
from zoo.sharing.locks.lock import FILE as LOCK_FILE
from zoo.sharing.locks.lock import Lock, lock_differences, read_lock
from zoo.sharing.locks.making import is_run_or_runs, lock_runs, weights_of
from zoo.sharing.receipt import CURVES, RECIPE, SOURCE, Receipt, receipt_of
from zoo.sharing.receipt import FILE as RECEIPT_FILE
from zoo.shelves.bundles.opened import open_bundle
from zoo.shelves.pulling import pull
from zoo.system.files import sha256, sha256_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Below the recipe as it was written, what it extends by a name.
NAMED = "named"
# Class names that a listing shows; lock.json has all.
MOST_NAMES, MOST_LETTERS = 200, 10_000
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._/-]")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What is to be published.

    Attributes:
        files: The content of each file by its name: bytes, or the path of a file that is copied.
        metadata: What a listing of the shelf shows, before anything of it is loaded.
        names_images: Whether the lock knows images one by one; None where there is no lock, or it is copied.
    """

    files: Mapping[str, bytes | Path]
    metadata: Mapping[str, Any]
    names_images: bool | None = None

    def hashes(self) -> dict[str, str]:
        """Returns the SHA-256 of each file, by its name."""
        return {name: content_sha256(content) for name, content in self.files.items()}

    @property
    def weights_bytes(self) -> int:
        """How large the model's numbers are; 0 where they are not among the files."""
        numbers = self.files.get(NUMBERS)
        return numbers.stat().st_size if isinstance(numbers, Path) else 0


def content_sha256(content: bytes | Path) -> str:
    """Returns the SHA-256 of bytes, or of the file at a path."""
    return sha256_of(content) if isinstance(content, bytes) else sha256(content)


def compose(
    reference: str | Path, *, weights: bool = False, description: str | None = None, is_dated: bool = True
) -> Publication:
    """Puts together what is published of a finished run, of a recipe, or of a version on another shelf.

    Args:
        reference: A run's folder; the folder around the runs of seeds, of which the first is published with the spread
            of all; a recipe's file or name; a bundle; or a version on a shelf, which is copied with all that is in it.
        weights: Whether the model of the run is published too.
        description: One line; None for the recipe's own.
        is_dated: Whether a receipt says when it was written; else when its run was finished.

    Raises:
        RunError: The run is not finished.
        RecipeError: The recipe does not hold, or names what a version does not carry.
        ContractError: A file of the run is not what was written, or the lock beside the recipe is of another recipe.
    """
    if is_run_or_runs(reference):
        path = Path(reference)
        first = path / next(iter(runs_within(path)), "")
        run = open_finished(first)
        lock = lock_runs(path)
        receipt = receipt_of(run, lock.to_text(), time=None if is_dated else run.finished)
        return _of_run(run, lock, receipt, weights=weights, description=description)
    if is_bundle_file(Path(reference)):
        return _of_bundle(Path(reference), weights=weights, description=description)
    if is_version(reference):
        return _of_version(str(reference), description=description)
    if weights:
        find_recipe(reference)  # else it is neither
        raise RunError(f"{reference}: is a recipe, which has no weights of its own; push a RUN, or leave out --weights")
    return _of_recipe(reference, description=description)


def _of_run(run: FinishedRun, lock: Lock, receipt: Receipt, *, weights: bool, description: str | None) -> Publication:
    files: dict[str, bytes | Path] = {
        RECIPE: run.recipe.encode(),
        LOCK_FILE: lock.to_text().encode(),
        RECEIPT_FILE: receipt.to_text().encode(),
        CURVES: run.path / CURVES,
        **{_name_in_source(one.name): one.text.encode() for one in run.record.recipe_files or ()},
    }
    if weights:
        files |= {name: run.path / name for name in (CARD, NUMBERS)}
    with naming_missing_plug_ins(run.folder):
        recipe = run.folder.recipe()
        packages = {name: run.record.versions.get(name) for name in plug_in_packages(recipe)}
    metadata = {
        **_of_any(recipe, packages, description),
        **_of_lock(lock),
        "metrics": dict(run.result.metrics),
        "intervals": {name: list(bounds) for name, bounds in run.result.intervals.items()},
        "split": run.result.split,
        "parent": _parent(run.record.origin, run.record.recipe_files or ()),
    }
    publication = Publication(files=files, metadata=metadata, names_images=lock.data.has_keys)
    if not weights:
        return publication
    return replace(publication, metadata={**metadata, "weights_bytes": publication.weights_bytes})


def _of_version(reference: str, *, description: str | None) -> Publication:
    """Copies a version as it is, so that its receipt and its signature hold on the other shelf too."""
    pulled = pull(reference)
    metadata = pulled.version.metadata.to_json()
    if description is not None:
        metadata["description"] = description
    return Publication(files={name: pulled.path / name for name in pulled.version.files}, metadata=metadata)


def _of_bundle(path: Path, *, weights: bool, description: str | None) -> Publication:
    """Takes what a version has from a bundle: recipe, lock, receipt and curves, and the model where it is asked for."""
    bundle = open_bundle(path)
    names = [
        name
        for name in bundle.document.files
        if name in (RECIPE, LOCK_FILE, RECEIPT_FILE, CURVES) or name.startswith(f"{SOURCE}/")
    ]
    if weights:
        if NUMBERS not in bundle.document.files:
            raise RunError(f"{path}: holds no model of a run; leave out --weights")
        names += [CARD, NUMBERS]
    metadata = bundle.document.metadata.to_json()
    origin = bundle.document.origin
    for key in ("signed_by", "weights_bytes"):  # of what is pushed, and not of the bundle
        metadata.pop(key, None)
    if origin is not None:
        metadata["parent"] = f"{origin.name}@sha256:{origin.sha256}"
    if description is not None:
        metadata["description"] = description
    publication = Publication(files={name: bundle.path / name for name in names}, metadata=metadata)
    if not weights:
        return publication
    return replace(publication, metadata={**metadata, "weights_bytes": publication.weights_bytes})


def _of_recipe(reference: str | Path, *, description: str | None) -> Publication:
    recipe = load_recipe(reference, against_card=True)
    handle = recipe.model.handle
    if handle and not handle.startswith(BY_HASH) and "://" not in handle:
        raise RecipeError(
            f"{reference}: model.handle is '{handle}', a module beside the recipe, which a version does not carry; "
            "name it by sha256:HEX, or by an address with #sha256=HEX"
        )
    resolved = recipe.to_toml()
    files: dict[str, bytes | Path] = {RECIPE: resolved.encode()}
    written = written_files(reference)
    if len(written) > 1:
        files |= {_name_in_source(one.name): one.content for one in written}
    lock = _lock_beside(reference, resolved)
    if lock is not None:
        files[LOCK_FILE] = lock.to_text().encode()
    packages = {name: installed_version(name) for name in plug_in_packages(recipe)}
    metadata = {
        **_of_any(recipe, packages, description),
        "licence": (lock.weights if lock else weights_of(recipe)).licence,
        "parent": _parent(from_elsewhere(find_recipe(reference)).origin, written),
        **(_of_lock(lock) if lock else {}),
    }
    return Publication(files=files, metadata=metadata, names_images=lock.data.has_keys if lock else None)


def _parent(origin: OriginRecord | None, written: Sequence[WrittenRecipe | RecipeFileRecord]) -> str | None:
    """Returns the version on a shelf that a recipe is from, or else the first that it extends, as `pets@sha256:...`."""
    if origin is not None:
        return origin.published
    return next((one.version for one in written[1:] if one.version is not None), None)


def _of_any(recipe: Recipe, packages: Mapping[str, str | None], description: str | None) -> dict[str, Any]:
    """Returns what is known of every version: what it trains, and what a puller would have to trust or install."""
    handle = recipe.model.handle
    return {
        "recipe": recipe.name,
        "model": recipe.model.name,
        "description": recipe.description if description is None else description,
        "zoo": __version__,
        **({"modules": [handle]} if handle else {}),
        **({"packages": dict(packages)} if packages else {}),
    }


def _of_lock(lock: Lock) -> dict[str, Any]:
    """Returns what a lock adds: the classes, how many images trained, and the licence of what the model begins with."""
    train = lock.data.splits.get("train", {})
    return {
        "classes": len(lock.classes),
        "class_names": _first_names(lock.classes),
        "images": sum(one.images for one in train.values()),
        "licence": lock.weights.licence,
    }


def _first_names(classes: Sequence[str]) -> list[str]:
    """Returns as many class names as a listing has room for."""
    length, first = 0, list[str]()
    for name in classes[:MOST_NAMES]:
        length += len(name)
        if length > MOST_LETTERS:
            break
        first.append(name)
    return first


def _name_in_source(name: str) -> str:
    """Returns what a file that was written is called in a version."""
    written = _NOT_IN_A_NAME.sub("_", name)
    return f"{SOURCE}/{written}" if name.endswith(SUFFIX) else f"{SOURCE}/{NAMED}/{written}{SUFFIX}"


def _lock_beside(reference: str | Path, resolved: str) -> Lock | None:
    """Reads the lock beside a recipe's file; None where there is none.

    Raises:
        ContractError: It is damaged, or of another recipe.
    """
    path = Path(reference)
    if path.suffix != ".toml":
        return None
    beside = lock_beside(path)
    try:
        lock = read_lock(beside)
    except NotFoundError:
        return None
    if lock.recipe.resolved != resolved:
        now = replace(lock, recipe=replace(lock.recipe, sha256=sha256_of(resolved), resolved=resolved))
        found = listed(list(lock_differences(lock, now)))
        raise ContractError(f"{beside}: is not of {path} as it is now ({found}); zoo recipe lock {path} --force")
    return lock


def signed(publication: Publication, key: "Ed25519PrivateKey") -> Publication:
    """Returns what is to be published with the signature of all its files, and who signed among its metadata."""
    from zoo.shelves.signatures import SIGNATURE_FILE, key_name, sign, signature_document

    # Of a version that was signed already, another signature takes the place of the first.
    files = {name: content for name, content in publication.files.items() if name != SIGNATURE_FILE}
    publication = replace(publication, files=files, metadata={**publication.metadata, "signed_by": key_name(key)})
    signature = signature_document(sign(publication.hashes(), key)).encode()
    return replace(publication, files={**files, SIGNATURE_FILE: signature})
