"""Where images come from: the open table of `data.source`, with the facts of each source."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from zoo.errors import NotFoundError, did_you_mean
from zoo.registry.tables import Row, Table

NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9_./-]*"


@dataclass(frozen=True, kw_only=True)
class SourceRow(Row):
    """A source of labelled images.

    Its `build` takes a `SourceRequest` and returns a `zoo.data.Dataset`, of which no image is decoded.

    Attributes:
        takes_name: Whether a recipe writes a name behind it, as in `hf:NAME`.
        needs_path: Whether there are no images without a path.
        takes_path: Whether it can read from a path at all.
        may_download: Whether images come from the network where no path is given.
        is_file: Whether the path is one file; a folder is then of another source.
        suffixes: How files end that are of this source where only `--data FILE` is given.
        has_columns: Whether `data.columns` can name what it has.
        has_groups: Whether `data.group` can name what belongs together.
        holds: What the path is, for messages: `an archive of arrays`.
        extra: The extra of zoo without which it cannot be read: `hf`.
    """

    name_pattern: ClassVar[str] = "[A-Za-z0-9][A-Za-z0-9_-]*(:[A-Za-z0-9][A-Za-z0-9_-]*)?"

    takes_name: bool = False
    needs_path: bool = True
    takes_path: bool = True
    may_download: bool = False
    is_file: bool = False
    suffixes: tuple[str, ...] = ()
    has_columns: bool = False
    has_groups: bool = False
    holds: str = ""
    extra: str = ""

    @property
    def written(self) -> str:
        """What a recipe writes: `csv`, or `hf:NAME`."""
        return f"{self.name}:NAME" if self.takes_name else self.name


@dataclass(frozen=True, kw_only=True)
class SourceRequest:
    """What a source is asked for.

    Attributes:
        source: As a recipe writes it: `hf:beans`.
        path: The folder or file, which exists; None where images ship or are downloaded.
        group: What images belong together; "" for what the data itself says.
        columns: What columns are called, by `path`, `label`, `split`, `weight` and `group`.
        measuring: Whether a finished classifier is to be measured: one class is enough, and there need be no train.
        options: A plug-in's options: those that are set, and the defaults of the others.
    """

    source: str = ""
    path: Path | None = None
    group: str = ""
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    measuring: bool = False
    options: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def name(self) -> str:
        """What follows the colon."""
        return self.source.partition(":")[2]

    @property
    def place(self) -> str:
        """Where the images are, for messages."""
        return self.source if self.path is None else str(self.path)


SOURCES = Table("source", group="zoo.sources", row=SourceRow, built_in=["zoo.data.sources.rows"])


def source_row(source: str) -> SourceRow:
    """Finds the row of a source as a recipe writes it.

    Raises:
        NotFoundError: There is none; the message says what there is.
    """
    if (row := _row_of(source)) is not None:
        return row
    raise NotFoundError(f"Unknown data.source '{source}'.{did_you_mean(source, listed())} Expected one of {_all()}.")


def row_name(source: str) -> str | None:
    """Returns the name of the row of a source as a recipe writes it, or None where there is none."""
    row = _row_of(source)
    return None if row is None else row.name


def listed() -> list[str]:
    """Returns what can be written, in the order of the table."""
    return [row.written for row in SOURCES.rows()]


def listed_names(kind: str) -> list[str]:
    """Returns the data sets of a kind that have a row of their own: `builtin:mnist` and so on."""
    return [row.name for row in SOURCES.rows() if row.name.startswith(f"{kind}:")]


def kinds() -> list[str]:
    """Returns what can be written, with one word for all data sets of a kind: `folder`, `builtin:NAME`."""
    return list(dict.fromkeys(_kind(row) for row in SOURCES.rows()))


def kinds_pattern() -> str:
    """Returns the regular expression that `kinds` fit."""
    written = kinds()
    plain = [re.escape(kind) for kind in written if ":" not in kind]
    named = [re.escape(kind.partition(":")[0]) for kind in written if ":" in kind]
    return "|".join([*plain, *([f"({'|'.join(named)}):{NAME_PATTERN}"] if named else [])])


def row_of_file(path: Path) -> SourceRow | None:
    """Returns what a file is by its ending; None where no source has it."""
    suffix = path.suffix.lower()
    return next((row for row in SOURCES.rows() if suffix in row.suffixes), None)


def suffixes(*, with_columns: bool = False) -> tuple[str, ...]:
    """Returns the endings of files that are data; of those with columns only where it is asked."""
    rows = (row for row in SOURCES.rows() if row.has_columns or not with_columns)
    return tuple(suffix for row in rows for suffix in row.suffixes)


def with_columns() -> str:
    """Says which sources have columns, for messages: `a .csv or .jsonl file, or hf: or tfds:`."""
    rows = [row for row in SOURCES.rows() if row.has_columns]
    files = " or ".join(row.suffixes[0] for row in rows if row.suffixes)
    others = [f"{row.name}:" if row.takes_name else row.name for row in rows if not row.suffixes]
    return ", or ".join([f"a {files} file", " or ".join(others)] if others else [f"a {files} file"])


def without_path() -> str:
    """Names the sources that need no path, for help: `builtin:NAME, hf:NAME or tfds:NAME`."""
    return _either(dict.fromkeys(_kind(row) for row in SOURCES.rows() if not row.needs_path))


def _row_of(source: str) -> SourceRow | None:
    kind, _, name = source.partition(":")
    for row in SOURCES.rows():
        if row.takes_name and row.name == kind and name:
            return row
        if not row.takes_name and row.name == source:
            return row
    return None


def _kind(row: SourceRow) -> str:
    return f"{row.name.partition(':')[0]}:NAME" if ":" in row.name else row.written


def _all() -> str:
    return ", ".join(listed())


def _either(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
