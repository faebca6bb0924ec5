"""`zoo predict`: what a finished run, or a pretrained model, sees in images."""

import csv
import io
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from zoo.cli.options import OutFile, Reference, in_words_of, json_option, trust_option
from zoo.cli.output import counted, echo, percent, print_json, stdout_is_read, stdout_width
from zoo.cli.shell.completion import complete_model_or_run
from zoo.cli.shell.start import start_backend
from zoo.errors import LONGEST_PATH, DataError, printable
from zoo.system.files import write_atomic

if TYPE_CHECKING:
    from zoo.data.given import GivenImage
    from zoo.inference.classifier import Prediction

# How many classes a line of text names where the user does not say.
SHOWN_CLASSES = 3
STANDARD = "-"


class OutFileOrStdout(OutFile):
    """A file that is to be written, or `-`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives `-` as it is, and a path in a folder that is there."""
        return value if value == STANDARD else super().convert(value, param, ctx)


PATHS_FROM_OPTION = click.option(
    "--paths-from", type=click.File("rb"), metavar="FILE", help="Take paths from a file too, one a line; - is stdin."
)


@click.command("predict")
@click.argument("source", type=Reference(), metavar="RUN|MODEL", shell_complete=complete_model_or_run)
@click.argument("paths", nargs=-1, metavar="PATH...")
@PATHS_FROM_OPTION
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="Name the K likeliest classes only.")
@click.option(
    "--csv", "table", type=OutFileOrStdout(".csv", ".txt"), metavar="FILE", help="Write a table; - is stdout."
)
@trust_option
@json_option("Print a JSON line per image and nothing else.")
def predict_command(
    source: str,
    paths: tuple[str, ...],
    paths_from: IO[bytes] | None,
    top: int | None,
    table: Path | str | None,
    as_json: bool,
) -> None:
    """Classify images, or all images below folders, with a finished RUN or a pretrained MODEL.

    The PATH - reads one image from stdin. Exit code 1 when some of them could not be read; the others are classified
    all the same.

    \b
    Examples:
      zoo predict runs/pets cat.jpg dog.jpg
      zoo predict efficientnet_lite0 photo.jpg --top 5
      zoo predict runs/pets holiday/ --csv holiday.csv
      zoo predict runs/pets - --json < cat.jpg
      find . -name '*.jpg' | zoo predict runs/pets --paths-from - --csv -
    """
    if as_json and table is not None:
        raise click.UsageError("--csv and --json are two forms of one answer; expected one of them")
    names = all_names(paths, paths_from)
    from zoo.inference.classifier import check_source, load

    check_source(source)
    images = list(listed(names))
    if any(is_there(image) for image in images):
        start_backend()
        results: Iterable[tuple[GivenImage, Prediction | DataError | None]] = load(source).predict_each(images)
    else:  # nothing to load TensorFlow for: each says why
        results = ((image, fault_of(image)) for image in images)
    printer = PredictionPrinter(top=top, as_json=as_json, table=table)
    for image, found in results:
        printer.add(image.name, found)
        if table is None and not stdout_is_read():
            break
    printer.close()
    if printer.failed:
        raise click.exceptions.Exit(1)


def all_names(paths: Sequence[str], paths_from: IO[bytes] | None) -> list[str]:
    """Collects the paths that were typed and those of a list, with the usage errors of both."""
    if not paths and paths_from is None:
        raise click.UsageError("Missing argument 'PATH...'; expected images, folders, or --paths-from FILE")
    if not all(path.strip() for path in paths):
        raise click.UsageError("a PATH is empty; expected a file or a folder ('.' for the current one)")
    takes_stdin = [name for name in paths if name == STANDARD]
    if len(takes_stdin) + (paths_from is not None and paths_from.name == "<stdin>") > 1:
        raise click.UsageError("stdin is asked for twice; expected '-' once, as a PATH or of --paths-from")
    if takes_stdin and sys.stdin.isatty():
        raise click.UsageError("stdin is a terminal; expected an image's bytes, as in: zoo predict RUN - < cat.jpg")
    if paths_from is None:
        return list(paths)
    # find -print0 ends each path with a zero byte, as a name may hold a line's end.
    content = paths_from.read().removeprefix(b"\xef\xbb\xbf")
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    found = [line.decode(sys.getfilesystemencoding(), "surrogateescape") for line in lines if line.strip()]
    if STANDARD in found:
        raise click.UsageError("--paths-from: a line is '-'; expected paths ('./-' for a file of that name)")
    if not found and not paths:
        raise click.UsageError(f"--paths-from: {paths_from.name} holds no paths; expected one a line")
    return [*paths, *found]


def listed(names: Iterable[str]) -> "Iterator[GivenImage]":
    """Lists the images that names stand for, a folder's in its place; what names none stands for itself."""
    from zoo.data.given import GivenImage, files_of
    from zoo.system.paths import given_path

    for name in names:
        if name == STANDARD:
            content = sys.stdin.buffer.read()
            yield GivenImage(content or DataError("-: stdin is empty; expected the bytes of an image"), STANDARD)
            continue
        try:
            yield from (GivenImage(file, str(file)) for file in files_of(given_path(name)))
        except DataError as fault:
            context = click.get_current_context(silent=True)
            yield GivenImage(DataError(in_words_of(context, str(fault))), name)


def is_there(image: "GivenImage") -> bool:
    """Whether there is something to read."""
    return fault_of(image) is None


def fault_of(image: "GivenImage") -> DataError | None:
    """Says why there is nothing to read; None where there is."""
    from zoo.data.given import check_file

    try:
        if isinstance(image.source, Path):
            check_file(image.source)
    except DataError as fault:
        return fault
    return image.source if isinstance(image.source, DataError) else None


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
