"""What a run changes of the process it runs in, and gives back: random generators, Keras' policy, TensorFlow's seed.

A run seeds the generators that Keras draws from, which are those of its caller too. One run works at a time in a
process, for the same reason: two would draw from one generator in turns.
"""

import logging
import random
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from zoo.backend import devices

_WORKING = threading.RLock()


@contextmanager
def alone(say: Callable[[str], None]) -> Generator[None]:
    """Waits until no other thread of this process trains, and gives the caller's generators and policy back at the end.

    Args:
        say: Is told when there is something to wait for.
    """
    if not _WORKING.acquire(blocking=False):
        say("waits: another thread of this process trains; runs in one process take turns")
        _WORKING.acquire()
    try:
        with callers_state(), _without_retracing_warnings():
            yield
    finally:
        _WORKING.release()


@contextmanager
def callers_state() -> Generator[None]:
    """Gives back, however the block ends, the generators and policies that a run sets."""
    import numpy as np
    from keras.src.backend.common import global_state
    from keras.src.random import seed_generator
    from keras.src.utils import rng_utils

    # Keras has no public way to read its seed; keras.utils.set_random_seed sets the first two. They are the thread's.
    generator = seed_generator.GLOBAL_SEED_GENERATOR
    names = (rng_utils.GLOBAL_RANDOM_SEED, generator, "dtype_policy")
    python, numpy = random.getstate(), np.random.get_state()
    kept = {name: global_state.get_global_attribute(name) for name in names}
    restore_tensorflow = _tensorflow_seed()
    global_state.set_global_attribute(generator, None)  # the block draws from one of its own
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for name, value in kept.items():
            global_state.set_global_attribute(name, value)
        restore_tensorflow()


@contextmanager
def _without_retracing_warnings() -> Generator[None]:
    """Keeps back TensorFlow's warning of functions that are traced again.

    Each phase compiles what it trains, once. TensorFlow counts all of them as one function, since they share Keras'
    code, and takes a phase of few steps for a mistake.
    """
    logger = logging.getLogger("tensorflow")

    def is_wanted(entry: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in entry.getMessage()

    logger.addFilter(is_wanted)
    try:
        yield
    finally:
        logger.removeFilter(is_wanted)


def _tensorflow_seed() -> Callable[[], None]:
    """Returns what puts TensorFlow's seed, and the generator of seeds for operations, back."""
    if devices.name() != "tensorflow":
        return lambda: None
    from tensorflow.python.eager import context

    # tf.random.set_seed would begin the caller's sequence anew.
    eager: Any = context.context()
    names = [name for name in ("_seed", "_rng") if hasattr(eager, name)]
    kept = {name: getattr(eager, name) for name in names}

    def restore() -> None:
        for name, value in kept.items():
            setattr(eager, name, value)

    return restore
