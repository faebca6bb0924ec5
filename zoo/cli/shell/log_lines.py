"""What the library says by logging and a user of the command line should read: a line on stderr."""

import contextlib
import logging
from collections.abc import Generator

from zoo.cli.output import echo
from zoo.system.integrity.unverified import LOGGER


class _Echoing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        echo(f"warning: {record.getMessage()}", err=True)


@contextlib.contextmanager
def log_lines_shown() -> Generator[None]:
    """Prints what is said of unverified files, while a command runs."""
    handler = _Echoing(logging.WARNING)
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
