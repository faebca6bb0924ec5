"""What the scripts of this folder print and keep."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

RESULTS = Path(__file__).parent / "results"
# Single measurements are kept, and are too many for a table.
KEPT_ONLY = "runs"

Rows = Sequence[Mapping[str, object]]


def report(kind: str, rows: Rows) -> None:
    """Prints rows as a Markdown table and writes them to results/, with how many cores they were measured on."""
    click.echo(markdown(rows))
    RESULTS.mkdir(exist_ok=True)
    document = {"schema": 1, "kind": kind, "cpus": os.cpu_count(), "rows": rows}
    (RESULTS / f"{kind}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def markdown(rows: Rows) -> str:
    """Writes rows as a Markdown table, numbers to four digits."""
    header = [key for key in rows[0] if key != KEPT_ONLY]
    lines = [header, ["---"] * len(header), *([_cell(row[key]) for key in header] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
