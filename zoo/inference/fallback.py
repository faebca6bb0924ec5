"""Keras in the place of a kept export whose runtime fails; that is said once, and noted in the cache."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.inference.answerer import Answerer
from zoo.inference.kept_exports import LOGGER, KeptExport, note_refused

if TYPE_CHECKING:
    import numpy as np

# What lets a kept export be tried again that was given up.
TRY_AGAIN = "zoo cache clear exports"


def given_up(folder: Path, kept: KeptExport | None, fault: Exception) -> str:
    """Notes that a kept export is of no use here, so that it is not tried, and warned of, each time.

    What is of this moment, as want of memory, is not noted.

    Args:
        folder: The entry.
        kept: What its manifest says; None where that could not be read.
        fault: Why it is of no use.

    Returns:
        What can be done about it: the end of a message.
    """
    is_of_this_moment = isinstance(fault, OSError) or isinstance(fault.__cause__, OSError | MemoryError)
    reason = str(fault).removeprefix(f"{folder}: ")
    if kept is not None and not is_of_this_moment and note_refused(folder, kept, reason):
        return f"; it is not tried again until you type {TRY_AGAIN}"
    return "; --runtime keras asks nothing else"


def or_by_keras(answerer: Answerer, by_keras: Callable[[], Answerer], given_up: Callable[[ZooError], str]) -> Answerer:
    """Lets Keras compute from the batch on at which a runtime fails, and the answerer say so.

    Args:
        answerer: That of the runtime.
        by_keras: Opens Keras' own.
        given_up: Told of the fault; returns the end of the message.
    """
    at_work = [answerer.compute]
    runtimes = list(answerer.runtimes)
    has_answered = False

    def run(pixels: "np.ndarray") -> "np.ndarray":
        nonlocal has_answered
        if at_work[0] is not answerer.compute:
            return at_work[0](pixels)
        try:
            found = answerer.compute(pixels)
        except ZooError as fault:
            LOGGER.warning("%s; Keras answers from here on%s", fault, given_up(fault))
        else:
            has_answered = True
            return found
        instead = by_keras()
        at_work[0] = instead.compute
        runtimes[:] = [*(runtimes if has_answered else []), *instead.runtimes]
        return instead.compute(pixels)

    return replace(answerer, compute=run, runtimes=runtimes)
