"""What the verbs print: text, JSON and figures."""

import contextlib
import json
import math
import sys
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from typing import Any, Literal

import click

from zoo.cli.shell.streams import STDOUT, abandon_stdout
from zoo.errors import UNSHOWABLE
from zoo.system.text_tables import (
    counted,  # for the verbs
    fold,
    screen_width,
    table,
    without_controls,
)

SCHEMA, INDENT = 1, 2
# Every kind of document; docs/json.md says what each holds.
Kind = Literal[
    "list",
    "show",
    "finetune",
    "finetune-seeds",
    "replay",
    "plan",
    "evaluate",
    "verify",
    "features",
    "export",
    "data-check",
    "data-pack",
    "data-preview",
    "lr-find",
    "weights",
    "cache",
    "recipes",
    "recipe",
    "recipe-check",
    "recipe-diff",
    "recipe-keys",
    "recipe-new",
    "recipe-lock",
    "reproduce",
    "recipe-push",
    "recipe-pull",
    "bundle",
    "shelves",
    "site",
    "doctor",
    "error",
]
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


def emit(kind: Kind, document: Mapping[str, Any]) -> None:
    """Prints what `--json` gives: one document on stdout, of one layout whatever the verb.

    Args:
        kind: What it is, so that a reader can tell.
        document: The rest of it.
    """
    # A reader of JSON lines, as `zoo predict` prints them, gets an error as a line too.
    print_json({"schema": SCHEMA, "kind": kind, **document}, indent=None if kind == "error" else INDENT)


def print_json(document: Mapping[str, Any], *, indent: int | None = None) -> None:
    """Prints JSON on stdout, by default as a line; letters that its encoding cannot show are escaped as JSON does."""
    try:
        text = json.dumps(document, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        document = _without_nan(document)
        text = json.dumps(document, ensure_ascii=False, indent=indent)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(document, indent=indent)
    # JSON itself escapes the ASCII ones, and its own lines end as they should.
    _print("\n".join(UNSHOWABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line) for line in text.split("\n")))


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
    """Replaces NaN and infinity, which JSON does not have, by null."""
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
