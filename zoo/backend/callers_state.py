"""What a run changes of the process it runs in, and gives back: random generators, Keras' policy, TensorFlow's seed.

A run seeds the generators that Keras draws from, which are those of its caller too. One run works at a time in a
process, for the same reason: two would draw from one generator in turns.
"""

import logging
import random
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from zoo.backend import devices
from zoo.backend.keras_internals import gradients, process_state

_WORKING = threading.RLock()


@contextmanager
def alone(say: Callable[[str], None]) -> Generator[None]:
    """Waits until no other thread of this process trains, and gives the caller's generators and policy back at the end.

    Args:
        say: Called with a line when there is something to wait for.
    """
    if not _WORKING.acquire(blocking=False):
        say("waits: another thread of this process trains; runs in one process take turns")
        _WORKING.acquire()
    try:
        with callers_state(), _without_retracing_warnings(), _gradients_forgotten():
            yield
    finally:
        _WORKING.release()


@contextmanager
def callers_state() -> Generator[None]:
    """Gives back, however the block ends, the generators and policies that a run sets."""
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    restore_tensorflow = process_state.keep_tensorflow_seeds() if devices.name() == "tensorflow" else None
    restore_keras = process_state.keep_seeds()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        restore_keras()
        if restore_tensorflow is not None:
            restore_tensorflow()


@contextmanager
def _without_retracing_warnings() -> Generator[None]:
    """Keeps back TensorFlow's warning of functions that are traced again.

    Each phase compiles what it trains, once. TensorFlow counts all of them as one function, since they share Keras'
    code, and takes a phase of few steps for a mistake: https://github.com/tensorflow/tensorflow/issues/43555.
    """
    logger = logging.getLogger("tensorflow")

    def is_wanted(entry: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in entry.getMessage()

    logger.addFilter(is_wanted)
    try:
        yield
    finally:
        logger.removeFilter(is_wanted)


@contextmanager
def _gradients_forgotten() -> Generator[None]:
    """Lets go of the graphs that were trained inside; TensorFlow would keep them until the process ends."""
    forget = gradients.keep_gradients() if devices.name() == "tensorflow" else None
    try:
        yield
    finally:
        if forget is not None:
            forget()
