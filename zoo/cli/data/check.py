"""`zoo data check`: what is wrong with images."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import InPath, OutFile, json_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.groups import Verb
from zoo.errors import LONGEST_LINE, ContractError, DataError, NotFoundError, printable
from zoo.system.text_tables import table

if TYPE_CHECKING:
    from zoo.data.check.findings import Report, Sizes

# Of each kind of finding as many are shown, and of each as many images' names.
SHOWN, SHOWN_FAULTS, SHOWN_NAMES = 5, 20, 4


def _read_columns(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    from zoo.recipe.fields import COLUMN_ROLES

    columns: dict[str, str] = {}
    for text in given:
        role, equals, name = (part.strip() for part in text.partition("="))
        if role not in COLUMN_ROLES or not (equals and name):
            raise click.BadParameter(f"'{text}'; expected {', '.join(COLUMN_ROLES)} and a name, as in path=file_name")
        columns[role] = name
    return columns


def _read_options(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, object]:
    from zoo.recipe.toml.values import toml_value

    options: dict[str, object] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals):
            raise click.BadParameter(f"'{text}'; expected a name and a value, as in size=64")
        options[name] = toml_value(value)
    return options


@click.command("check", cls=Verb)
@click.argument("path", type=InPath(), required=False)
@click.option("--source", default="folder", show_default=True, help="What PATH is, as data.source of a recipe.")
@click.option("--group", default="", help="What belongs together, as data.group of a recipe.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_read_columns,
    metavar="ROLE=NAME",
    help="What a column of a list is called, as data.columns of a recipe, such as path=file_name; repeatable.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    callback=_read_options,
    metavar="NAME=VALUE",
    help="An option of the source, as data.options of a recipe; repeatable.",
)
@click.option("--fix-list", type=OutFile(), help="Write a file that names what to leave out, one a line.")
@json_option()
def check_command(
    path: Path | None,
    source: str,
    group: str,
    columns: dict[str, str],
    options: dict[str, object],
    fix_list: Path | None,
    as_json: bool,
) -> None:
    """Decode every image of PATH once and say what is wrong or odd, with its file.

    Faults are unreadable files, the same picture in two splits (a leak) and the same file in two classes; they make
    the exit code 3. Notes are what training copes with: transparency, CMYK, turned photos, duplicates, odd sizes. What
    was found is kept by content: what stays the same is not decoded again.

    \b
    Examples:
      zoo data check photos/
      zoo data check labels.csv --json
      zoo data check metadata.csv --column path=file_name --column label=breed
      zoo data check --source builtin:fashion_sample
      zoo data check photos/ --fix-list out.txt; cd photos && xargs -d '\\n' rm < ../out.txt
    """
    from zoo.data import open_dataset
    from zoo.data.check.inspection import inspect, path_as_text, raw_bytes
    from zoo.data.dataset import quoted
    from zoo.registry.sources import source_row, without_path
    from zoo.report.progress import Display

    if path is None and source_row(source).needs_path:
        raise click.UsageError(
            f"PATH is missing; expected a folder or file of source '{source}', or a --source that needs none, "
            f"as {without_path()} does"
        )
    try:
        dataset = open_dataset(source, path, group=group, columns=columns, options=options)
        dataset = replace(dataset, warnings=tuple(map(_in_own_words, dataset.warnings)))
    except NotFoundError as fault:
        raise NotFoundError(_in_own_words(str(fault))) from fault
    except DataError as fault:
        said = _in_own_words(str(fault))
        if as_json:
            emit("data-check", {"path": path and str(path), "ok": False, "refused": said})
        raise ContractError(said) from fault
    total = sum(len(split) for split in dataset.splits().values())
    with Display() as display, display.bar("checking images", total) as move:
        report = inspect(dataset, on_progress=lambda done, _total: move(done, ""))
    if fix_list is not None:
        fix_list.write_bytes(b"".join(raw_bytes(name) + b"\n" for name in report.exclude))
    if as_json:
        emit("data-check", _check_document(path, report))
    else:
        echo(_check_text(report))
        if fix_list is not None:
            echo(f"\n{counted(len(report.exclude), 'image')} to leave out: {fix_list}")
            if report.empties:
                echo(f"warning: without them train has no images of the classes {quoted(report.empties)}")
    if report.faults:
        place, faults = source if path is None else path_as_text(path), counted(report.faults, "fault")
        raise ContractError(f"{place}: {faults} in {counted(report.images, 'image')}")


# What other verbs are given behind --data and --set, the check is given bare, and by options of its own.
_OWN_WORDS = (
    ("--set data.columns.", "--column "),
    ("Point --data at", "Give"),
    ("point --data at", "give"),
    ("Leave --data out", "Leave PATH out"),
    ("type --data ", "type zoo data check "),
    ("with --data PATH", "as PATH"),
    ("with --data ", "as PATH "),
    ("with --data", "as PATH"),
)


def _in_own_words(text: str) -> str:
    """Returns an advice of how to give images as it is for this verb."""
    for elsewhere, here in _OWN_WORDS:
        text = text.replace(elsewhere, here)
    return text


def _check_document(path: Path | None, report: "Report") -> dict[str, object]:
    from zoo.data.check.findings import KINDS
    from zoo.data.check.inspection import path_as_text

    return {
        "path": None if path is None else path_as_text(path),
        "ok": not report.faults,
        "images": report.images,
        "decoded": report.decoded,
        "counts": report.counts,
        "formats": report.formats,
        "sizes": asdict(report.sizes) if report.sizes else None,
        "faults": report.faults,
        "findings": [
            {
                "kind": finding.kind,
                "fault": KINDS[finding.kind].fault,
                "images": finding.images,
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
        "exclude": [path_as_text(name) for name in report.exclude],
        "stops": report.stops,
    }


def _check_text(report: "Report") -> str:
    from zoo.data.check.findings import KINDS
    from zoo.data.images.suffixes import count_suffixes

    splits = list(report.counts)
    classes = list(report.counts[splits[0]])
    rows = [(label, *(f"{report.counts[split][label]:,}" for split in splits)) for label in classes]
    rows.append(("in all", *(f"{sum(report.counts[split].values()):,}" for split in splits)))
    parts = [table(("class", *splits), rows, right=range(1, len(splits) + 1))]
    if report.sizes is not None:
        kinds = [f"{count:,} {name}" for name, count in report.formats.items()]
        parts.append(", ".join([*kinds, _spread(report.sizes)]))
    for kind, group in itertools.groupby(report.findings, key=lambda finding: finding.kind):
        found = list(group)
        shown = found[: SHOWN_FAULTS if KINDS[kind].fault else SHOWN]
        lines = [f"  {printable(f'{_names(one.images)}{one.detail}', at_most=LONGEST_LINE)}" for one in shown]
        if rest := found[len(shown) :]:
            of_what = f" ({count_suffixes(one.images[0] for one in rest)})" if KINDS[kind].by_suffix else ""
            lines.append(f"  and {len(rest):,} more{of_what}; --json has them all")
        if kind == "unreadable":
            lines += [f"  {reason}; --fix-list names what to leave out" for reason in report.stops]
        parts.append("\n".join([f"{KINDS[kind].word}: {kind} ({len(found):,}): {KINDS[kind].meaning}", *lines]))
    images, faults = counted(report.images, "image"), counted(report.faults, "fault")
    parts.append(f"{images}, {faults}, {report.decoded:,} decoded for this check")
    return "\n\n".join(parts)


def _names(images: Sequence[str]) -> str:
    shown = " = ".join(images[:SHOWN_NAMES])
    if len(images) > SHOWN_NAMES:
        shown += f" and {len(images) - SHOWN_NAMES:,} more"
    return f"{shown}: " if images else ""


def _spread(sizes: "Sizes") -> str:
    smallest, median, largest = (f"{width} x {height}" for width, height in astuple(sizes))
    if smallest == largest:
        return f"all of {median} pixels"
    return f"from {smallest} to {largest} pixels, median {median}"
