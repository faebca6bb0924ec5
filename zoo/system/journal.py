"""What an unfinished entry of the cache notes of its parts: a JSON object a line, each with a checksum of its own.

A kill may cut the last line, and a disk may change any; only lines that are as they were written are read.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

_CHECKSUM = "line"


def journal_line(values: Mapping[str, Any]) -> str:
    """Returns a line of a journal, its end included."""
    text = json.dumps(values)
    return json.dumps({**values, _CHECKSUM: zlib.crc32(text.encode())}) + "\n"


def journal_lines(lines: Iterable[Mapping[str, Any]]) -> str:
    """Returns lines of a journal."""
    return "".join(map(journal_line, lines))


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a journal that are as they were written; none where there is no journal."""
    found: list[dict[str, Any]] = []
    with suppress(OSError):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                values = cast("dict[str, Any]", json.loads(line))
                if values.pop(_CHECKSUM) == zlib.crc32(json.dumps(values).encode()):
                    found.append(values)
    return found
