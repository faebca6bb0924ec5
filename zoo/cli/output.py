"""What the verbs share in what they print."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import click

from zoo import trusted_programs
from zoo.tables import table


def start_backend() -> None:
    """Imports Keras and finds the device, without the messages that TensorFlow's start-up writes.

    They come from compiled code and go to file descriptor 2, past Python's `sys.stderr`. Where the start fails, what
    was written is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _descriptor_2_silenced():
        from zoo.training.backend import accelerator

        accelerator()


@contextlib.contextmanager
def _descriptor_2_silenced() -> Generator[None]:
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


class OutFile(click.Path):
    """A file that is to be written, which is refused before any work is done where it cannot be."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Gives a path in a folder that is there."""
        path = super().convert(value, param, ctx)
        if isinstance(path, Path) and not path.parent.is_dir():
            self.fail(f"there is no folder '{path.parent}'", param, ctx)
        if isinstance(path, Path) and not os.access(path.parent, os.W_OK):
            self.fail(f"the folder '{path.parent}' cannot be written to", param, ctx)
        return path


def _grant(context: click.Context, _: click.Parameter, granted: bool) -> None:
    if granted:
        context.with_resource(trusted_programs.granting())


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
    rows = [
        (name, f"{entry['images']}", percent(entry["accuracy"]), percent(entry["precision"]))
        for name, entry in result["per_class"].items()
    ]
    images = sum(entry["images"] for entry in result["per_class"].values())
    low, high = result["intervals"]["accuracy"]
    return (
        f"{table(('class', 'images', 'accuracy', 'precision'), rows, right=(1, 2, 3))}\n\n"
        f"accuracy {percent(result['metrics']['accuracy'])} of {images:,} images "
        f"(95 % interval {percent(low)} to {percent(high)})"
    )
