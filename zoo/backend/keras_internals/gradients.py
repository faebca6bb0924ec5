"""Gradients that TensorFlow keeps for the whole process: each with the graph of a training that is over.

A function with a gradient of its own registers it anew in each graph, and nothing takes it back:
https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/custom_gradient.py. A graph is 12 MB for a
small net, and Keras makes one whenever it compiles.
"""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from zoo.backend.keras_internals.guard import private

CUSTOM = "CustomGradient-"
# What Keras calls the step of its trainer: keras/src/backend/tensorflow/trainer.py.
STEP = "one_step_on_data"
_DEPTH = 4


def keep_gradients() -> Callable[[], None]:
    """Returns what forgets the gradients that training steps of Keras register from now on.

    To be called when no step that was traced meanwhile is traced or differentiated any more.
    """
    before = set(_registered())

    def forget() -> None:
        registered = _registered()
        for name in [name for name in registered if name.startswith(CUSTOM) and name not in before]:
            if any(_is_of_a_step(graph) for graph in _graphs(registered[name].get("type"), depth=_DEPTH)):
                del registered[name]

    return forget


def _registered() -> dict[str, Any]:
    ops: Any = importlib.import_module("tensorflow.python.framework.ops")
    registry = private(ops, "gradient_registry", source="tensorflow/python/framework/ops.py", package="tensorflow")
    source = "tensorflow/python/framework/registry.py"
    return private(registry, "_registry", source=source, package="tensorflow")


def _graphs(found: Any, *, depth: int) -> Iterator[Any]:
    """Yields the graphs of the tensors that a function holds."""
    if not depth:
        return
    if isinstance(found, list | tuple):
        for part in found:
            yield from _graphs(part, depth=depth)
    elif hasattr(found, "__closure__"):
        for cell in found.__closure__ or ():
            try:
                yield from _graphs(cell.cell_contents, depth=depth - 1)
            except ValueError:  # an empty cell
                continue
    elif not hasattr(found, "numpy"):  # a tensor of a graph has no value
        yield getattr(found, "graph", None)


def _is_of_a_step(graph: Any) -> bool:
    while graph is not None:
        if getattr(graph, "name", None) == STEP:
            return True
        graph = getattr(graph, "outer_graph", None)
    return False
