"""What the verbs share in what they print."""

import os
from collections.abc import Collection, Sequence


def quiet_backend() -> None:
    """Keeps TensorFlow's start-up messages off the terminal; a level that the user has set stays."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def percent(share: float | None) -> str:
    """Writes a share as `91.2 %`, and None as `-`."""
    return "-" if share is None else f"{100 * share:.1f} %"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Aligns columns by spaces.

    Args:
        header: A title per column.
        rows: A text per column.
        right: Columns that are aligned to the right.
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
