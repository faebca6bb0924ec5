"""What the library says by logging and a user of the command line should read: a line on stderr."""

import contextlib
import logging
from collections.abc import Generator

from zoo.cli.output import echo

# By name: importing the modules that have them would take longer than most commands.
_LOGGERS = ("zoo.unverified", "zoo.answering")


class _Echoing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        echo(f"warning: {record.getMessage()}", err=True)


@contextlib.contextmanager
def log_lines_shown() -> Generator[None]:
    """Prints what is said of unverified files, and of what answers in place of Keras, while a command runs."""
    handler = _Echoing(logging.WARNING)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
