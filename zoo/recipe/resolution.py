"""From a reference to the values of a recipe before validation, each with the place that it came from.

find the file -> read it -> lay it over what it extends -> apply its [set], then --set
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol, runtime_checkable

from zoo.errors import NotFoundError, RecipeError
from zoo.recipe.finding import find_named_recipe, find_recipe, is_on_shelf
from zoo.recipe.overlays import Fault, Overlay, SourceLocation
from zoo.recipe.overrides import apply_overrides, overrides_in, read_overrides
from zoo.recipe.toml.reading import MOST_BYTES, read_content, read_recipe_file
from zoo.recipe.validation import quoted
from zoo.shelves.bundles.opened import bundle_of
from zoo.shelves.cached import version_of
from zoo.shelves.faults import ShelfError

_MOST_DEEP = 8
_MOST_FILES = 64


@runtime_checkable
class HasValues(Protocol):
    """A recipe that is loaded already."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Returns its values as TOML has them."""
        ...


@dataclass
class FilesRead:
    """The files that a recipe is resolved from, filled as they are read.

    Attributes:
        contents: The bytes of each, by its real path; the first is the recipe's own.
        parents: What each extends: as `extends` has it, and the real path of that file.
    """

    contents: dict[Path, bytes] = field(default_factory=dict[Path, bytes])
    parents: dict[Path, list[tuple[str, Path]]] = field(default_factory=dict[Path, list[tuple[str, Path]]])


def resolve(
    reference: str | Path | HasValues,
    overrides: Sequence[str] | Mapping[str, object] = (),
    *,
    content: bytes | None = None,
    read: FilesRead | None = None,
) -> tuple[Overlay, list[Fault]]:
    """Reads what a reference leads to, with all that it extends and what overrides it.

    Args:
        reference: The path of a `.toml` file, the name of a shipped recipe, or a recipe.
        overrides: Texts `KEY=VALUE` as for `--set`, or values by key, such as `{"train.batch_size": 64}`.
        content: The bytes of the file that the reference is the path of, where they were read already.
        read: Receives the files that are read.

    Returns:
        The values without `extends` and `[set]`, and what is wrong with lines, overrides and what is extended.

    Raises:
        NotFoundError: The reference leads nowhere.
        RecipeError: A file cannot be read.
    """
    faults: list[Fault] = []
    if isinstance(reference, HasValues):
        overlay = Overlay(reference.to_dict(), {(): SourceLocation(f"Recipe '{reference.name}'")})
    else:
        files = _Files(faults, content, FilesRead() if read is None else read)
        overlay = files.resolved(find_recipe(reference)).overlay
    asked, misread = read_overrides(overrides)
    overlay, unreachable = apply_overrides(overlay, asked)
    return overlay, [*faults, *misread, *unreachable]


@dataclass(frozen=True)
class _Resolved:
    """A file laid over everything that it extends, and how many recipes deep that goes."""

    overlay: Overlay
    depth: int


class _Files:
    """A recipe's file and all that it extends, each read once.

    Args:
        faults: Receives what is wrong with a line, a tweak or what is extended: the rest is checked all the same.
        content: The bytes of the first, where they were read already.
        read: Receives them.
    """

    def __init__(self, faults: list[Fault], content: bytes | None, read: FilesRead) -> None:
        self._faults = faults
        self._content = content
        self._read_files = read
        self._resolved: dict[Path, _Resolved] = {}
        self._bytes_left = MOST_BYTES

    def resolved(self, path: Path, chain: tuple[Path, ...] = ()) -> _Resolved:
        """Returns a file laid over everything that it extends, tweaked by its `[set]`.

        Args:
            path: The file.
            chain: The files on the way here, each extending the next one.

        Raises:
            RecipeError: This file cannot be read.
        """
        real = path.resolve()
        if real not in self._resolved:
            self._resolved[real] = self._read(path, (*chain, path))
        return self._resolved[real]

    def _read(self, path: Path, chain: tuple[Path, ...]) -> _Resolved:
        content = self._content if len(chain) == 1 else None
        if content is None:
            content = read_content(path, _shown(path), at_most=self._bytes_left)
        child, size = read_recipe_file(path, _shown(path), content=content)
        self._bytes_left -= size
        self._read_files.contents[path.resolve()] = content
        self._faults += child.faults
        parents = self._parents(child, chain)
        overlay = child.without("extends", "set")
        for parent in reversed(parents):
            overlay = overlay.over(parent.overlay)
        tweaks, misread = overrides_in(child)
        overlay, unreachable = apply_overrides(overlay, tweaks)
        self._faults += [*misread, *unreachable]
        return _Resolved(overlay, 1 + max((parent.depth for parent in parents), default=0))

    def _parents(self, child: Overlay, chain: tuple[Path, ...]) -> list[_Resolved]:
        """Returns what a recipe extends; of what it may not or cannot extend, a fault is noted and nothing is known."""
        if ("extends",) in child.unread:
            return [_unknown(child)]
        extends = child.values.get("extends", [])
        references: list[Any] = extends if isinstance(extends, list) else [extends]
        if len(references) > _MOST_FILES:
            found, advice = f"extends names {len(references):,} recipes", f"expected at most {_MOST_FILES}"
            return [self._unread(child, found, advice)]
        if twice := [one for at, one in enumerate(references) if one in references[:at] and isinstance(one, str)]:
            self._unread(child, f"extends names {quoted(twice[0])} twice", "expected each recipe once")
        return [self._extended(child, reference, chain) for reference in _once(references)]

    def _extended(self, child: Overlay, reference: Any, chain: tuple[Path, ...]) -> _Resolved:
        """Returns a recipe that another extends."""
        try:
            parent = self._parent(reference, chain)
            if len({*self._resolved, *(path.resolve() for path in (*chain, parent))}) > _MOST_FILES:
                found = f"extends: more than {_MOST_FILES} files belong to this recipe"
                return self._unread(child, found, "expected fewer", once=True)
            resolved = self.resolved(parent, chain)
        except (NotFoundError, RecipeError, ShelfError) as error:
            fault = Fault.of_message(child.location(("extends",)), f"extends {quoted(reference)}: {error}")
            return self._unread(child, fault.found, fault.advice)
        self._read_files.parents.setdefault(chain[-1].resolve(), []).append((str(reference), parent.resolve()))
        return resolved

    def _unread(self, child: Overlay, found: str, advice: str, *, once: bool = False) -> _Resolved:
        """Notes a fault of `extends`; what it would have led to may hold anything."""
        location = child.location(("extends",))
        fault = Fault(location, found, advice, ("extends",))
        if not (once and fault in self._faults):
            self._faults.append(fault)
        return _unknown(child)

    def _parent(self, reference: Any, chain: tuple[Path, ...]) -> Path:
        parent = parent_of(reference, chain)
        known = self._resolved.get(parent.resolve())
        if len(chain) + (known.depth if known else 1) > _MOST_DEEP + 1:
            raise RecipeError(f"more than {_MOST_DEEP} recipes deep, {_shown_chain([*chain, parent])}")
        return parent


def parent_of(reference: Any, chain: tuple[Path, ...]) -> Path:
    """Finds the file that a recipe extends.

    Args:
        reference: As `extends` has it.
        chain: The files on the way to the recipe, which is the last, each extending the next one.

    Raises:
        NotFoundError: There is none.
        RecipeError: A recipe may not extend it.
    """
    if not isinstance(reference, str):
        raise RecipeError("expected the name of a recipe, or a list of names")
    if "://" in reference:
        raise RecipeError("a recipe cannot name a URL; expected a recipe's name or a file beside this one")
    path = PureWindowsPath(reference)  # knows drives and both slashes
    if path.drive or path.root or ".." in path.parts:
        raise RecipeError("a recipe cannot name an absolute or '..' path; expected a file beside this one")
    child = chain[-1]
    if bundle_of(child) is not None:
        raise RecipeError("the recipe in a bundle extends nothing; expected the resolved one that 'zoo bundle' writes")
    is_file = path.suffix == ".toml"
    if not is_file and version_of(child) is not None and not (is_on_shelf(reference) and "@" in reference):
        raise RecipeError(
            "a published recipe may not extend what can change; expected a version on a shelf, such as vision/base@3"
        )
    parent = find_recipe(child.parent / reference) if is_file else find_named_recipe(reference)
    real = parent.resolve()
    if is_file and not real.is_relative_to(child.parent.resolve()):
        raise RecipeError(
            f"a link that leads to {_shown(real)}; a recipe stays in its folder: copy the file, or name it by a link "
            "that stays inside"
        )
    known = [path.resolve() for path in chain]
    if real in known:
        raise RecipeError(f"a circle of recipes, {_shown_chain([*chain[known.index(real) :], parent])}")
    return parent


def _unknown(child: Overlay) -> _Resolved:
    """Returns what stands for a recipe that could not be read, and that may hold anything."""
    return _Resolved(Overlay({}, {(): child.location(("extends",))}, frozenset({()})), 0)


def _once(references: list[Any]) -> list[Any]:
    return [one for at, one in enumerate(references) if not isinstance(one, str) or one not in references[:at]]


def _shown_chain(chain: Sequence[Path]) -> str:
    return " -> ".join(_shown(path) for path in chain)


def _shown(path: Path) -> str:
    """Returns a path as a user would type it from here; a file of a version that was pulled as `pets@3/recipe.toml`."""
    if (version := version_of(path)) is not None:
        return f"{version.name}@{version.number}/{path.name}"
    if (bundle := bundle_of(path)) is not None:
        return f"bundle {bundle.document.name}/{path.name}"
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else path)
