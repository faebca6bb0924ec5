"""How the layers of a functional model hang together, of which Keras publishes only `operations` and `layers`.

https://github.com/keras-team/keras/blob/v3.15.1/keras/src/ops/function.py
"""

from typing import Any

from zoo.backend.keras_internals.guard import private, unsupported

FUNCTION = "keras/src/ops/function.py"
SEQUENTIAL = "keras/src/models/sequential.py"
OPERATION = "keras/src/ops/operation.py"


def graph_inside(model: Any) -> Any | None:
    """Returns the functional graph of a model: itself, or what a built Sequential is inside; None without one.

    `keras.Model(model.inputs, model.outputs)` would be another graph, whose operations are not those of the Sequential.
    """
    import keras

    if is_sequential(model):
        return private(model, "_functional", source=SEQUENTIAL)
    return model if isinstance(model, keras.Function) else None


def is_sequential(model: Any) -> bool:
    """Returns whether a model is a Sequential, which has a graph once it knows its input."""
    import keras

    return isinstance(model, keras.Sequential)


def calls_in_order(graph: Any) -> list[Any]:
    """Lists the calls of layers in this model's own graph, all inputs first, then in order.

    A layer's own nodes also hold its calls in models that were split off from this one.
    """
    by_depth: dict[int, list[Any]] = private(graph, "_nodes_by_depth", source=FUNCTION)
    in_order = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    known = {id(operation) for operation in graph.operations}
    if {id(node.operation) for node in in_order} != known:
        raise unsupported(
            "_nodes_by_depth holds other operations than a model has", expected="its operations", source=FUNCTION
        )
    return sorted(in_order, key=lambda node: not node.is_input)


def producer(tensor: Any) -> Any:
    """Returns the layer or operation that gave a symbolic tensor."""
    return private(tensor, "_keras_history", source="keras/src/backend/common/keras_tensor.py").operation


def inputs_of(operation: Any) -> list[Any]:
    """Lists the tensors of an operation's first call.

    The public `input` of a model that is called as a layer is the model's own, not what it was called on.
    """
    nodes: list[Any] = private(operation, "_inbound_nodes", source=OPERATION)
    return list(nodes[0].input_tensors) if nodes else []
