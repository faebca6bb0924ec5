"""What a published recipe was made from, and by which keys it differs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo.errors import ZooError
from zoo.recipe.by_key import ABSENT, value_differences
from zoo.recipe.finding import shipped_recipes
from zoo.recipe.loading import load_recipe
from zoo.recipe.validation import quoted
from zoo.sharing.receipt import RECIPE
from zoo.sharing.site.contents import Change, Parent
from zoo.sharing.site.published import Published
from zoo.shelves.versions import Version

# Where a version keeps the recipe as it was written, and what it extends.
SOURCE, NAMED = "source/", "source/named/"
SUFFIX = ".toml"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._/-]")
# As many as a recipe may be made of.
MOST_FILES = 64
# Beyond, recipes are not compared: more keys than any recipe has.
MOST_CHANGES = 500


@dataclass(frozen=True)
class Catalogue:
    """The versions of a shelf.

    Attributes:
        by_name: Of each recipe, the newest first.
        by_sha256: Each by its identity.
    """

    by_name: Mapping[str, Sequence[Version]]
    by_sha256: Mapping[str, Version]


def catalogue_of(versions: Iterable[Version]) -> Catalogue:
    """Sorts the versions of a shelf."""
    by_name = dict[str, list[Version]]()
    for one in sorted(versions, key=lambda one: (one.name, -one.number)):
        by_name.setdefault(one.name, []).append(one)
    return Catalogue(by_name, {one.sha256: one for named in by_name.values() for one in named})


def parent_of(version: Version, catalogue: Catalogue, published: Published) -> Parent | None:
    """Finds what a version was made from: what it extends, else the version before it.

    Args:
        version: The version.
        catalogue: All versions of the shelf.
        published: Reads their files.

    Returns:
        The parent with what differs; None of a first version that extends nothing.

    Raises:
        ContractError: A file of the version was altered.
        ShelfError: The shelf cannot be read.
    """
    own = published.toml(version, RECIPE)
    named, _, digest = (version.metadata.parent or "").partition("@sha256:")
    extended = _extended(version, published)
    on_shelf = catalogue.by_sha256.get(digest) or _by_content(extended, version, catalogue)
    if on_shelf is not None:
        return _published_parent(on_shelf, own, published)
    if named or extended:
        return Parent(name=named or extended, changes=_changes(_loaded(extended, version, published), own))
    before = next((one for one in catalogue.by_name[version.name] if one.number < version.number), None)
    return _published_parent(before, own, published, is_before=True) if before else None


def _published_parent(
    parent: Version, own: Mapping[str, Any] | None, published: Published, *, is_before: bool = False
) -> Parent:
    try:
        values = published.toml(parent, RECIPE)
    except ZooError:  # which its own page says
        values = None
    return Parent(
        name=parent.name, number=parent.number, digest=parent.sha256, is_before=is_before, changes=_changes(values, own)
    )


def _extended(version: Version, published: Published) -> str:
    """Returns what the recipe as it was written extends, the last where it is several; empty where nothing."""
    files = _beside(version)
    extends = {name.removeprefix(SOURCE): _extends(published.toml(version, name)) for name in files}
    beside = {parent for parents in extends.values() for parent in parents}
    first = [name for name in extends if name not in beside]
    parents = extends[first[0]] if len(first) == 1 else []
    return parents[-1] if parents else ""


def _extends(values: Mapping[str, Any] | None) -> list[str]:
    given: Any = (values or {}).get("extends", [])
    return [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, str)]


def _by_content(extended: str, version: Version, catalogue: Catalogue) -> Version | None:
    """Finds the version of this shelf whose recipe is the one that is extended, byte for byte."""
    if "/" not in extended or extended.endswith(SUFFIX):
        return None
    sources = {one.sha256 for name, one in version.files.items() if name.startswith(NAMED)}
    recipe = extended.partition("/")[2].partition("@")[0]
    named = catalogue.by_name.get(recipe, ())
    return next((one for one in named if RECIPE in one.files and one.files[RECIPE].sha256 in sources), None)


def _loaded(extended: str, version: Version, published: Published) -> Mapping[str, Any] | None:
    """Resolves a recipe that ships with zoo, or one that lay beside the version's; None where it cannot be."""
    try:
        if extended in shipped_recipes():
            return load_recipe(extended).to_dict()
        if (written := f"{NAMED}{_NOT_IN_A_NAME.sub('_', extended)}{SUFFIX}") in version.files:
            return published.toml(version, written)  # of another shelf, where all are resolved
        if f"{SOURCE}{extended}" not in version.files or not _is_at_hand(version, published):
            return None
        with TemporaryDirectory(prefix="zoo-") as folder:
            for name in _beside(version):
                path = Path(folder) / name.removeprefix(SOURCE)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(published.read(version, name))
            return load_recipe(Path(folder) / extended).to_dict()
    except ZooError:
        return None


def _beside(version: Version) -> list[str]:
    """Lists the recipe's file as it was written and those beside it; none of more than a recipe may have."""
    found = [name for name in version.files if name.startswith(SOURCE) and not name.startswith(NAMED)]
    return found if len(found) <= MOST_FILES else []


def _is_at_hand(version: Version, published: Published) -> bool:
    """Returns whether all that the files extend lies beside them or ships with zoo; another shelf is not asked."""
    files = _beside(version)
    parents = {parent for name in files for parent in _extends(published.toml(version, name))}
    return all(one in shipped_recipes() or f"{SOURCE}{one}" in version.files for one in parents)


def _changes(parent: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> tuple[Change, ...] | None:
    if parent is None or own is None:
        return None
    try:
        found = list(value_differences(parent, own))[:MOST_CHANGES]
    except (KeyError, TypeError, AttributeError, RecursionError):  # it is not the recipe that its name says
        return None
    return tuple(Change(key=one.key, parent=_written(one.values[0]), own=_written(one.values[1])) for one in found)


def _written(value: Any) -> str | None:
    """Writes a value as TOML; None where there is none."""
    if value is ABSENT:
        return None
    return quoted(value)
