"""`zoo predict`: what a finished run, or a pretrained model, sees in images."""

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from zoo.backend.hardware.machine import has_nvidia
from zoo.cli.inference.images import PATHS_FROM_OPTION, STANDARD, all_names, fault_of, is_there, listed
from zoo.cli.options import Choice, OutFile, Reference, gathered, json_option, trust_option
from zoo.cli.output import counted, echo, percent, print_json, stdout_is_read, stdout_width
from zoo.cli.shell.completion import complete_model_or_run
from zoo.cli.shell.start import start_backend, working_line
from zoo.errors import LONGEST_PATH, DataError, printable
from zoo.system.files import write_atomic

if TYPE_CHECKING:
    from zoo.data.given import GivenImage
    from zoo.inference.answerer import Answerer, FirstBatch
    from zoo.inference.prediction import Prediction

# Beyond so many images, a GPU makes up for the start of TensorFlow.
MANY_FOR_A_GPU = 256
# How many classes a line of text names where the user does not say.
SHOWN_CLASSES = 3


class OutFileOrStdout(OutFile):
    """A file that is to be written, or `-`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives `-` as it is, and a path in a folder that is there."""
        return value if value == STANDARD else super().convert(value, param, ctx)


@dataclass(frozen=True, kw_only=True)
class PredictRequest:
    """What was typed; see the command's own help.

    Attributes:
        source: A run, a model's name or an export's folder.
        paths: Images, folders and patterns.
        paths_from: A list of more of them.
        top: How many classes are named.
        table: Where a table goes: a file, `-`, or None.
        runtime: What computes.
        as_json: Whether lines are JSON.
    """

    source: str
    paths: tuple[str, ...]
    paths_from: IO[bytes] | None
    top: int | None
    table: Path | str | None
    runtime: str
    as_json: bool


@click.command("predict")
@click.argument("source", type=Reference(), metavar="RUN|MODEL|EXPORT", shell_complete=complete_model_or_run)
@click.argument("paths", nargs=-1, metavar="PATH...")
@PATHS_FROM_OPTION
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="Name the K likeliest classes only.")
@click.option(
    "--csv", "table", type=OutFileOrStdout(".csv", ".txt"), metavar="FILE", help="Write a table; - is stdout."
)
@click.option(
    "--runtime",
    type=Choice(["auto", "keras", "litert", "onnx", "openvino"]),
    default="auto",
    show_default=True,
    envvar="ZOO_RUNTIME",
    show_envvar=True,
    help="What computes.",
)
@trust_option
@json_option("Print a JSON line per image and nothing else.")
@gathered(PredictRequest)
def predict_command(asked: PredictRequest) -> None:
    """Classify images, or all images below folders, with a finished RUN, a pretrained MODEL or an EXPORT's folder.

    The PATH - reads one image from stdin, and a quoted pattern such as 'photos/**/*.jpg' is looked up. Exit code 1 when
    some of them could not be read; the others are classified all the same.

    After the first answer for a RUN or MODEL, a LiteRT export of it is made, compared with Keras and kept in the cache;
    from then on it answers within a second, since neither Keras nor TensorFlow starts. --runtime keras makes none.

    \b
    Examples:
      zoo predict runs/pets cat.jpg dog.jpg
      zoo predict efficientnet_lite0 photo.jpg --top 5
      zoo predict runs/pets holiday/ --csv holiday.csv
      zoo predict runs/pets - --json < cat.jpg
      zoo predict exports/pets-onnx cat.jpg
      find . -name '*.jpg' | zoo predict runs/pets --paths-from - --csv -
    """
    if asked.as_json and asked.table is not None:
        raise click.UsageError("--csv and --json are two forms of one answer; expected one of them")
    names = all_names(asked.paths, asked.paths_from)
    from zoo.inference.answering import check_answers

    check_answers(asked.source)
    images = list(listed(names))
    printer = PredictionPrinter(top=asked.top, as_json=asked.as_json, table=asked.table)
    if any(is_there(image) for image in images):
        _answer(asked, images, printer)
    else:  # nothing to load TensorFlow for: each says why
        for image in images:
            printer.add(image.name, fault_of(image))
        printer.close()
    if printer.failed:
        raise click.exceptions.Exit(1)


def _answer(asked: PredictRequest, images: "Sequence[GivenImage]", printer: "PredictionPrinter") -> None:
    """Classifies images, says what computed, and keeps an export for the next time."""
    from zoo.inference.answerer import FirstBatch
    from zoo.inference.answering import AUTO, KERAS, open_answerer
    from zoo.inference.export_folder import is_export

    runtime: Any = asked.runtime
    if is_export(Path(asked.source)) and not _was_typed("runtime"):
        runtime = AUTO  # the variable is for runs and models: an export has one runtime
    elif runtime == AUTO and len(images) > MANY_FOR_A_GPU and has_nvidia():
        runtime = KERAS
    if runtime in (AUTO, KERAS):
        answerer = open_answerer(asked.source, runtime, start_keras=start_backend)
    else:
        from zoo.export.keeping import open_or_make

        answerer = open_or_make(asked.source, runtime, start_keras=start_backend)
    first = FirstBatch()
    for image, found in first.noticing(answerer).predict_each(images):
        printer.add(image.name, found)
        if asked.table is None and not stdout_is_read():
            return
    printer.close()
    if printer.images and not asked.as_json:
        echo(f"note: {', then '.join(answerer.runtimes)} answered", err=True)
    if runtime == AUTO and answerer.classifier is not None:
        _keep(asked, answerer, first)


def _was_typed(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _keep(asked: PredictRequest, answerer: "Answerer", first: "FirstBatch") -> None:
    """Keeps an export of what Keras has answered; where none can be, a line says why, once."""
    from zoo.export.keeping import keep, what_to_keep

    identity = what_to_keep(asked.source, answerer)
    if identity is None:
        return
    with working_line("keeping a LiteRT export, which answers within a second next time"):
        refused = keep(answerer, identity, first)
    if refused:
        echo(f"note: no LiteRT export of {asked.source} is kept: {refused}", err=True)


@dataclass
class PredictionPrinter:
    """Prints predictions as they come, as text, JSON lines or a table.

    Attributes:
        top: How many classes are named; None for the form's own number.
        as_json: Whether lines are JSON.
        table: Where a table goes: a file, `-`, or None.
        images: How many could be read.
        failed: How many could not.
    """

    top: int | None
    as_json: bool
    table: Path | str | None
    images: int = 0
    failed: int = 0
    _rows: list[str] = field(default_factory=list[str])

    def add(self, name: str, found: "Prediction | DataError | None") -> None:
        """Prints what was found of an image, or why nothing was."""
        if found is None or isinstance(found, DataError):
            self.failed += 1
            if self.as_json:
                print_json({"path": name, "error": str(found)})
                return
            echo(f"zoo: {found}", err=True)
            if self.table is not None:
                self._write([name, *[""] * (2 * self._columns), str(found)])
            return
        self.images += 1
        ranked = sorted(found.probabilities.items(), key=lambda item: -item[1])
        if self.as_json:
            document = {**found.to_json(), "path": name}
            print_json(document if self.top is None else {**document, "probabilities": dict(ranked[: self.top])})
        elif self.table is not None:
            named = [(label, f"{share:.6f}") for label, share in ranked[: self._columns]]
            named += [("", "")] * (self._columns - len(named))
            self._write([name, *itertools.chain(*named), ""])
        else:
            echo(_line(name, ranked[: self.top or SHOWN_CLASSES]), whole=True)

    def close(self) -> None:
        """Writes the table, where it goes into a file."""
        if isinstance(self.table, Path):
            if not self._rows:
                self._write_header()
            write_atomic(self.table, "".join(f"{row}\n" for row in self._rows).encode("utf-8", "backslashreplace"))
            unreadable = f", {self.failed:,} not read" if self.failed else ""
            echo(f"{counted(self.images, 'image')} classified{unreadable}: {self.table}")

    @property
    def _columns(self) -> int:
        return self.top or 1

    def _write_header(self) -> None:
        pairs = [("label", "probability"), *((f"label_{n}", f"probability_{n}") for n in range(2, self._columns + 1))]
        self._put(["path", *itertools.chain(*pairs), "error"])

    def _write(self, row: Sequence[str]) -> None:
        if not self.images + self.failed - 1:
            self._write_header()
        self._put(row)

    def _put(self, row: Sequence[str]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        if self.table == STANDARD:
            echo(line.getvalue(), whole=True)
        else:
            self._rows.append(line.getvalue())


def _line(name: str, ranked: Sequence[tuple[str, float]]) -> str:
    """Writes an image's line; on a screen that is too narrow for it, classes stand on lines of their own below."""
    classes = [f"{printable(label)} {percent(share)}" for label, share in ranked]
    shown = printable(name, at_most=LONGEST_PATH)
    line = "  ".join([shown, *classes])
    width = stdout_width()
    return line if width is None or len(line) <= width else "\n".join([shown, *(f"    {one}" for one in classes)])
