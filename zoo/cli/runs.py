"""`zoo evaluate`: what a finished run is worth."""

from pathlib import Path

import click

from zoo.cli.completion import complete_run
from zoo.cli.options import InPath
from zoo.cli.output import TRUST_OPTION, accuracy_report, echo, echo_json, start_backend


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


def refuse_what_is_not_a_run(path: Path) -> None:
    """Looks whether there is a run, before TensorFlow is loaded to read it.

    Raises:
        NotFoundError: There is none.
    """
    from zoo.models import CARD_FILE
    from zoo.runs.folder import RunFolder

    if not (path / CARD_FILE).is_file():
        RunFolder.open(path)
