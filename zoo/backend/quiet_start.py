"""The start of TensorFlow without the log that its compiled code writes past Python, to file descriptor 2."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Generator

LEVEL, QUIET = "TF_CPP_MIN_LOG_LEVEL", "3"
# As absl writes them, and what TensorFlow and LiteRT write without its mark. A fault that matters is an exception too.
_LOG_LINE = re.compile(
    rb"[IWE]\d{4} .*|INFO: .*|WARNING: All log messages before absl.*|To enable the following instructions: .*"
)


def import_keras() -> None:
    """Imports Keras and its backend; their log is left out, everything else that was written comes after all.

    A caller who has set `TF_CPP_MIN_LOG_LEVEL` gets what he asked for.
    """
    if "keras" in sys.modules:
        return
    with tensorflows_log_left_out():
        import keras
    del keras


@contextlib.contextmanager
def tensorflows_log_left_out() -> Generator[None]:
    """Leaves out what TensorFlow's compiled code writes where it is imported here; what else was written comes after.

    A caller who has set `TF_CPP_MIN_LOG_LEVEL` to another level gets what he asked for.
    """
    if os.environ.setdefault(LEVEL, QUIET) != QUIET:
        yield
        return
    with descriptor_2_silenced(all_of_it=False):
        yield


# The descriptor is the whole process's: two threads that took it in turns would leave it silenced for good.
_SILENCING = threading.RLock()


@contextlib.contextmanager
def descriptor_2_silenced(*, all_of_it: bool = True) -> Generator[None]:
    """Holds back what is written to file descriptor 2, whoever writes it; where a fault ends the region, it is shown.

    Args:
        all_of_it: Whether everything is dropped in the end, or only what is information of a library.
    """
    with _SILENCING:
        yield from _silenced(all_of_it=all_of_it)


def _silenced(*, all_of_it: bool) -> Generator[None]:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # None, closed, or a pipe without a reader
        sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # closed: there is nothing to silence
        yield
        return
    import tempfile  # here, because every command imports this module, and few start Keras

    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        shown = False
        try:
            yield
            shown = not all_of_it
        except Exception:
            shown = True
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if shown:
                held.seek(0)
                lines = held.read().splitlines(keepends=True)
                kept = [line for line in lines if all_of_it or not _LOG_LINE.match(line)]
                with contextlib.suppress(OSError):
                    os.write(2, b"".join(kept))
