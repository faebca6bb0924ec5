"""The lines of a file that lists images: UTF-8 or what Excel writes, one at a time, and none longer than in a list."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from zoo.errors import DataError
from zoo.system.regular_files import open_regular

MOST_BYTES = 1_000_000_000
LONGEST_LINE = 1_000_000


def text_lines(path: Path, *, newline: str | None) -> Iterator[str]:
    """Yields each line with its end.

    Args:
        path: The file.
        newline: As for `open`: None takes the ends of all systems, and gives each as a line feed.

    Raises:
        DataError: It cannot be read, is not a regular file, too large, not text or empty, or has too long a line.
    """
    try:
        with open_regular(path, limit=MOST_BYTES) as file:
            # Excel writes "Unicode text" as UTF-16, which begins so.
            encoding = "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            file.seek(0)
            with io.TextIOWrapper(file, encoding, newline=newline) as text:
                yield from _bounded(path, text)
    except UnicodeDecodeError as fault:
        sign = fault.object[fault.start]
        raise DataError(
            f"{path}:{_line_of_fault(path)}: is not UTF-8 text (byte 0x{sign:02x}). Save the file again as UTF-8."
        ) from fault
    except OSError as fault:
        raise DataError(
            f"{path}: cannot be read ({fault.strerror}); expected a file that lists images. Check --data."
        ) from fault


def _bounded(path: Path, text: io.TextIOWrapper) -> Iterator[str]:
    is_empty = True
    number = 0
    while line := text.readline(LONGEST_LINE + 1):
        number += 1
        if "\0" in line:
            raise DataError(f"{path}: is not UTF-8 text (it has zero bytes). Save the file again as UTF-8.")
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{path}:{number}: is longer than {LONGEST_LINE:,} characters; expected a line for each image. "
                "Check how the file was written."
            )
        is_empty = is_empty and not line.strip()
        yield line
    if is_empty:
        raise DataError(f"{path}: is empty; expected a row for each image. Check that the file was written.")


def _line_of_fault(path: Path) -> int:
    """Returns the first line that is not UTF-8; 1 where another reading finds none, as in UTF-16."""
    with open_regular(path, limit=MOST_BYTES) as file:
        for number, line in enumerate(_pieces(file), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(4 * LONGEST_LINE):
        yield line
