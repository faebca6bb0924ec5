"""`zoo cache`: what is kept to save work, and can be made or downloaded again."""

import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from zoo.cli.options import Choice, json_option
from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.shell.groups import VerbGroup
from zoo.models.weights import file_size
from zoo.system.cache import cache_folder, remove, unfinished_bytes
from zoo.system.text_tables import table

# What lies in the cache's folders.
KINDS = {
    "activations": "what frozen layers gave for images; computed again when needed",
    "files": "what image files were found to be; read again when needed",
    "packs": "decoded images; decoded again when needed",
    "weights": "downloaded weights; fetched again when needed",
    "recipes": "versions of recipes from shelves; pulled again when needed",
    "bundles": "what bundles hold; unpacked again when needed",
    "exports": "models as LiteRT, by which predict answers at once; made again when needed",
    "modules": "SavedModels of tfhub models; imported again from their folder, archive, address or run",
}


@click.group(cls=VerbGroup)
def cache() -> None:
    """List or clear what is kept to save work."""


@cache.command("ls")
@json_option()
def list_cache(as_json: bool) -> None:
    """List each kind of what is kept: how much, and when it was last used.

    \b
    Example:
      zoo cache ls
    """
    found = {kind: _files(kind) for kind in KINDS}
    if as_json:
        entries = [
            {
                "kind": kind,
                "files": len(files),
                "bytes": _size(files),
                "used": _used(files),
                "unfinished": unfinished_bytes(kind)[0],
                "unfinished_bytes": unfinished_bytes(kind)[1],
            }
            for kind, files in found.items()
        ]
        emit("cache", {"folder": str(cache_folder()), "entries": entries})
        return
    rows = [
        (kind, str(len(files)), file_size(_size(files)), _used(files) or "-", KINDS[kind])
        for kind, files in found.items()
    ]
    echo(f"{cache_folder()}\n")
    header = ("kind", "files", "size", "last used", "")
    echo(table(header, rows, right=(1, 2), width=stdout_width(), spare=(4, 1, 3)))
    unfinished = {kind: unfinished_bytes(kind) for kind in KINDS}
    lines = [_unfinished_line(kind, count, size) for kind, (count, size) in unfinished.items() if count]
    if lines:
        echo("\n".join(["", *lines]))


def _unfinished_line(kind: str, count: int, size: int) -> str:
    entries_are = "1 entry is" if count == 1 else f"{count} entries are"
    return f"{kind}: {entries_are} unfinished ({file_size(size)}); the next run that needs it goes on with it"


@cache.command("clear")
@click.argument("kind", required=False, type=Choice(list(KINDS)))
@click.option("--yes", is_flag=True, help="Do not ask before all is removed.")
def clear_cache(kind: str | None, yes: bool) -> None:
    """Remove what is kept: one KIND of it, or all after a question. What a process writes at the moment stays.

    \b
    Examples:
      zoo cache clear activations
      zoo cache clear --yes
    """
    if kind is None and not yes:
        _ask()
    is_whole = True
    for one in [kind] if kind else list(KINDS):
        removed = remove(cache_folder() / one)
        if removed.bytes or removed.fault is None:
            echo(f"{one}: {file_size(removed.bytes)} freed")
        if removed.fault is not None:
            is_whole = False
            place = removed.fault.filename or cache_folder() / one
            stays = f"{one} stay" + (f" ({file_size(removed.left)})" if removed.left else "")
            echo(f"zoo: {place}: {removed.fault.strerror}; {stays}; clear them as the user who owns them", err=True)
    if not is_whole:
        raise click.exceptions.Exit(1)


def _ask() -> None:
    """Names what would be removed, and asks; raises where nobody can answer, or the answer is no."""
    held = {kind: _size(_files(kind)) for kind in KINDS}
    listed = "; ".join(f"{kind} ({file_size(size)}): {KINDS[kind]}" for kind, size in held.items() if size)
    if not listed:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"all would be removed from {cache_folder()}, downloaded weights too; "
            f"name one KIND of {', '.join(KINDS)}, or say --yes"
        )
    echo(f"{cache_folder()} holds {listed}", err=True)
    click.confirm("Remove all of it?", abort=True, err=True)


def _files(kind: str) -> list[Path]:
    folder = cache_folder() / kind
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def _size(files: list[Path]) -> int:
    return sum(found.st_size for found in _there(files))


def _used(files: list[Path]) -> str:
    # An entry that is read again is touched.
    times = [found.st_mtime for found in _there([one for path in files for one in (path, path.parent)])]
    return f"{datetime.fromtimestamp(max(times), UTC):%Y-%m-%d %H:%M} UTC" if times else ""


def _there(paths: list[Path]) -> list[os.stat_result]:
    """Reads the size and time of what still exists; another process may remove it meanwhile."""
    found: list[os.stat_result] = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found.append(path.stat())
    return found
