"""What differs between two recipes or runs: key by key, phase by phase, what they ran on, and what they came to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.recipe.by_key import ABSENT, ValueDifference, value_differences
from zoo.runs.exactness import Difference, machine_differences, version_differences
from zoo.runs.record import BatchRecord
from zoo.sharing.difference.figures import Figure
from zoo.sharing.difference.sides import Compared, Made

DATA = "data"


@dataclass(frozen=True, kw_only=True)
class PhaseDifference:
    """How the lists of phases differ.

    Attributes:
        only: The names of the phases that one of the two has alone, of each.
        order: The names in the order of each, where the common ones stand in another order; else None.
    """

    only: tuple[tuple[str, ...], tuple[str, ...]]
    order: tuple[tuple[str, ...], tuple[str, ...]] | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two recipes or runs side by side; equal things are left out.

    Attributes:
        sides: The two.
        keys: The keys of the recipes with both values, but those of phases that one has alone.
        phases: How the lists of phases differ.
        circumstances: What else two runs differ in: data, classes, versions, machine; empty where one is not a run.
        figures: The metrics of each, by name, also equal ones; empty where neither was measured.
    """

    sides: tuple[Compared, Compared]
    keys: tuple[ValueDifference, ...]
    phases: PhaseDifference
    circumstances: tuple[Difference, ...]
    figures: Mapping[str, tuple[Figure | None, Figure | None]]

    @property
    def is_same(self) -> bool:
        """Whether the recipes say the same, and the runs were made on the same."""
        return not (self.keys or any(self.phases.only) or self.phases.order or self.circumstances)

    @property
    def are_runs(self) -> bool:
        """Whether both were run."""
        return all(side.made for side in self.sides)

    @property
    def is_of_other_data(self) -> bool:
        """Whether two runs had other images."""
        return any(one.name == DATA for one in self.circumstances)

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as `zoo recipe diff --json` prints it."""
        sides = {name: side.to_json() for name, side in zip("ab", self.sides, strict=True)}
        only = dict(zip(("only_a", "only_b"), map(list, self.phases.only), strict=True))
        order = self.phases.order and dict(zip("ab", map(list, self.phases.order), strict=True))
        return {
            **sides,
            "same": self.is_same,
            "keys": [{"key": one.key, **_both([_plain(value) for value in one.values])} for one in self.keys],
            "phases": {**only, "order": order},
            "circumstances": [{"name": one.name, **_both([one.then, one.now])} for one in self.circumstances],
            "metrics": [
                {"name": name, **_both([figure and figure.to_json() for figure in both])}
                for name, both in self.figures.items()
            ],
        }


def compare(first: Compared, second: Compared) -> Comparison:
    """Finds what differs between two recipes or runs."""
    names = (list(first.phases), list(second.phases))
    only = (tuple(n for n in names[0] if n not in names[1]), tuple(n for n in names[1] if n not in names[0]))
    common = [[name for name in mine if name in other] for mine, other in (names, names[::-1])]
    order = (tuple(names[0]), tuple(names[1])) if common[0] != common[1] else None
    alone = tuple(f"phases.{name}." for one in only for name in one)
    keys = [one for one in value_differences(first.values, second.values) if not one.key.startswith(alone)]
    mine, others = first.figures, second.figures
    return Comparison(
        sides=(first, second),
        keys=tuple(keys),
        phases=PhaseDifference(only=only, order=order),
        circumstances=tuple(_circumstances(first, second)),
        figures={name: (mine.get(name), others.get(name)) for name in dict.fromkeys((*mine, *others))},
    )


def _circumstances(first: Compared, second: Compared) -> Iterator[Difference]:
    """Yields what decides the numbers of two runs besides their recipes, and is not the same."""
    if not (first.made and second.made):
        return
    then, now = first.made[0], second.made[0]
    if then.data.fingerprint != now.data.fingerprint:
        yield Difference(name=DATA, then=_data(then), now=_data(now))
    if then.classes != now.classes:
        yield Difference(name="classes", then=_classes(then, now), now=_classes(now, then))
    if first.initial_weights != second.initial_weights:
        begun = [one.initial_weights[:12] if one.initial_weights else "the recipe's" for one in (first, second)]
        yield Difference(name="initial weights", then=begun[0], now=begun[1])
    if then.batch is not None and now.batch is not None and then.batch != now.batch:
        yield Difference(name="batch", then=_batch(then.batch), now=_batch(now.batch))
    if then.engine and now.engine and then.engine != now.engine:
        yield Difference(name="engine", then=then.engine, now=now.engine)
    yield from machine_differences(then, now, deterministic=True)
    if then.environment.python != now.environment.python:
        yield Difference(name="python", then=then.environment.python, now=now.environment.python)
    yield from version_differences(then, now.versions)


def _data(record: Made) -> str:
    return f"{record.data.fingerprint[:12]} ({record.data.train:,} + {record.data.validation:,} images)"


def _classes(record: Made, other: Made) -> str:
    """Says how many classes there are, and which the other does not have."""
    alone = [name for name in record.classes if name not in other.classes]
    if not alone and len(record.classes) == len(other.classes):
        return f"{', '.join(record.classes[:_NAMED])}{', ...' if len(record.classes) > _NAMED else ''}"
    listed = ", ".join(alone[:_NAMED]) + (f" and {len(alone) - _NAMED:,} more" if len(alone) > _NAMED else "")
    return f"{len(record.classes):,}" + (f", only here: {listed}" if alone else "")


# Of more classes the first are named.
_NAMED = 3


def _batch(batch: BatchRecord) -> str:
    return f"{batch.batch_size} images" + (f" x {batch.accumulate}" if batch.accumulate > 1 else "")


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def _both(values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip("ab", values, strict=True))
