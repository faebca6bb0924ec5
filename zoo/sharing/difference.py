"""What differs between two recipes or runs: key by key, phase by phase, what they ran on, and what they came to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from zoo.errors import ContractError, NotFoundError
from zoo.recipe.by_key import ABSENT, ValueDifference, value_differences
from zoo.recipe.finding import RECIPE_FILE, find_recipe
from zoo.recipe.loading import load_recipe
from zoo.runs.exactness import Difference, MadeOn, machine_differences, version_differences
from zoo.runs.folder import RunFolder, holds_runs, runs_within
from zoo.runs.record import BatchRecord, ResultRecord, RunRecord
from zoo.sharing.figures import Figure, figures_of_runs
from zoo.sharing.receipt import FILE as RECEIPT_FILE
from zoo.sharing.receipt import read_receipt
from zoo.system.files import sha256

# Folders of the runs that `zoo finetune --seeds` makes.
SEED = "seed-"
DATA = "data"


class Images(Protocol):
    """How many images a run had, and what they are known by."""

    @property
    def fingerprint(self) -> str:
        """Of contents and labels."""
        ...

    @property
    def train(self) -> int:
        """How many trained."""
        ...

    @property
    def validation(self) -> int:
        """How many validated."""
        ...


class Made(MadeOn, Protocol):
    """What is known of a run: run.json, and what proves a run elsewhere."""

    @property
    def data(self) -> Images:
        """What it learnt from."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the probabilities."""
        ...

    @property
    def batch(self) -> BatchRecord | None:
        """Images to a batch and batches to a step, once they are known."""
        ...


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One of the two.

    Attributes:
        reference: As it was typed.
        values: Its resolved recipe; `train.seed` is a list where it stands for several runs.
        made: What is known of the run, or of the run of each seed; nothing of a recipe that was not run.
        states: How far each of these is.
        results: What those that are finished came to.
        initial_weights: The hash of what it began with in place of its recipe's weights, where that is known.
    """

    reference: str
    values: Mapping[str, Any]
    made: tuple[Made, ...] = ()
    states: tuple[str, ...] = ()
    results: tuple[ResultRecord, ...] = ()
    initial_weights: str | None = None

    @classmethod
    def of_runs(cls, reference: str, values: Mapping[str, Any], records: Sequence[RunRecord]) -> "Compared":
        """Makes it of the records of runs."""
        begun = records[0].weights
        return cls(
            reference=reference,
            values=values,
            made=tuple(records),
            states=tuple(one.status for one in records),
            results=tuple(one.result for one in records if one.result is not None and one.status == "done"),
            initial_weights=None if begun is None else begun.sha256,
        )

    @property
    def phases(self) -> dict[str, Mapping[str, Any]]:
        """Its phases by name, in their order."""
        return {phase["name"]: phase for phase in self.values["phases"]}

    @property
    def figures(self) -> dict[str, Figure]:
        """What its finished runs came to, by the name of the metric."""
        return figures_of_runs(self.results)

    def to_json(self) -> dict[str, Any]:
        """Returns what it is as JSON has it."""
        return {"reference": self.reference, "name": self.values["name"], "runs": list(self.states)}


def compared(reference: str) -> Compared:
    """Reads one of the two.

    Args:
        reference: The folder of a run, or of the runs of several seeds; else a recipe's file or name.

    Raises:
        NotFoundError: It leads nowhere.
        RecipeError: The recipe does not hold.
        RunError: The run is damaged.
        ContractError: A receipt beside the recipe is damaged, or another recipe's.
    """
    path = Path(reference)
    seeds = [path / name for name in runs_within(path) if name.startswith(SEED)] if path.is_dir() else []
    if seeds:
        return _several(reference, [RunFolder.open(seed) for seed in seeds])
    if held := holds_runs(path) if path.is_dir() else "":
        raise NotFoundError(held)
    if (path / "run.json").is_file():
        run = RunFolder.open(path)
        return Compared.of_runs(reference, run.recipe().to_dict(), [run.record()])
    file = find_recipe(reference)  # once: from a shelf it is pulled
    values = load_recipe(file).to_dict()
    if file.name == RECIPE_FILE and file.with_name(RECEIPT_FILE).is_file():
        return _proved(reference, values, file)
    return Compared(reference=reference, values=values)


def _proved(reference: str, values: Mapping[str, Any], file: Path) -> Compared:
    """Takes what a version on a shelf, or its files in a folder, came to from the receipt beside the recipe."""
    path = file.with_name(RECEIPT_FILE)
    receipt = read_receipt(path)
    if receipt.sha256.get(RECIPE_FILE) != sha256(file):
        raise ContractError(f"{path}: is not of the {RECIPE_FILE} beside it; pull or copy the version again")
    return Compared(reference=reference, values=values, made=(receipt,), states=("receipt",), results=(receipt.result,))


def _several(reference: str, runs: Sequence[RunFolder]) -> Compared:
    values = runs[0].recipe().to_dict()
    records = [run.record() for run in runs]
    values["train"] = {**values["train"], "seed": [record.seed for record in records]}
    return Compared.of_runs(reference, values, records)


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
