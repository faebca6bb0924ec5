"""`zoo finetune`: train a classifier."""

import contextlib
import re
import shlex
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.backend.distribution.joining import unreachable_name
from zoo.backend.distribution.placement import current
from zoo.backend.distribution.supervising import begin_as_child, is_supervised
from zoo.cli.options import InPath, gathered, json_option, recipe_options, trust_option
from zoo.cli.output import accuracy_report, echo, emit, percent, stdout_width
from zoo.cli.shell.start import start_backend
from zoo.cli.shell.streams import STDOUT, finish_streams
from zoo.cli.training.placing import PlacingOptions, launch, placing_options, run_as_member
from zoo.cli.training.plan import show_plan
from zoo.cli.training.replay import show_replay
from zoo.runs.folder import RunFolder
from zoo.system.text_tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.backend.distribution.joining import Member
    from zoo.backend.distribution.placement import Devices
    from zoo.jobs.finetuning import Run
    from zoo.jobs.resolving import Job


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """What `zoo finetune` is asked to do; see `zoo.finetune` for what each means."""

    recipe: str | None
    data: Path | None
    overrides: tuple[str, ...]
    run: Path | None
    resume: bool
    weights: str | None
    more_epochs: int
    force: bool


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
@recipe_options(required=False)
@click.option("--run", type=InPath(), help="Folder to make.  [default: runs/<recipe>-<UTC time>]")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of --run, or of RUN.")
@click.option("--replay", is_flag=True, help="Take the step again in which --run failed, and show what it saw.")
@click.option("--weights", metavar="RUN|FILE", help="Begin with a run's model, or with a file of weights.")
@click.option(
    "--epochs",
    "more_epochs",
    callback=_read_more_epochs,
    metavar="+N",
    help="Train the last phase of a finished RUN by N epochs more, in a new folder.",
)
@click.option("--force", is_flag=True, help="Go on with other versions of packages, or on another device.")
@click.option(
    "--seeds",
    callback=_read_seeds,
    metavar="N,N,...",
    help="Train a run for each of these seeds, and show mean and spread.",
)
@placing_options
@click.option("--dry-run", is_flag=True, help="Show the resolved recipe and what each phase trains, and stop.")
@trust_option
@json_option()
@gathered(FinetuneOptions)
@gathered(PlacingOptions, name="placing")
def finetune_command(
    asked: FinetuneOptions,
    placing: PlacingOptions,
    seeds: tuple[int, ...],
    replay: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a classifier as a recipe says, and leave a run folder.

    RECIPE is a recipe's file or name, SHELF/NAME of one on a shelf, a bundle, the folder of an earlier RUN (which
    repeats it), or a MODEL's name (which is fine-tuned by the recipe finetune/default, or, where it has no weights,
    trained by finetune/from-scratch). The last line on stdout is the run's path.

    \b
    Examples:
      zoo finetune quickstart
      zoo finetune efficientnet_lite0 --data photos/
      zoo finetune theirs.toml --data ours/ --set train.batch_size=64
      zoo finetune theirs.zip --data ours/
      zoo finetune tfhub --set model.handle=modules/mobilenet --data photos/ --trust-code
      zoo finetune theirs.toml --data ours/ --seeds 0,1,2
      zoo finetune theirs.toml --data ours/ --weights runs/pets
      zoo finetune --run runs/pets --resume
      zoo finetune --run runs/pets --replay
      zoo finetune runs/pets --epochs +5
      zoo finetune theirs.toml --data ours/ --devices all
      zoo finetune theirs.toml --coordinator 10.0.0.1:9911 --processes 2 --process 0
      zoo finetune theirs.toml --launcher ray --processes 4 --run /shared/runs/theirs
    """
    if replay:
        given = (asked.recipe, asked.run)
        if (
            sum(one is not None for one in given) != 1
            or asked.resume
            or seeds
            or dry_run
            or asked.overrides
            or placing.launcher
        ):
            raise click.UsageError("--replay takes a run, and --data where its images have moved: --run DIR --replay")
        show_replay(asked.run or Path(str(asked.recipe)), asked.data, as_json=as_json)
        return
    if seeds and asked.recipe is None:
        raise click.UsageError("--seeds needs a RECIPE, RUN or MODEL; runs that are there already go on")
    if asked.recipe is None and not (asked.resume and asked.run):
        raise click.UsageError("name a RECIPE, RUN or MODEL, or go on with a run: --run DIR --resume")
    if asked.force and (seeds or dry_run):
        raise click.UsageError("--force goes on with a run: --run DIR --resume --force, without --seeds and --dry-run")
    if asked.more_epochs and (asked.recipe is None or seeds or dry_run):
        raise click.UsageError("--epochs +N needs the RUN to train on, without --seeds and --dry-run")
    if dry_run:
        show_plan(_checked(asked), as_json=as_json)
        return
    if placing.launcher is not None:
        if seeds:
            raise click.UsageError("--seeds trains one run after another; with --launcher: --set train.seed=N")
        echo(launch(placing, asked.run).removesuffix("\n"), whole=True)
        return
    member = placing.member()
    if seeds and member is not None:
        raise click.UsageError("--seeds trains one run after another; with several processes: --set train.seed=N")
    if seeds:
        _train_seeds(asked, seeds, placing.devices, as_json=as_json)
    elif member is None or is_supervised():
        _train(asked, member, placing.devices, as_json=as_json)
    else:
        click.get_current_context().exit(run_as_member(member))


def _checked(asked: FinetuneOptions) -> "Job":
    """Refuses what can be refused without TensorFlow before it loads."""
    from zoo.jobs.resolving import make_job

    job = make_job(asked.recipe or str(asked.run), asked.data, asked.overrides, weights=asked.weights)
    start_backend()
    return job


def _train(asked: FinetuneOptions, member: "Member | None", devices: "Devices", *, as_json: bool) -> None:
    from zoo.cli.training.processes import member_request
    from zoo.jobs.finetuning import carry_out
    from zoo.jobs.resuming import Request, decide
    from zoo.report.step_times import StepTimes, seconds_of_this_process

    # A program that calls us has done other things before.
    times = StepTimes(before=0.0 if "keras" in sys.modules else seconds_of_this_process())
    request = Request(
        recipe=asked.recipe,
        data=asked.data,
        overrides=asked.overrides,
        run=asked.run,
        resume=asked.resume,
        weights=asked.weights,
        more_epochs=asked.more_epochs,
        force=asked.force,
    )
    if member is not None:
        begin_as_child()
        if warning := unreachable_name(member):
            echo(warning, err=True)
    with member_request(request, member) as shared:
        leads = current().leads
        run = carry_out(decide(shared), load=start_backend, times=times, devices=devices)
    if not leads:  # its folder is thrown away
        return
    with _finished_said("the run is finished", run.path):
        if as_json:
            emit("finetune", _document(run))
        else:
            _show_result(run)


def _train_seeds(asked: FinetuneOptions, seeds: tuple[int, ...], devices: "Devices", *, as_json: bool) -> None:
    from zoo.jobs.seeds import finetune_seeds

    runs = finetune_seeds(
        asked.recipe or "",
        seeds,
        data=asked.data,
        overrides=asked.overrides,
        run=asked.run,
        weights=asked.weights,
        load=start_backend,
        devices=devices,
    )
    with _finished_said("the runs are finished", next(iter(runs.values())).path.parent):
        _show_seeds(runs, as_json=as_json)


def _document(run: "Run") -> dict[str, Any]:
    record = RunFolder(run.path).record()
    return {
        "run": str(run.path),
        "metrics": run.metrics,
        "phases": [phase.to_json() for phase in record.phases],
        "split": record.result.split if record.result else None,
        "seconds": record.seconds.to_json() if record.seconds else None,
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


def _show_result(run: "Run") -> None:
    if run.metrics:
        result = RunFolder(run.path).record().result
        echo(f"\n{accuracy_report(result.to_json())}\n" if result else "")
    echo(f"curves   {run.path / 'history.png'}", whole=True)
    echo(f"next     zoo predict {shlex.quote(str(run.path))} IMAGE", whole=True)
    echo(run.path, whole=True)


def _show_seeds(runs: "Mapping[int, Run]", *, as_json: bool) -> None:
    from zoo.jobs.seeds import summarize_seeds

    figures = summarize_seeds(runs.values())
    first = next(iter(runs.values()))
    folder = first.path.parent
    if as_json:
        document = {
            "run": str(folder),
            "seeds": list(runs),
            "metrics": {
                name: {"mean": one.mean, "deviation": one.deviation, "values": one.values}
                for name, one in figures.items()
            },
            "split": result.split if (result := RunFolder(first.path).record().result) else None,
        }
        emit("finetune-seeds", document)
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
