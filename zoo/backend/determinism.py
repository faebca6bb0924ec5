"""What makes the same run give the same numbers to the bit: deterministic operations and a fixed number of threads.

How many threads share an operation decides how its sums are parted, and so how they are rounded: with one thread and
with two almost every recipe comes to other bits.
"""

import os
import platform
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path

from zoo.backend import devices
from zoo.backend.keras_internals import process_state
from zoo.errors import ZooError


def processor() -> str | None:
    """Returns what the CPU is called, where the system says; another one may round otherwise."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)


def threads() -> int:
    """Returns how many threads compute an operation on the CPU in this process.

    https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/common_runtime/local_device.cc
    https://github.com/openxla/xla/blob/main/xla/pjrt/utils.cc
    """
    number, variable = 0, "NPROC"
    if devices.name() == "tensorflow":
        import tensorflow as tf

        number, variable = tf.config.threading.get_intra_op_parallelism_threads(), "TF_NUM_INTRAOP_THREADS"
    asked = os.environ.get(variable, "")
    return number or (int(asked) if asked.isdecimal() else 0) or _usable_cpus()


def _usable_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def fix_threads(number: int) -> bool:
    """Lets operations be computed by so many threads, for as long as the process lives.

    Returns:
        Whether it is so now: TensorFlow takes a number only before its first operation, and JAX takes none.
    """
    if threads() == number:
        return True
    if devices.name() != "tensorflow":
        return False
    import tensorflow as tf

    try:
        tf.config.threading.set_inter_op_parallelism_threads(number)
        tf.config.threading.set_intra_op_parallelism_threads(number)
    except RuntimeError:
        return False
    return True


def is_refused(fault: Exception) -> bool:
    """Returns whether TensorFlow refused an operation because it is not deterministic."""
    return _FIXED.get() is not None and "determinis" in str(fault) and type(fault).__module__.startswith("tensorflow")


def refused(place: str, fault: Exception) -> ZooError:
    """Makes the fault of an operation that TensorFlow refuses, in its own words."""
    said = next((line for line in str(fault).splitlines() if "determinis" in line), "")
    operation = said.rpartition("transformation with iterator:")[2].rpartition(": ")[2] or said
    return ZooError(
        f"{place}: train.deterministic = true refuses an operation ({operation.strip()}); leave out what needs it, "
        "or set train.deterministic=false"
    )


# Of what is computed at present: not a setting, and each thread has its own.
_FIXED: ContextVar[int | None] = ContextVar("fixed threads", default=None)


def fixed_threads() -> int | None:
    """Returns how many threads compute inside `deterministic_operations`; None elsewhere, where it does not matter."""
    return _FIXED.get()


@contextmanager
def deterministic_operations(wanted: bool) -> Generator[None]:
    """Makes TensorFlow's operations deterministic for a while, where it is the backend, and keeps XLA off.

    Keras compiles nothing by XLA meanwhile unless a model asks for it. It is a setting of the whole process: what else
    computes with TensorFlow meanwhile is deterministic too. On JAX there is nothing to set.

    Args:
        wanted: Whether to do so; else nothing is changed.
    """
    if not wanted:
        yield
        return
    fixed = _FIXED.set(threads())
    try:
        with _tensorflows() if devices.name() == "tensorflow" else nullcontext():
            yield
    finally:
        _FIXED.reset(fixed)


@contextmanager
def _tensorflows() -> Generator[None]:
    if process_state.operations_are_deterministic():
        yield
        return
    process_state.make_operations_deterministic()
    try:
        yield
    finally:
        process_state.undo_deterministic_operations()
