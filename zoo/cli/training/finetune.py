"""`zoo finetune`: train a classifier."""

import contextlib
import re
import shlex
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import SET_OPTION, InPath, Reference
from zoo.cli.output import TRUST_OPTION, accuracy_report, echo, echo_json, percent, start_backend, stdout_width
from zoo.cli.shell.completion import complete_reference
from zoo.cli.shell.streams import STDOUT, finish_streams
from zoo.errors import Terminated
from zoo.runs.folder import RunFolder
from zoo.system.text_tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.data import Split
    from zoo.data.inputs import Source
    from zoo.jobs.finetuning import Run
    from zoo.jobs.resolving import Job

# More classes than this are counted in the plan, not listed.
SHOWN_CLASSES = 20


def _read_seeds(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in (text or "").split(",") if number.strip())
    except ValueError as fault:
        raise click.BadParameter(f"'{text}' is not a list of numbers; expected for example 0,1,2") from fault


def _read_more_epochs(_context: click.Context, _option: click.Parameter, text: str | None) -> int:
    if text is None:
        return 0
    if not re.fullmatch(r"\+[1-9][0-9]*", text):
        raise click.BadParameter(
            f"'{text}' is not a number of epochs to add; expected for example +5 "
            "(how many a phase has from the first on: --set phases.NAME.epochs=5)"
        )
    return int(text)


@click.command("finetune")
@click.argument(
    "recipe", type=Reference(), required=False, metavar="RECIPE|RUN|MODEL", shell_complete=complete_reference
)
@click.option("--data", type=InPath(), help="Images: a folder with a subfolder per class, .csv, .jsonl, .npz.")
@SET_OPTION
@click.option(
    "--run",
    "run_path",
    type=InPath(),
    help="Folder to make.  [default: runs/<recipe>-<UTC time>]",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of --run, or of RUN.")
@click.option("--weights", metavar="RUN|FILE", help="Begin with a run's model, or with a file of weights.")
@click.option(
    "--epochs",
    "more_epochs",
    callback=_read_more_epochs,
    metavar="+N",
    help="Train the last phase of a finished RUN by N epochs more, in a new folder.",
)
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
    weights: str | None,
    more_epochs: int,
    seeds: tuple[int, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a classifier as a recipe says, and leave a run folder.

    RECIPE is a recipe's file or name, the folder of an earlier RUN (which repeats it), or a MODEL's name (which is
    fine-tuned by the recipe finetune/default, or, where it has no weights, trained by finetune/from-scratch). The last
    line on stdout is the run's path.

    \b
    Examples:
      zoo finetune quickstart
      zoo finetune efficientnet_lite0 --data photos/
      zoo finetune theirs.toml --data ours/ --set train.batch_size=64
      zoo finetune tfhub --set model.handle=modules/mobilenet --data photos/ --trust-code
      zoo finetune theirs.toml --data ours/ --seeds 0,1,2
      zoo finetune theirs.toml --data ours/ --weights runs/pets
      zoo finetune --run runs/pets --resume
      zoo finetune runs/pets --epochs +5
    """
    if seeds and recipe is None:
        raise click.UsageError("--seeds needs a RECIPE, RUN or MODEL; runs that are there already go on")
    if recipe is None and not (resume and run_path):
        raise click.UsageError("name a RECIPE, RUN or MODEL, or go on with a run: --run DIR --resume")
    if more_epochs and (recipe is None or seeds or dry_run):
        raise click.UsageError("--epochs +N needs the RUN to train on, without --seeds and --dry-run")
    from zoo.jobs.finetuning import Run, carry_out, finetune_seeds, resolve_request
    from zoo.jobs.resolving import make_job

    # What can be refused without TensorFlow is refused before it loads; a finished run needs none of it.
    if dry_run or seeds:
        job = make_job(recipe or str(run_path), data, overrides, weights=weights)
        start_backend()
        if dry_run:
            _show_plan(job, as_json=as_json)
            return
        with _terminated_as_interrupted():
            runs = finetune_seeds(recipe or "", seeds, data=data, overrides=overrides, run=run_path, weights=weights)
        with _finished_said("the runs are finished", next(iter(runs.values())).path.parent):
            _show_spread(runs, as_json=as_json)
        return
    run = resolve_request(
        recipe, data, overrides, run=run_path, resume=resume, weights=weights, more_epochs=more_epochs
    )
    if not isinstance(run, Run):
        start_backend()
        with _terminated_as_interrupted():
            run = carry_out(run)
    with _finished_said("the run is finished", run.path):
        if as_json:
            echo_json(_document(run))
        else:
            _show_result(run)


def _document(run: "Run") -> dict[str, Any]:
    record = RunFolder(run.path).record()
    return {
        "schema": 1,
        "kind": "finetune",
        "run": str(run.path),
        "metrics": run.metrics,
        "phases": [phase.to_json() for phase in record.phases],
        "split": record.result.split if record.result else None,
    }


@contextlib.contextmanager
def _finished_said(what: str, path: Path) -> Generator[None]:
    """Notes where stdout cannot be written that the training is finished all the same, and where."""
    try:
        yield
        finish_streams()
    except OSError as fault:
        if fault.filename == STDOUT:
            fault.add_note(f"{what}: {path}")
        raise


@contextlib.contextmanager
def _terminated_as_interrupted() -> Generator[None]:
    """Ends a run that the system or a scheduler stops (SIGTERM) as Ctrl-C does: its status is written, and said."""

    def stop(*_: object) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # signals are the main thread's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_result(run: "Run") -> None:
    if run.metrics:
        result = RunFolder(run.path).record().result
        echo(f"\n{accuracy_report(result.to_json())}\n" if result else "")
    echo(f"curves   {run.path / 'history.png'}", whole=True)
    echo(f"next     zoo predict {shlex.quote(str(run.path))} IMAGE", whole=True)
    echo(run.path, whole=True)


def _show_spread(runs: "Mapping[int, Run]", *, as_json: bool) -> None:
    from zoo.jobs.finetuning import spread

    figures = spread(runs.values())
    first = next(iter(runs.values()))
    folder = first.path.parent
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
            "split": result.split if (result := RunFolder(first.path).record().result) else None,
        }
        echo_json(document)
        return
    header = ("", "mean", "deviation", *(f"seed {seed}" for seed in runs))
    rows = [
        (name, *(_figure(name, value) for value in (one.mean, one.deviation, *one.values)))
        for name, one in figures.items()
    ]
    # On a narrow screen the mean and the deviation stay.
    seeds_last_first = range(len(header) - 1, 2, -1)
    echo(table(header, rows, right=range(1, len(header)), width=stdout_width(), spare=seeds_last_first))
    validating = {RunFolder(run.path).record().data.validation for run in runs.values()}
    if figures:
        echo(f"of {' or '.join(f'{count:,}' for count in sorted(validating))} validation images")
    echo(folder, whole=True)


def _figure(name: str, value: float) -> str:
    """Writes a loss as it is, and a share in percent."""
    return f"{value:.4f}" if name == "loss" else percent(value)


def _show_plan(job: "Job", *, as_json: bool) -> None:
    from zoo.training.phase import apply_freezing
    from zoo.training.preparation.preparing import build_model, largest_phase, model_warnings, prepare

    prepared = prepare(job.recipe, job.data, weights=job.weights)
    source, recipe = prepared.source, prepared.plan
    model = build_model(prepared)
    tables: list[dict[str, Any]] = []
    text: list[str] = []
    for phase in recipe.phases:
        frozen = apply_freezing(model, phase)
        tables.append({"name": phase.name, "train": phase.train, "plan": frozen.to_json()})
        text.append(f'phase {phase.name} (train = "{phase.train}", {phase.epochs} epochs)\n{frozen}')
    for warning in (*prepared.warnings, *model_warnings(prepared, model, largest_phase(model, recipe))):
        echo(f"warning: {warning}", err=True)
    if as_json:
        document = {"schema": 1, "kind": "plan", "recipe": recipe.to_dict(), "phases": tables, "data": _plan_of(source)}
        echo_json(document)
    else:
        echo(recipe.to_toml(), whole=True)
        echo("\n\n".join(text))
        echo("\n" + _data_table(source))


def _splits_of(source: "Source") -> dict[str, "Split"]:
    splits = {"train": source.train, "validation": source.validation, "test": source.dataset.test}
    return {name: split for name, split in splits.items() if split is not None}


def _plan_of(source: "Source") -> dict[str, Any]:
    """Returns what a run would learn from: classes, and images of each split and class."""
    import numpy as np

    classes = source.dataset.classes
    splits: dict[str, Any] = {}
    for name, split in _splits_of(source).items():
        counts = np.bincount(split.labels, minlength=len(classes)).tolist()
        splits[name] = {"images": len(split), "per_class": dict(zip(classes, counts, strict=True))}
    return {"images": sum(one["images"] for one in splits.values()), "classes": list(classes), "splits": splits}


def _data_table(source: "Source") -> str:
    plan = _plan_of(source)
    names = list(plan["splits"])
    rows = [
        (name, *(f"{plan['splits'][split]['per_class'][name]:,}" for split in names))
        for name in plan["classes"][:SHOWN_CLASSES]
    ]
    if len(plan["classes"]) > SHOWN_CLASSES:
        rows.append((f"{len(plan['classes']) - SHOWN_CLASSES} more", *("" for _ in names)))
    rows.append(("in all", *(f"{plan['splits'][split]['images']:,}" for split in names)))
    counted = f"data: {plan['images']:,} images of {len(plan['classes'])} classes"
    return f"{counted}\n{table(('class', *names), rows, right=range(1, len(names) + 1))}"
