"""`zoo finetune`: train a classifier."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.completion import complete_key, complete_reference
from zoo.cli.options import InPath, Reference
from zoo.cli.output import TRUST_OPTION, accuracy_report, echo, echo_json, start_backend
from zoo.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.finetuning import Job, Run


def _read_seeds(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in (text or "").split(",") if number.strip())
    except ValueError as fault:
        raise click.BadParameter(f"'{text}' is not a list of numbers; expected for example 0,1,2") from fault


@click.command("finetune")
@click.argument(
    "recipe", type=Reference(), required=False, metavar="RECIPE|RUN|MODEL", shell_complete=complete_reference
)
@click.option("--data", type=InPath(), help="Images: a folder with a subfolder per class, .csv, .jsonl, .npz.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    shell_complete=complete_key,
    help="Change a key of the recipe; repeatable. 'zoo recipe keys' lists them.",
)
@click.option(
    "--run",
    "run_path",
    type=InPath(),
    help="Folder to make.  [default: runs/<recipe>-<UTC time>]",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of --run.")
@click.option(
    "--seeds",
    callback=_read_seeds,
    metavar="N,N,...",
    help="Train a run for each of these seeds, and show mean and spread.",
)
@click.option("--dry-run", is_flag=True, help="Show the resolved recipe and what each phase trains, and stop.")
@TRUST_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def finetune_command(
    recipe: str | None,
    data: Path | None,
    overrides: tuple[str, ...],
    run_path: Path | None,
    resume: bool,
    seeds: tuple[int, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a classifier as a recipe says, and leave a run folder.

    RECIPE is a recipe's file or name, the folder of an earlier RUN (which repeats it), or a MODEL's name (which is
    fine-tuned by the recipe finetune/default). The last line on stdout is the run's path.

    \b
    Examples:
      zoo finetune quickstart
      zoo finetune efficientnet_lite0 --data photos/
      zoo finetune theirs.toml --data ours/ --set train.batch_size=64
      zoo finetune tfhub --set model.handle=modules/mobilenet --data photos/ --trust-code
      zoo finetune theirs.toml --data ours/ --seeds 0,1,2
      zoo finetune --run runs/pets --resume
    """
    if seeds and recipe is None:
        raise click.UsageError("--seeds needs a RECIPE, RUN or MODEL; runs that are there already go on")
    if recipe is None and not (resume and run_path):
        raise click.UsageError("name a RECIPE, RUN or MODEL, or go on with a run: --run DIR --resume")
    from zoo.finetuning import finetune, finetune_seeds, make_job, resolve_request

    # What can be refused without TensorFlow is refused before it loads.
    if dry_run or seeds:
        make_job(recipe or str(run_path), data, overrides)
    else:
        resolve_request(recipe, data, overrides, run=run_path, resume=resume)
    start_backend()
    if dry_run:
        _show_plan(make_job(recipe or str(run_path), data, overrides), as_json=as_json)
        return
    if seeds and recipe is not None:
        runs = finetune_seeds(recipe, seeds, data=data, overrides=overrides, run=run_path)
        _show_spread(runs, as_json=as_json)
        return
    run = finetune(recipe, data, overrides=overrides, run=run_path, resume=resume)
    if as_json:
        document = {
            "schema": 1,
            "kind": "finetune",
            "run": str(run.path),
            "metrics": run.metrics,
            "phases": run.record["phases"],
        }
        echo_json(document)
    else:
        _show_result(run)


def _show_result(run: "Run") -> None:
    if run.metrics:
        echo("\n" + accuracy_report(run.record) + "\n")
    echo(f"curves   {run.path / 'history.png'}", whole=True)
    echo(f"next     zoo predict {shlex.quote(str(run.path))} IMAGE", whole=True)
    echo(run.path, whole=True)


def _show_spread(runs: "Mapping[int, Run]", *, as_json: bool) -> None:
    from zoo.finetuning import spread

    figures = spread(runs.values())
    folder = next(iter(runs.values())).path.parent
    if as_json:
        document = {
            "schema": 1,
            "kind": "finetune-seeds",
            "run": str(folder),
            "seeds": list(runs),
            "metrics": {
                name: {"mean": one.mean, "deviation": one.deviation, "values": one.values}
                for name, one in figures.items()
            },
        }
        echo_json(document)
        return
    header = ("", "mean", "deviation", *(f"seed {seed}" for seed in runs))
    rows = [
        (name, f"{one.mean:.4f}", f"{one.deviation:.4f}", *(f"{value:.4f}" for value in one.values))
        for name, one in figures.items()
    ]
    echo(table(header, rows, right=range(1, len(header))))
    echo(folder, whole=True)


def _show_plan(job: "Job", *, as_json: bool) -> None:
    from zoo.training.engine import build_untrained
    from zoo.training.phases import apply_freezing

    model, recipe = build_untrained(job.recipe, job.data)
    tables: list[dict[str, Any]] = []
    text: list[str] = []
    for phase in recipe.phases:
        frozen = apply_freezing(model, phase)
        tables.append({"name": phase.name, "train": phase.train, "plan": frozen.to_json()})
        text.append(f'phase {phase.name} (train = "{phase.train}", {phase.epochs} epochs)\n{frozen}')
    if as_json:
        document = {"schema": 1, "kind": "plan", "recipe": recipe.to_dict(), "phases": tables}
        echo_json(document)
    else:
        echo(recipe.to_toml(), whole=True)
        echo("\n\n".join(text))
