"""The images that a verb is given: paths, folders, patterns, a list of paths, and one on stdin."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from zoo.cli.options import in_words_of
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.data.given import GivenImage

STANDARD = "-"

PATHS_FROM_OPTION = click.option(
    "--paths-from", type=click.File("rb"), metavar="FILE", help="Take paths from a file too, one a line; - is stdin."
)


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
    typed = [match for path in paths for match in _matches(path)]
    if paths_from is None:
        return typed
    # find -print0 ends each path with a zero byte, as a name may hold a line's end.
    content = paths_from.read().removeprefix(b"\xef\xbb\xbf")
    lines = content.split(b"\0") if b"\0" in content else content.splitlines()
    found = [line.decode(sys.getfilesystemencoding(), "surrogateescape") for line in lines if line.strip()]
    if STANDARD in found:
        raise click.UsageError("--paths-from: a line is '-'; expected paths ('./-' for a file of that name)")
    if not found and not paths:
        raise click.UsageError(f"--paths-from: {paths_from.name} holds no paths; expected one a line")
    return [*typed, *found]


def _matches(path: str) -> list[str]:
    """Lists the files of a pattern that was quoted, or typed in a shell that leaves it alone, as on Windows.

    A path that is there is no pattern, whatever signs are in it; a pattern that nothing matches stands for itself.
    """
    if not glob.has_magic(path) or os.path.lexists(path):
        return [path]
    pattern = str(Path(path).expanduser())
    return sorted(glob.glob(pattern, recursive=True)) or [path]  # noqa: PTH207 -- Path.glob takes no absolute pattern


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
