"""A recipe that others shared, on a shelf or in a bundle: what it needs is said first, and what comes with it is used.

It is data: nothing that it says grants trust, installs a package, or replaces a file that is known here by a hash.
"""

import contextlib
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from zoo import registry
from zoo.errors import NotFoundError, RecipeError, WeightsError, printable
from zoo.foreign import saved_models, trust
from zoo.models.carried import take_up
from zoo.recipe.overrides import Overrides, read_overrides
from zoo.recipe.schema import Recipe
from zoo.runs.packages import installed_version
from zoo.runs.record import OriginRecord
from zoo.shelves.bundles.manifest import MODULE
from zoo.shelves.bundles.opened import OpenedBundle, bundle_of
from zoo.shelves.cached import version_of
from zoo.shelves.versions import VersionMetadata
from zoo.training.preparation.initial_weights import InitialWeights

# What a bundle calls weights that are not a set of the card's; see zoo.sharing.locks.making.
GIVEN = "given"
MOST_SAID = 20


@dataclass(frozen=True)
class FromElsewhere:
    """Where a recipe is from.

    Attributes:
        origin: What a run notes of it; None of a recipe that nobody shared.
        metadata: What its author says of it.
        bundle: The bundle that it is in, or None.
        is_said: Whether what it needs was said already.
    """

    origin: OriginRecord | None = None
    metadata: VersionMetadata | None = None
    bundle: OpenedBundle | None = None
    is_said: bool = False

    @contextlib.contextmanager
    def needs_said(self, reference: str) -> Generator[None]:
        """Says on stderr what has to be trusted or installed, before anything is loaded.

        Raises:
            RecipeError: What is loaded meanwhile is missing with a package that is not installed.
        """
        lines = [] if self.metadata is None or self.is_said else list(_needs(self.metadata))
        for line in lines[:MOST_SAID]:
            _say(f"needs {line}")
        if len(lines) > MOST_SAID:
            _say(f"needs {len(lines) - MOST_SAID:,} more")
        try:
            yield
        except (RecipeError, NotFoundError) as fault:
            packages = {} if self.metadata is None else self.metadata.packages or {}
            missing = [_pinned(name, version) for name, version in packages.items() if not installed_version(name)]
            if not missing:
                raise
            are = "is" if len(missing) == 1 else "are"
            raise RecipeError(
                f"{reference}: needs {', '.join(missing)}, which {are} not installed; pip install {' '.join(missing)} "
                f"({' '.join(str(fault).split())})"
            ) from fault

    def taken_up(self, recipe: Recipe) -> Recipe:
        """Lets the weights and the SavedModel that a bundle carries be found; of a shelf there are none.

        Returns:
            The recipe, whose handle names the SavedModel by its hash.

        Raises:
            WeightsError: They are not what the card, or the recipe, describes.
        """
        if self.bundle is None:
            return recipe
        said = _take_up_weights(self.bundle, recipe)
        if said and not self.is_said:
            _say(said)
        if not (self.bundle.document.has_module and recipe.model.handle):
            return recipe
        return _with_module(self.bundle, recipe)

    def initial_weights(self, overrides: Overrides) -> InitialWeights | None:
        """Returns what the bundled run began with in place of its recipe's weights, unless others are asked for."""
        if self.bundle is None or self.bundle.document.weights.set != GIVEN:
            return None
        if any(one.key == "model.weights" for one in read_overrides(overrides)[0]):
            return None
        file = self.bundle.document.weights.file
        if file is None:
            raise WeightsError(f"{self.bundle.document.name}: the bundle lacks the weights that its run began with")
        return InitialWeights.at(self.bundle.path / file)


def _take_up_weights(bundle: OpenedBundle, recipe: Recipe) -> str:
    """Lets the set that the recipe begins with be read from the bundle, where it is not on this machine.

    Returns:
        What is to be said of it; may be empty.
    """
    carried = bundle.document.weights
    if carried.file is None or carried.set == GIVEN or carried.model != recipe.model.name:
        return ""
    listed = bundle.document.files.get(carried.file)
    if listed is None or recipe.model.weights == "none":
        return ""
    weight_set = registry.info(carried.model).weight_set(recipe.model.weights, recipe.model.builder_options)
    if weight_set is None or weight_set.name != carried.set:
        return ""  # --set asks for others
    if not take_up(weight_set, bundle.path / carried.file, listed.sha256):
        return ""
    return (
        f"needs weights '{carried.set}' of {carried.model} as the bundle has them (SHA-256 "
        f"{listed.sha256[:12]}...): their publisher gives no hash to compare"
    )


def _with_module(bundle: OpenedBundle, recipe: Recipe) -> Recipe:
    """Imports the SavedModel of a bundle, which runs nothing of it, and names it by its hash."""
    module = saved_models.fetch(str(bundle.path / MODULE.rstrip("/")))
    handle = recipe.model.handle
    expected = handle.partition("#sha256=")[2] or handle.removeprefix(saved_models.BY_HASH)
    if module.sha256 != expected.lower():
        raise WeightsError(
            f"{bundle.document.name}: the SavedModel in the bundle has the SHA-256 {module.sha256}; the recipe names "
            f"{expected}; get the bundle again"
        )
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"handle": module.handle})})


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)


def from_elsewhere(file: Path) -> FromElsewhere:
    """Returns where the file of a recipe is from: a version that was pulled, a bundle, or neither."""
    if (version := version_of(file)) is not None:
        origin = OriginRecord(name=version.name, version=version.number, sha256=version.sha256)
        return FromElsewhere(origin, version.metadata)
    if (bundle := bundle_of(file)) is None:
        return FromElsewhere()
    document = bundle.document
    if (of := document.origin) is not None:
        origin = OriginRecord(name=of.name, version=of.version, sha256=of.sha256)
    else:
        origin = OriginRecord(name=document.name, sha256=bundle.sha256, parent=document.metadata.parent)
    return FromElsewhere(origin, document.metadata, bundle)


def _pinned(name: str, version: str | None) -> str:
    return f"{name}=={version}" if version else name


def _needs(metadata: VersionMetadata) -> Generator[str]:
    """Yields what has to be trusted, and what has to be installed, each with how it stands here."""
    for one in metadata.modules or ():
        sha256 = one.partition("#sha256=")[2] or one.removeprefix(saved_models.BY_HASH)
        is_trusted = trust.is_trusted(sha256.lower())
        yield f"module {one} (a program): {'is trusted here' if is_trusted else 'add --trust-code to let it run'}"
    for name, version in (metadata.packages or {}).items():
        here = installed_version(name)
        how = "is installed" if here == version else f"here is {here}" if here else "is not installed"
        yield f"package {_pinned(name, version)}: {how}"
