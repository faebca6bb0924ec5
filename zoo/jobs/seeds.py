"""One run for each of several seeds, and how their figures spread."""

import shlex
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.backend.distribution.placement import Devices
from zoo.backend.quiet_start import import_keras
from zoo.data import InCode
from zoo.errors import INTERRUPTIONS, RunError
from zoo.jobs.finetuning import Run, carry_out
from zoo.jobs.resolving import as_overrides, make_job, with_override
from zoo.jobs.resuming import Request, decide
from zoo.recipe.overrides import GivenOverrides
from zoo.recipe.schema import Recipe
from zoo.runs.claim import refuse_claimed
from zoo.runs.folder import default_path, first_there, remove_empty, reserve_default_path, runs_within
from zoo.system.files import advise
from zoo.system.paths import given_path


@dataclass(frozen=True)
class SeedSummary:
    """A figure of several runs that differ by their seed.

    Attributes:
        values: One for each run, in the order of the seeds.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Their sample standard deviation; 0 for a single one."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


# Many arguments because they are those of `finetune`.
def finetune_seeds(
    recipe_or_model: str | Path | Recipe,
    seeds: Sequence[int],
    *,
    data: Path | str | InCode | None = None,
    overrides: GivenOverrides = None,
    run: Path | str | None = None,
    weights: Path | str | None = None,
    load: Callable[[], object] = import_keras,
    devices: Devices = "auto",
) -> dict[int, Run]:
    """Trains one run for each seed, in folders `seed-N` below `run`; what is there already goes on or stays.

    Args:
        recipe_or_model: As for `finetune`.
        seeds: Each takes the place of the recipe's `train.seed`.
        data: As for `finetune`.
        overrides: As for `finetune`.
        run: The folder around them; by default `runs/<recipe>-<UTC time>`.
        weights: As for `finetune`.
        load: Loads Keras and its backend; a folder in which another process works is refused before.
        devices: As for `carry_out`.

    Returns:
        The finished runs by seed.

    Raises:
        ZooError: Any of its children.
    """
    if len(set(seeds)) != len(seeds) or not seeds:
        raise RunError(f"seeds are {', '.join(map(str, seeds)) or 'none'}; expected one or more different numbers")
    job = make_job(recipe_or_model, data, overrides, weights=weights)
    there = first_there(default_path(job.recipe.name))
    around = reserve_default_path(job.recipe.name) if run is None else given_path(run, "the path of the run")
    asked = Request(recipe=recipe_or_model, data=data, overrides=overrides, run=around, resume=True, weights=weights)
    # What is on a shelf may be another version by the time that the next seed is trained.
    of_each = replace(asked, recipe=job.pulled or recipe_or_model, is_said=True)
    runs: dict[int, Run] = {}
    folders = {seed: around / f"seed-{seed}" for seed in seeds}
    try:
        for folder in folders.values():  # before the first is trained for hours
            refuse_claimed(folder)
        for seed, folder in folders.items():
            seeded = with_override(as_overrides(overrides), "train.seed", seed)
            one = decide(replace(of_each, overrides=seeded, run=folder))
            runs[seed] = carry_out(one, is_one_of_several=True, load=load, devices=devices)
    except (*INTERRUPTIONS, OSError, MemoryError) as fault:
        if runs_within(around):
            advise(fault, f"go on with all seeds: {_typed_again(asked, seeds, around)}")
        raise
    finally:
        if run is None:
            remove_empty(around.absolute(), up_to=there)
    return runs


def _typed_again(asked: Request, seeds: Sequence[int], around: Path) -> str:
    """Writes the command that trains the same seeds in the same folder, quoted; or what to call again."""
    if not isinstance(asked.recipe, str | Path) or not isinstance(asked.data, str | Path | None):
        return f"make the same call with run={str(around)!r}"
    words = ["zoo", "finetune", str(asked.recipe)]
    words += [] if asked.data is None else ["--data", str(asked.data)]
    overrides = as_overrides(asked.overrides)
    texts = [f"{key}={value}" for key, value in overrides.items()] if isinstance(overrides, Mapping) else overrides
    for text in texts:
        words += ["--set", text]
    words += [] if asked.weights is None else ["--weights", str(asked.weights)]
    return shlex.join([*words, "--seeds", ",".join(map(str, seeds)), "--run", str(around)])


def summarize_seeds(runs: Iterable[Run]) -> dict[str, SeedSummary]:
    """Returns each figure of the best models over several runs."""
    measured = [run.metrics for run in runs]
    names = [name for name in measured[0] if all(name in metrics for metrics in measured)]
    return {name: SeedSummary(tuple(metrics[name] for metrics in measured)) for name in names}
