"""What can be compared: a recipe, a run, the runs of several seeds, or a version with its receipt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from zoo.errors import ContractError, NotFoundError, RecipeError, RunError
from zoo.jobs.run_verification import refuse_damage
from zoo.recipe.finding import RECIPE_FILE, find_recipe
from zoo.recipe.loading import load_recipe
from zoo.runs.exactness import MadeOn
from zoo.runs.folder import RunFolder, holds_runs, runs_within
from zoo.runs.record import BatchRecord, ResultRecord, RunRecord
from zoo.sharing.difference.figures import Figure, figures_of_lock, figures_of_runs
from zoo.sharing.locks.lock import FILE as LOCK_FILE
from zoo.sharing.locks.lock import read_lock
from zoo.sharing.receipt import FILE as RECEIPT_FILE
from zoo.sharing.receipt import read_receipt
from zoo.system.files import sha256

# Folders of the runs that `zoo finetune --seeds` makes.
SEED = "seed-"


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

    @property
    def engine(self) -> str | None:
        """What computed what frozen layers give, once it is known."""
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
        spread: Metrics over several runs, where only these are known and not each run's.
    """

    reference: str
    values: Mapping[str, Any]
    made: tuple[Made, ...] = ()
    states: tuple[str, ...] = ()
    results: tuple[ResultRecord, ...] = ()
    initial_weights: str | None = None
    spread: Mapping[str, Figure] = field(default_factory=dict[str, Figure])

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
        return {**figures_of_runs(self.results), **self.spread}

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
        RunError: The run was made by a newer zoo.
        ContractError: The run is damaged; or a receipt beside the recipe is, or is another recipe's.
    """
    path = Path(reference)
    seeds = [path / name for name in runs_within(path) if name.startswith(SEED)] if path.is_dir() else []
    if seeds:
        return _of_runs(reference, [RunFolder.open(seed) for seed in seeds], are_seeds=True)
    if held := holds_runs(path) if path.is_dir() else "":
        raise NotFoundError(held)
    if (path / "run.json").is_file():
        return _of_runs(reference, [RunFolder.open(path)], are_seeds=False)
    file = find_recipe(reference)  # once: from a shelf it is pulled
    values = load_recipe(file).to_dict()
    if file.name == RECIPE_FILE and file.with_name(RECEIPT_FILE).is_file():
        return _proved(reference, values, file)
    return Compared(reference=reference, values=values)


def _proved(reference: str, values: Mapping[str, Any], file: Path) -> Compared:
    """Takes from the receipt and the lock beside a recipe what it came to, on a shelf or in a folder."""
    path = file.with_name(RECEIPT_FILE)
    receipt = read_receipt(path)
    if receipt.sha256.get(RECIPE_FILE) != sha256(file):
        raise ContractError(f"{path}: is not of the {RECIPE_FILE} beside it; pull or copy the version again")
    lock = file.with_name(LOCK_FILE)
    return Compared(
        reference=reference,
        values=values,
        made=(receipt,),
        states=("receipt",),
        results=(receipt.result,),
        spread=figures_of_lock(read_lock(lock)) if lock.is_file() else {},
    )


def _of_runs(reference: str, runs: Sequence[RunFolder], *, are_seeds: bool) -> Compared:
    try:
        values = runs[0].recipe().to_dict()
        records = [run.record() for run in runs]
    except (RunError, RecipeError):
        for run in runs:
            refuse_damage(run)  # as whatever else is shared of a run
        raise
    if are_seeds:
        values["train"] = {**values["train"], "seed": [record.seed for record in records]}
    return Compared.of_runs(reference, values, records)
