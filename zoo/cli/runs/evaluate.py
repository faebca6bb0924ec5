"""`zoo evaluate`: what a finished run is worth."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo import registry
from zoo.cli.options import InPath, OutFile, data_option, json_option, trust_option
from zoo.cli.output import accuracy_report, counted, echo, emit, percent, stdout_width
from zoo.cli.shell.completion import complete_run
from zoo.cli.shell.start import start_backend
from zoo.errors import LONGEST_PATH, NotFoundError, printable
from zoo.system.text_tables import cells, table

if TYPE_CHECKING:
    from zoo.evaluation.measuring import Evaluation

# A matrix of more classes is not read as text.
SHOWN_CLASSES = 15
# Where nothing says how wide a line may be.
DEFAULT_WIDTH = 80


@click.command("evaluate")
@click.argument("run", type=InPath(), shell_complete=complete_run)
@data_option("Other images than the run's own.")
@click.option("--split", help="train, validation or test.  [default: test where there is one, else validation]")
@click.option("--wrong", is_flag=True, help="List the images that it got wrong, the most confident first.")
@click.option("--wrong-to", type=InPath(), metavar="DIR", help="Copy them into folders by class, in a new folder.")
@click.option("--plot", type=OutFile(".png"), metavar="FILE", help="Draw the confusion matrix, as PNG.")
@trust_option
@json_option()
def evaluate_command(
    run: Path,
    data: Path | None,
    split: str | None,
    wrong: bool,
    wrong_to: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure a run's classifier on labelled images: those that it kept from training, or others.

    Without --data exactly the images are measured that the run validated or tested on, however the folder has changed.

    \b
    Examples:
      zoo evaluate runs/pets
      zoo evaluate runs/pets --wrong --plot confusion.png
      zoo evaluate runs/pets --wrong-to wrong/
      zoo evaluate runs/pets --data more-pets/ --json
    """
    refuse_what_is_not_a_run(run)
    if wrong_to is not None:
        from zoo.evaluation.mistakes import refuse_taken

        refuse_taken(wrong_to, run, data)
    if data is not None:
        from zoo.data.sources.opening import check_exists

        check_exists(data)
    start_backend()
    from zoo.evaluation.measuring import evaluate
    from zoo.report.progress import Display

    with Display() as display:
        result = evaluate(run, data, split=split, display=display)
    if plot is not None:
        from zoo.report.confusion import plot_confusion
        from zoo.report.figures import save_figure

        save_figure(plot_confusion(result.confusion, result.classes, _title(result)), plot)
    if wrong_to is not None:
        from zoo.evaluation.mistakes import copy_mistakes

        copy_mistakes(result.wrong, wrong_to)
    if as_json:
        emit("evaluate", result.to_json(wrong=wrong or wrong_to is not None))
        return
    echo(accuracy_report(result.to_json()))
    newer = f"; {result.newer:,} newer images are not measured" if result.newer else ""
    images = f", in {printable(result.data, at_most=LONGEST_PATH)}" if result.data else ""
    echo(f"of {printable(result.run, at_most=LONGEST_PATH)}{images}{newer}")
    if matrix := _confusion_table(result):
        echo(f"\n{matrix}")
    if wrong:
        echo()
        for one in result.wrong:
            path = printable(one.path, at_most=LONGEST_PATH)
            said = f"{printable(one.truth)}, called {printable(one.called)} {percent(one.probability)}"
            fits = cells(f"{path}  {said}") <= (stdout_width() or sys.maxsize)
            echo(f"{path}  {said}" if fits else f"{path}\n    {said}", whole=True)
    if plot is not None:
        echo(f"confusion matrix  {plot}", whole=True)
    if wrong_to is not None:
        echo(f"{counted(len(result.wrong), 'wrong image')}  {wrong_to}", whole=True)


def _title(result: "Evaluation") -> str:
    kind = "images" if result.split == "all" else f"{result.split} images"
    return f"{result.run}: {percent(result.metrics['accuracy'])} of {result.images:,} {kind}"


def _confusion_table(result: "Evaluation") -> str:
    """Returns the confusion matrix as a table, or nothing where it is wider than the screen."""
    if len(result.classes) > SHOWN_CLASSES:
        return ""
    rows = [
        (name, *(str(count) if count else "." for count in row))
        for name, row in zip(result.classes, result.confusion, strict=True)
    ]
    text = table(("class \\ called", *result.classes), rows, right=range(1, len(result.classes) + 1))
    return "" if max(map(len, text.splitlines())) > (stdout_width() or DEFAULT_WIDTH) else text


def refuse_what_is_not_a_run(path: Path) -> None:
    """Checks that there is a run, before TensorFlow is loaded to read it.

    Raises:
        NotFoundError: There is none.
    """
    from zoo.models.saving import CARD_FILE
    from zoo.runs.folder import RunFolder

    # A model's name has no folder before it: such a path is answered without loading the families.
    if path.name == str(path) and not path.exists() and path.name in registry.list_models():
        raise NotFoundError(_of_a_model(str(path)))
    if not (path / CARD_FILE).is_file():
        RunFolder.open(path)


def _of_a_model(name: str) -> str:
    advice = f"{name}: is a model, not a run; fine-tune it first: zoo finetune {name} --data PHOTOS"
    if not registry.info(name).weights:
        return advice
    return f"{advice}; or see which of its own classes it finds: zoo predict {name} PHOTOS"
