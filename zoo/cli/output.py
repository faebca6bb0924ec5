"""What the verbs share in what they print."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import click

from zoo.backend.quiet_start import descriptor_2_silenced
from zoo.cli.shell.streams import STDOUT, abandon_stdout
from zoo.errors import DataError
from zoo.foreign import trust
from zoo.system.interruption import noticed
from zoo.system.paths import given_path
from zoo.system.text_tables import (
    counted,  # for the verbs
    fold,
    screen_width,
    table,
    without_controls,
)

# Whether this command has printed something on stdout; an error is then not the only document there.
_printed = ContextVar("printed", default=False)
# Whether the reader of stdout has gone away.
_unread = ContextVar("unread", default=False)


def echo(text: object = "", *, err: bool = False, whole: bool = False) -> None:
    """Prints a text, whatever names it holds: the one way out for all that is not JSON.

    Control characters are escaped, and so is what the stream's encoding cannot show. On a terminal, lines that are
    wider than the screen are folded between words.

    Args:
        text: One or more lines.
        err: Print on stderr, where a reader that has gone away stops nothing.
        whole: Leave lines as they are, such as a path that is to be copied.
    """
    stream = sys.stderr if err else sys.stdout
    shown = without_controls(str(text))
    if not whole:
        shown = fold(shown, screen_width(stream))
    if err:
        with contextlib.suppress(OSError, ValueError):
            click.echo(shown, file=stream)
        return
    _print(shown)


def echo_json(document: Mapping[str, Any], *, indent: int | None = None) -> None:
    """Prints a JSON document on stdout; letters that its encoding cannot show are escaped as JSON escapes them."""
    try:
        text = json.dumps(document, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        document = _without_nan(document)
        text = json.dumps(document, ensure_ascii=False, indent=indent)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=indent)
    # JSON itself escapes the others.
    _print(text.translate({code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}))


def _print(text: str) -> None:
    _printed.set(True)
    try:
        click.echo(text, file=sys.stdout)
    except BrokenPipeError:
        # As `head` leaves it. The work goes on: what it finds decides the exit code, and click's own would be 1.
        _unread.set(True)
        abandon_stdout()
    except OSError as fault:
        fault.filename = fault.filename or STDOUT
        raise


def _without_nan(value: Any) -> Any:
    """Replaces what JSON has no number for, NaN and infinity, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(one) for key, one in value.items()}
    return [_without_nan(one) for one in value] if isinstance(value, list | tuple) else value


def stdout_is_read() -> bool:
    """Whether the reader of stdout is still there, as far as what was printed shows."""
    return not _unread.get()


def stdout_width() -> int | None:
    """Returns how wide a table on stdout may be; None where it is not read on a screen."""
    return screen_width(sys.stdout)


@contextlib.contextmanager
def noticing_output() -> Generator[Callable[[], bool]]:
    """Gives a question: has anything been printed on stdout since?"""
    printed, unread = _printed.set(False), _unread.set(False)
    try:
        yield _printed.get
    finally:
        _printed.reset(printed)
        _unread.reset(unread)


def start_backend() -> None:
    """Imports Keras and finds the device, without the messages that TensorFlow's start-up writes.

    They come from compiled code and go to file descriptor 2, past Python's `sys.stderr`. Where the start fails, what
    was written is shown. On a terminal a line says what is going on.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed meanwhile, whatever the libraries made of it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _loading_line(), noticed(), descriptor_2_silenced():
        from zoo.backend.devices import accelerator

        accelerator()


@contextlib.contextmanager
def _loading_line() -> Generator[None]:
    stream = sys.stderr
    if "keras" in sys.modules or stream is None or not stream.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        yield
        return
    names = {"tensorflow": "TensorFlow", "jax": "JAX"}
    line = f"loading {names.get(os.environ.get('KERAS_BACKEND', 'tensorflow'), 'Keras')} ..."
    click.echo(line, nl=False, file=stream)
    try:
        yield
    except KeyboardInterrupt:
        line += "^C"  # which the terminal has added
        raise
    finally:
        click.echo(f"\r{' ' * len(line)}\r", nl=False, file=stream)


class OutFile(click.Path):
    """A file that is to be written, which is refused before any work is done where it cannot be.

    Args:
        suffixes: What its name may end in: another ending would promise another kind of file. None takes every name.
    """

    def __init__(self, *suffixes: str) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives a path in a folder that is there."""
        try:
            path = super().convert(given_path(value) if isinstance(value, str) else value, param, ctx)
        except DataError as fault:
            self.fail(str(fault), param, ctx)
        if isinstance(path, Path) and not path.parent.is_dir():
            self.fail(f"there is no folder '{path.parent}'", param, ctx)
        if isinstance(path, Path) and not os.access(path.parent, os.W_OK):
            self.fail(f"the folder '{path.parent}' cannot be written to", param, ctx)
        if isinstance(path, Path) and self.suffixes and path.suffix.lower() not in (*self.suffixes, ""):
            self.fail(f"'{path}' ends in {path.suffix}; expected {' or '.join(self.suffixes)}", param, ctx)
        return path


def _grant(context: click.Context, _: click.Parameter, granted: bool) -> None:
    if granted:
        context.with_resource(trust.granting())


TRUST_OPTION = click.option(
    "--trust-code",
    is_flag=True,
    expose_value=False,
    callback=_grant,
    help="Let the SavedModel of a tfhub model run on this machine, from now on: it is a program.",
)


def percent(share: float | None) -> str:
    """Writes a share as `91.2 %`, and None as `-`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def accuracy_report(result: Mapping[str, Any]) -> str:
    """Writes what an evaluation found, as `Evaluation.to_json` gives it: class by class, then in all."""
    metrics = result["metrics"]
    rows = [
        (name, f"{entry['images']}", percent(entry["accuracy"]), percent(entry["precision"]), percent(entry.get("f1")))
        for name, entry in result["per_class"].items()
    ]
    images = sum(entry["images"] for entry in result["per_class"].values())
    if "macro_f1" in metrics:  # which an earlier zoo did not measure
        recall, precision, f1 = (percent(metrics[f"macro_{name}"]) for name in ("recall", "precision", "f1"))
        rows.append(("macro mean", f"{images}", recall, precision, f1))
    low, high = result["intervals"]["accuracy"]
    header = ("class", "images", "recall", "precision", "F1")
    split = result.get("split")
    kind = f"{split} image" if split in ("train", "validation", "test") else "image"
    return (
        f"{table(header, rows, right=(1, 2, 3, 4), width=stdout_width(), spare=(4, 3, 1))}\n\n"
        f"accuracy {percent(metrics['accuracy'])} of {counted(images, kind)} "
        f"(95 % interval {percent(low)} to {percent(high)})"
    )
