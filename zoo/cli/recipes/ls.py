"""`zoo recipe ls`: which recipes there are, with zoo or on a shelf."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import json_option
from zoo.cli.output import echo, emit, stdout_width
from zoo.cli.shell.completion import complete_shelf
from zoo.cli.shell.groups import Verb
from zoo.errors import ContractError
from zoo.recipe.finding import describe_shipped_recipes
from zoo.system.text_tables import beside, counted, table

if TYPE_CHECKING:
    from zoo.shelves.versions import Version

# Of a version's metrics so many are shown in the table.
METRICS_SHOWN = 2
# What can be asked of a shelf that no run was pushed to yet.
OF_EVERY_RUN = ("accuracy", "balanced_accuracy", "loss", "macro_f1", "macro_precision", "macro_recall")


@click.command("ls", cls=Verb)
@click.option(
    "--shelf",
    metavar="NAME",
    shell_complete=complete_shelf,
    help="List those on this shelf, the newest version of each.",
)
@click.option(
    "--where", metavar="EXPR", help="Keep those that it holds for, such as 'accuracy>0.9 and model=resnet50'."
)
@click.option("--versions", "all_versions", is_flag=True, help="List every version.")
@json_option()
def ls_command(shelf: str | None, where: str | None, all_versions: bool, as_json: bool) -> None:
    """List the recipes that ship with zoo, or those on a shelf.

    \b
    Examples:
      zoo recipe ls
      zoo recipe ls --shelf vision
      zoo recipe ls --shelf vision --where 'accuracy>0.9 and classes<100'
    """
    if shelf is not None:
        _list_shelf(shelf, where, all_versions=all_versions, as_json=as_json)
        return
    if where is not None or all_versions:
        raise click.UsageError("--where and --versions are about the recipes on a shelf; add --shelf NAME")
    shipped = describe_shipped_recipes()
    if as_json:
        rows = [{"name": one.name, "description": one.description} for one in shipped]
        emit("recipes", {"recipes": rows, "faults": []})
        return
    column = max((len(one.name) for one in shipped), default=0) + 2
    for one in shipped:
        echo(beside(one.name, one.description, column=column, width=stdout_width()), whole=True)


def _list_shelf(shelf: str, where: str | None, *, all_versions: bool, as_json: bool) -> None:
    from zoo.shelves.shelf import open_shelf

    versions, faults = open_shelf(shelf).usable_versions()
    holds = _parsed(where, versions) if where is not None else []
    newest = {one.name: one for one in versions}  # they are sorted by number
    kept = [one for one in (versions if all_versions else newest.values()) if all(term(one) for term in holds)]
    if as_json:
        emit("recipes", {"recipes": [_as_json(one) for one in kept], "faults": faults})
    else:
        _print_table(shelf, kept, f"no recipe for which '{where}' holds" if versions else "no recipes yet")
        for fault in faults:
            echo(fault, err=True)
    if faults:
        raise ContractError(f"{counted(len(faults), 'recipe')} on '{shelf}' cannot be used")


def _print_table(shelf: str, kept: "list[Version]", nothing: str) -> None:
    rows = [
        (
            one.reference,
            one.metadata.model or "-",
            f"{one.metadata.classes:,}" if one.metadata.classes is not None else "-",
            ", ".join(f"{name} {value:.4g}" for name, value in list(one.metadata.metrics.items())[:METRICS_SHOWN])
            or "-",
            one.metadata.signed_by or "-",
            one.metadata.description,
        )
        for one in kept
    ]
    if rows:
        header = ("recipe", "model", "classes", "metrics", "signed by", "description")
        echo(table(header, rows, right=(2,), width=stdout_width(), spare=(5, 4, 3)))
    else:
        echo(f"{shelf} holds {nothing}", err=True)


def _as_json(version: "Version") -> dict[str, Any]:
    said = version.metadata
    return {
        "name": f"{version.shelf}/{version.name}",
        "description": said.description,
        "version": version.number,
        "sha256": version.sha256,
        "published": version.document.published,
        "files": {name: one.to_json() for name, one in version.files.items()},
        "model": said.model,
        "classes": said.classes,
        "images": said.images,
        "metrics": dict(said.metrics),
        "parent": said.parent,
        "signed_by": said.signed_by,
    }


def _parsed(where: str, versions: "list[Version]") -> "list[Callable[[Version], bool]]":
    """Reads `--where`; what any version on the shelf has a figure of can be compared."""
    from zoo.cli.models.where import parse_comparisons

    measured = sorted({name for one in versions for name in one.metadata.metrics}) or OF_EVERY_RUN
    numbers: dict[str, Callable[[Version], float | None]] = {
        **{name: lambda one, name=name: one.metadata.metrics.get(name) for name in measured},
        "version": lambda one: one.number,
        "classes": lambda one: one.metadata.classes,
        "images": lambda one: one.metadata.images,
    }
    texts: dict[str, Callable[[Version], list[str]]] = {
        "name": lambda one: [one.name],
        "model": lambda one: [one.metadata.model or "none"],
        "signed_by": lambda one: [one.metadata.signed_by or "none"],
    }
    return parse_comparisons(where, numbers, texts, example="accuracy>0.9")
