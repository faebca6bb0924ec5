"""The start of Keras, which takes seconds: quiet, and said on a terminal."""

import contextlib
import os
import sys
from collections.abc import Generator

from zoo.backend.lean_start import lean_start
from zoo.backend.quiet_start import descriptor_2_silenced
from zoo.errors import INTERRUPTIONS
from zoo.system.interruption import noticed


def start_backend() -> None:
    """Imports Keras and finds the device, without the messages that TensorFlow's start-up writes.

    They come from compiled code and go to file descriptor 2, past Python's `sys.stderr`. Where the start fails, what
    was written is shown. On a terminal a line says what is going on. What Keras imports only because it is installed is
    left out: see `zoo.backend.lean_start`.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed meanwhile, whatever the libraries made of it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _loading_line(), noticed(), descriptor_2_silenced(), lean_start():
        from zoo.backend.devices import accelerator
        from zoo.backend.hardware.allocator import keep_freed_memory

        accelerator()
        keep_freed_memory()


@contextlib.contextmanager
def _loading_line() -> Generator[None]:
    if "keras" in sys.modules:
        yield
        return
    names = {"tensorflow": "TensorFlow", "jax": "JAX"}
    with working_line(f"loading {names.get(os.environ.get('KERAS_BACKEND', 'tensorflow'), 'Keras')} ..."):
        yield


@contextlib.contextmanager
def working_line(line: str) -> Generator[None]:
    """Shows a line on a terminal, for as long as work takes of which nothing else is seen."""
    stream = sys.stderr
    if stream is None or not stream.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        yield
        return
    print(line, end="", file=stream, flush=True)
    try:
        yield
    except INTERRUPTIONS:
        line += "^C"  # which the terminal has added
        raise
    finally:
        print(f"\r{' ' * len(line)}\r", end="", file=stream, flush=True)
