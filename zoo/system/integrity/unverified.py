"""What an earlier zoo wrote without hashes of its own: used all the same, and said once."""

import logging
from pathlib import Path

LOGGER = logging.getLogger("zoo.unverified")
# As a library does: a program that does not set logging up sees nothing of it. The command line prints it.
LOGGER.addHandler(logging.NullHandler())

_said: set[Path] = set()


def say_unverified(folder: Path) -> None:
    """Says of a folder, once in a process, that damage in what an earlier zoo wrote there may go unnoticed."""
    place = folder.resolve()
    if place not in _said:
        _said.add(place)
        LOGGER.warning(
            "%s: unverified: an earlier zoo wrote it, and sealed nothing; damage in it may go unnoticed", folder
        )
