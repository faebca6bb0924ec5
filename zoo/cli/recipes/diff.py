"""`zoo recipe diff`: what differs between two recipes or runs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from zoo.cli.options import Reference, json_option
from zoo.cli.output import echo, emit, stdout_width, table
from zoo.cli.shell.completion import complete_reference
from zoo.cli.shell.groups import Verb
from zoo.system.text_tables import cells, cut

if TYPE_CHECKING:
    from zoo.sharing.difference import Comparison, Figure

SHORTEST_VALUE = 16


@click.command("diff", cls=Verb)
@click.argument("first", type=Reference(), metavar="A", shell_complete=complete_reference)
@click.argument("second", type=Reference(), metavar="B", shell_complete=complete_reference)
@json_option()
def diff_command(first: str, second: str, as_json: bool) -> None:
    """Compare two recipes or runs: key by key, defaults included.

    A and B are recipes (files, names, or shelf/name), folders of runs, or folders of the runs of several seeds. Of
    runs, and of versions on a shelf that have a receipt, it also says what else differs, data, versions and machine,
    and compares the metrics with their 95 % intervals. The exit code is 0 whether they differ or not.

    \b
    Examples:
      zoo recipe diff finetune/default mine.toml
      zoo recipe diff vision/pets@2 vision/pets@3
      zoo recipe diff mine.toml runs/mine
      zoo recipe diff runs/monday runs/tuesday --json
    """
    from zoo.sharing.difference import compare, compared

    comparison = compare(compared(first), compared(second))
    if as_json:
        emit("recipe-diff", comparison.to_json())
        return
    for part in ("\n".join(_sides(comparison)), *_tables(comparison)):
        echo(part, whole=True)


def _sides(comparison: "Comparison") -> list[str]:
    return [
        f"{letter}  {side.reference}" + (f"  ({_runs(side.states)})" if side.states else "")
        for letter, side in zip("AB", comparison.sides, strict=True)
    ]


def _runs(states: Sequence[str]) -> str:
    if len(states) == 1:
        return states[0] if states[0] == "receipt" else f"run, {states[0]}"
    return f"{len(states)} runs, {states.count('done')} done"


def _tables(comparison: "Comparison") -> list[str]:
    from zoo.recipe.by_key import ABSENT
    from zoo.recipe.validation import quoted

    parts: list[str] = []
    width = stdout_width()
    if comparison.keys:
        rows = [
            (one.key, *("-" if value is ABSENT else quoted(value) for value in one.values)) for one in comparison.keys
        ]
        parts.append(table(("key", "A", "B"), _fitting(rows, width)))
    if phases := _phases(comparison):
        parts.append("\n".join(phases))
    if comparison.circumstances:
        rows = [(one.name, *map(_said, (one.then, one.now))) for one in comparison.circumstances]
        parts.append(table(("run", "A", "B"), _fitting(rows, width)))
    if comparison.is_same:
        on_the_same = ", run on the same data, versions and machine" if comparison.are_runs else ""
        parts.append(f"no difference: every key has the same value{on_the_same}")
    if comparison.figures:
        rows = [
            (name, *("-" if one is None else str(one) for one in both), _change(*both))
            for name, both in comparison.figures.items()
        ]
        parts.append(table(("metric", "A", "B", "B - A"), rows, width=width, spare=(3,)))
        if comparison.is_of_other_data:
            parts[-1] += "\nmeasured on other images: the figures cannot be compared closely"
    return [f"\n{part}" for part in parts]


def _fitting(rows: Sequence[Sequence[str]], width: int | None) -> Sequence[Sequence[str]]:
    """Cuts the values of both so that they stand side by side on a screen."""
    if width is None:
        return rows
    room = max((width - max(cells(row[0]) for row in rows) - 4) // 2, SHORTEST_VALUE)
    return [(key, cut(first, room), cut(second, room)) for key, first, second in rows]


def _said(value: object) -> str:
    return "not recorded" if value is None else str(value)


def _phases(comparison: "Comparison") -> list[str]:
    lines: list[str] = []
    for letter, side, only in zip("AB", comparison.sides, comparison.phases.only, strict=True):
        for name in only:
            phase = side.phases[name]
            lines.append(f'phase {name} is only in {letter}: train "{phase["train"]}", {phase["epochs"]} epochs')
    if comparison.phases.order is not None:
        listed = [f"{letter} {', '.join(names)}" for letter, names in zip("AB", comparison.phases.order, strict=True)]
        lines.append(f"phases are in another order: {'; '.join(listed)}")
    return lines


def _change(first: "Figure | None", second: "Figure | None") -> str:
    if first is None or second is None:
        return ""
    change = f"{second.value - first.value:+.4f}"
    if first.interval is None or second.interval is None:
        return change
    apart = first.interval[1] < second.interval[0] or second.interval[1] < first.interval[0]
    return f"{change}, intervals {'apart' if apart else 'overlap'}"
