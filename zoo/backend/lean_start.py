"""The start of Keras and TensorFlow in a command: nothing is imported that it does not use, and no garbage looked for.

Both import other libraries wherever these are installed, and a command calls none of what they are imported for:
scikit-learn (`keras/src/wrappers/sklearn_wrapper.py`, with SciPy's statistics), pandas
(`keras/src/trainers/data_adapters/array_slicing.py`), `matplotlib.pyplot`
(`keras/src/visualization/plot_image_gallery.py`) and JAX (`tensorflow/lite/python/util.py`). Both go on without any of
them, as where it is not installed. They were more than a third of the start; of what is left, Python's search for
garbage among all that is imported was another third, although what modules hold stays.
"""

import gc
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

_LEFT_OUT = frozenset({"sklearn", "pandas", "matplotlib.pyplot", "jax"})


class _LeavingOut:
    """Says of modules that they are not installed."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raises ModuleNotFoundError for the names that are left out; all others are for the finders behind it."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"No module named '{fullname}' while Keras starts", name=fullname)
        return None


@contextmanager
def lean_start() -> Generator[None]:
    """Leaves out, while the block imports Keras, what it does not need; what is imported later is found as ever.

    What is there at the end is never searched for garbage. For a process of our own: in a program that calls zoo,
    Keras' wrappers for scikit-learn have to work. Where Keras is imported already, nothing is done.
    """
    if "keras" in sys.modules:
        yield
        return
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    finder = _LeavingOut(_LEFT_OUT - {backend})
    sys.meta_path.insert(0, finder)
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collects:
            gc.enable()
        sys.meta_path.remove(finder)
