"""Whether a phase's frozen prefix is run once, where its activations are kept, and which of later phases with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from zoo.backend.distribution.agreement import gathered, told
from zoo.backend.distribution.placement import current
from zoo.data import Pack
from zoo.inference.engines import Compiled
from zoo.recipe.schema import Recipe
from zoo.system.cache import cache_folder, is_writable, room
from zoo.training.prefix import caching, policy
from zoo.training.prefix.ahead import PhasePrefix
from zoo.training.prefix.caching import Activations
from zoo.training.prefix.engine import PassEngine
from zoo.training.prefix.splitting import Prefix
from zoo.training.prefix.views import View, fixed_views


@dataclass(frozen=True, kw_only=True)
class FrozenPrefixes:
    """What the phases of a run freeze, and what that gives for its images.

    Attributes:
        phases: Of each phase, what is known before the first: see `look_ahead`.
        activations: Those in hand.
        engine: What computes them.
    """

    phases: Sequence[PhasePrefix]
    activations: Activations = field(default_factory=Activations)
    engine: PassEngine = field(default_factory=PassEngine)


@dataclass(frozen=True, kw_only=True)
class Needed:
    """Images whose activations a phase needs.

    Attributes:
        name: What they are, for a bar.
        pack: Their pixels.
        views: Fixed views of them; none where they are taken as they are.
        folder: Where their activations are kept.
        found: Their activations, where they are there.
    """

    name: str
    pack: Pack
    views: Sequence[View] = ()
    folder: Path
    found: np.ndarray | None = None

    @property
    def count(self) -> int:
        """How many activations there are to be."""
        return len(self.pack.labels) * max(1, len(self.views))

    def folder_of(self, prefix: Prefix, engine: str) -> Path:
        """Returns where what another prefix gives for the images, by an engine, is kept."""
        return caching.folder_of(prefix, self.pack.images, self.views, engine=engine)


@dataclass(frozen=True, kw_only=True)
class PrefixPlan:
    """How a frozen prefix is run once.

    Attributes:
        prefix: What is run.
        needed: On what: the images to learn from, and those to validate on where there are any.
        place: Where its activations are, or will be.
        engine: What computes them in place of Keras, with its version; empty where Keras does.
        compiled: What it has made of the prefix and those of later phases, where it has to compute.
        kept: Later phases, for which the same pass keeps what their prefixes give.
        left: Later phases for which it does not, since there is no room.
    """

    prefix: Prefix
    needed: Sequence[Needed]
    place: policy.Place
    engine: str = ""
    compiled: Compiled | None = None
    kept: Sequence[PhasePrefix] = ()
    left: Sequence[PhasePrefix] = ()

    @property
    def count(self) -> int:
        """How many activations there are to be."""
        return sum(each.count for each in self.needed)

    def __str__(self) -> str:
        if self.place == "there":
            return f"what comes up to {self.prefix.cut} is in the cache"
        why = "" if is_writable(caching.KIND) else f", since {caching.entries_folder()} cannot be written"
        later = [
            f"; {prefix.cut} is {what} for {name}, {self._megabytes(prefix)}"
            for what, phases in (("kept", self.kept), ("computed again", self.left))
            for name, prefix in with_prefix(phases)
        ]
        by = f" by {self.engine}" if self.engine else ""
        return (
            f"runs up to {self.prefix.cut} once{by}: {self._megabytes(self.prefix)} {self.place}{why}{''.join(later)}"
        )

    def _megabytes(self, prefix: Prefix) -> str:
        return f"{self.count * policy.bytes_of(prefix) / 1e6:,.1f} MB"

    @property
    def prefixes(self) -> list[Prefix]:
        """What images go through together: the phase's own, and those of later phases."""
        return [self.prefix, *(prefix for _, prefix in with_prefix(self.kept))]


def with_prefix(phases: Iterable[PhasePrefix]) -> list[tuple[str, Prefix]]:
    """Lists the names of phases and what they freeze, but those that freeze nothing."""
    return [(one.phase.name, one.prefix) for one in phases if one.prefix is not None]


@dataclass(frozen=True)
class NotCached:
    """A phase that trains on pixels.

    Attributes:
        reason: Why its frozen prefix is not run once.
    """

    reason: str


def plan_prefix(
    prefixes: FrozenPrefixes, number: int, recipe: Recipe, train: Pack, validation: Pack | None
) -> PrefixPlan | NotCached:
    """Decides whether a phase's frozen prefix is run once, where its activations are kept, and what with them.

    Args:
        prefixes: Those of all phases.
        number: Which phase.
        recipe: The whole recipe.
        train: Pixels and labels to learn from.
        validation: Pixels and labels to validate on, or None.
    """
    one, activations = prefixes.phases[number], prefixes.activations
    prefix = one.prefix
    if prefix is None or one.reason:
        return NotCached(one.reason)
    views = fixed_views(recipe.augment, seed=recipe.train.seed)
    packs = [("train", train, views)]
    if validation is not None:
        packs.append(("validation", validation, []))
    # What is there is used even if it would have no room now: a resumed phase goes on as it began.
    names = prefixes.engine.candidates(
        prefix, images=sum(len(pack.labels) for _, pack, _ in packs), has_views=bool(views)
    )
    by_name: dict[str, list[Needed]] = {}
    for name in names:
        by_name[name] = []
        for what, pack, seen in packs:
            folder = caching.folder_of(prefix, pack.images, seen, engine=name)
            found = activations.find(folder)
            by_name[name].append(Needed(name=what, pack=pack, views=seen, folder=folder, found=found))
        if all(each.found is not None for each in by_name[name]):
            if all(gathered("activations found", "all")):
                return PrefixPlan(prefix=prefix, needed=by_name[name], place="there", engine=name)
        else:
            gathered("activations found", "")
    engine, needed = names[0], by_name[names[0]]
    missing = [each for each in needed if each.found is None]
    size = sum(each.count for each in needed) * policy.bytes_of(prefix)
    begun = sum(caching.bytes_there(each.folder) for each in missing)
    place = policy.place_for(size, there=begun)
    if current().processes > 1:
        place = _place_among_several(place)
    if place is None:
        gigabytes = f"its {size / 1e9:.1f} GB"
        if is_writable(caching.KIND):
            free = f"where {room(there=begun) / 1e9:.1f} GB may be taken"
            return NotCached(f"{gigabytes} fit neither in {cache_folder()}, {free}, nor in memory")
        return NotCached(f"{caching.entries_folder()} cannot be written, and {gigabytes} do not fit in memory")
    plan = PrefixPlan(prefix=prefix, needed=needed, place=place, engine=engine)
    planned = _with_later(plan, one.later, activations, size=size, begun=begun)
    return _as_told(planned, one.later) if current().processes > 1 else planned


def _place_among_several(place: policy.Place | None) -> policy.Place | None:
    """Has all processes run the prefix, each into a place of its own, or none where one of them has no room."""
    return place if all(gathered("place of activations", place or "")) else None


def _as_told(plan: PrefixPlan, later: Sequence[PhasePrefix]) -> PrefixPlan:
    """Keeps what process 0 keeps for later phases: all run the same layers."""
    names = told("phases kept", ",".join(one.phase.name for one in plan.kept)).split(",")
    kept = [one for one in later if one.phase.name in names]
    return replace(plan, kept=kept, left=[one for one in plan.left if one.phase.name not in names])


def _with_later(
    plan: PrefixPlan, later: Sequence[PhasePrefix], activations: Activations, *, size: int, begun: int
) -> PrefixPlan:
    """Adds the later phases whose activations are kept in the same pass, the next first, as far as there is room.

    Args:
        plan: Of the phase that runs it.
        later: Those after it.
        activations: Those in hand.
        size: Of what the phase itself needs, in bytes.
        begun: Bytes of it that an interrupted pass has taken.
    """
    missing = [each for each in plan.needed if each.found is None]
    kept: list[PhasePrefix] = []
    left: list[PhasePrefix] = []
    cuts = {plan.prefix.cut}
    for one, (_, prefix) in zip(later, with_prefix(later), strict=True):
        if prefix.cut in cuts:
            continue
        cuts.add(prefix.cut)
        folders = {each.folder_of(prefix, plan.engine): each.count for each in missing}
        absent = {folder: count for folder, count in folders.items() if activations.find(folder) is None}
        if not absent:
            continue
        more = sum(absent.values()) * policy.bytes_of(prefix)
        there = sum(map(caching.bytes_there, absent))
        if policy.place_for(size + more, there=begun + there) == plan.place:
            size, begun = size + more, begun + there
            kept.append(one)
        else:
            left.append(one)
    return replace(plan, kept=kept, left=left)
