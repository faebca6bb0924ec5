"""`zoo evaluate` and `zoo predict`: what a finished run is worth, and what it sees."""

from collections.abc import Iterator
from pathlib import Path

import click

from zoo.cli.completion import complete_run
from zoo.cli.options import InPath
from zoo.cli.output import TRUST_OPTION, accuracy_report, echo, echo_json, percent, start_backend
from zoo.errors import DataError

SHOWN_CLASSES = 3


@click.command("evaluate")
@click.argument("run", type=InPath(), shell_complete=complete_run)
@click.option("--data", type=InPath(), help="Other images than the run's own.")
@click.option("--split", help="train, validation or test.  [default: test where there is one, else validation]")
@TRUST_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
def evaluate_command(run: Path, data: Path | None, split: str | None, as_json: bool) -> None:
    """Measure a run's classifier on labelled images.

    \b
    Examples:
      zoo evaluate runs/pets
      zoo evaluate runs/pets --data more-pets/ --json
    """
    refuse_what_is_not_a_run(run)
    if data is not None:
        from zoo.data.sources.opening import check_exists

        check_exists(data)
    start_backend()
    from zoo.evaluation import evaluate
    from zoo.training.progress import Display

    with Display() as display:
        result = evaluate(run, data, split=split, display=display)
    if as_json:
        echo_json({"schema": 1, "kind": "evaluate", **result.to_json()})
        return
    echo(accuracy_report(result.to_json()))


@click.command("predict")
@click.argument("run", type=InPath(), shell_complete=complete_run)
@click.argument("paths", nargs=-1, required=True, type=InPath(), metavar="PATH...")
@TRUST_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line per image.")
def predict_command(run: Path, paths: tuple[Path, ...], as_json: bool) -> None:
    """Classify images, or all images below folders, with a finished run.

    Exit code 1 when some of them could not be read; the others are classified all the same.

    \b
    Examples:
      zoo predict runs/pets cat.jpg dog.jpg
      zoo predict runs/pets holiday/ --json
    """
    refuse_what_is_not_a_run(run)
    start_backend()
    from zoo.prediction import load

    failed = False
    for path, prediction in load(run).predict_each(listed_files(paths)):
        if isinstance(prediction, DataError):
            failed = True
            if as_json:
                echo_json({"path": str(path), "error": str(prediction)})
            else:
                echo(f"zoo: {prediction}", err=True)
        elif as_json:
            echo_json(prediction.to_json())
        else:
            ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:SHOWN_CLASSES]
            echo(f"{path}  " + "  ".join(f"{name} {percent(share)}" for name, share in ranked))
    if failed:
        raise click.exceptions.Exit(1)


def refuse_what_is_not_a_run(path: Path) -> None:
    """Looks whether there is a run, before TensorFlow is loaded to read it.

    Raises:
        NotFoundError: There is none.
    """
    from zoo.models import CARD_FILE
    from zoo.runs.folder import RunFolder

    if not (path / CARD_FILE).is_file():
        RunFolder.open(path)


def listed_files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """Lists the images that paths name; an empty folder stands for itself, and is told as what cannot be read."""
    from zoo.data import image_files

    for path in paths:
        yield from (image_files(path) or [path]) if path.is_dir() else [path]
