"""How images go into a SavedModel, as its file says; nothing of it runs."""

from dataclasses import dataclass
from typing import Any

from zoo.backend.quiet_start import tensorflows_log_left_out
from zoo.errors import WeightsError
from zoo.foreign import saved_models
from zoo.foreign.saved_models import SavedModel
from zoo.system.regular_files import TooLargeError, read_regular

# A graph is read whole; its weights lie in other files.
MAX_GRAPH_BYTES = 128 << 20
LARGEST_SIDE = 8192
SIGNATURES = ("serving_default", "default", "image_feature_vector", "serve")


@dataclass(frozen=True, kw_only=True)
class ImageSignature:
    """How images go into a module.

    Attributes:
        name: Of a serving signature, for a module that is called by one; empty where it can be called itself.
        argument: The image argument's name in that signature.
        height: Of the images; None where any will do.
        width: Of the images; None where any will do.
        dtype: Of the pixels, as NumPy calls it.
        takes_training: Whether it takes the argument `training`.
    """

    name: str = ""
    argument: str = ""
    height: int | None
    width: int | None
    dtype: str
    takes_training: bool = False


def read_image_signature(module: SavedModel) -> ImageSignature:
    """Finds out how images go into a module; its file is read, and nothing of it runs.

    Raises:
        WeightsError: It is not a SavedModel of images.
    """
    with tensorflows_log_left_out():
        from google.protobuf.message import DecodeError
        from tensorflow.core.protobuf import saved_model_pb2

    document = saved_model_pb2.SavedModel()
    try:
        document.ParseFromString(read_regular(module.path / saved_models.GRAPH_FILE, limit=MAX_GRAPH_BYTES))
        graph = document.meta_graphs[0]
        return _signature(graph, module)
    except TooLargeError as fault:
        raise WeightsError(f"{module.handle}: its {saved_models.GRAPH_FILE} {fault.strerror}") from fault
    except (DecodeError, IndexError, KeyError, TypeError, ValueError) as fault:  # indices and types that are not there
        raise WeightsError(f"{module.handle}: its {saved_models.GRAPH_FILE} is damaged ({fault})") from fault


def _signature(graph: Any, module: SavedModel) -> ImageSignature:
    calls = _call_signatures(graph)
    takes_training = {flag for _, flags in calls for flag in flags} == {False, True}
    for shape, dtype in (tensor for tensors, _ in calls for tensor in tensors):
        if _is_image(shape):
            return ImageSignature(height=shape[1], width=shape[2], dtype=dtype, takes_training=takes_training)
    for name in SIGNATURES:
        inputs = graph.signature_def[name].inputs if name in graph.signature_def else {}
        shapes = {argument: _shape_of(tensor.tensor_shape) for argument, tensor in inputs.items()}
        if len(shapes) == 1 and _is_image(next(iter(shapes.values()))):
            argument, (_, height, width, _) = next(iter(shapes.items()))
            dtype = _dtype_name(inputs[argument].dtype)
            return ImageSignature(name=name, argument=argument, height=height, width=width, dtype=dtype)
    raise WeightsError(
        f"{module.handle}: takes no images; expected a module that is called with [batch, height, width, 3], or a "
        f"signature {', '.join(SIGNATURES)} with that alone; found {', '.join(graph.signature_def) or 'no signatures'}"
    )


# Sizes of a tensor, None for those left open.
Shape = tuple[int | None, ...]


def _is_image(shape: Shape) -> bool:
    if len(shape) != 4 or shape[0] is not None or shape[3] not in (None, 3):
        return False
    return all(side is None or 1 <= side <= LARGEST_SIDE for side in shape[1:3])


def _call_signatures(graph: Any) -> list[tuple[list[tuple[Shape, str]], list[bool]]]:
    """Lists, for each traced form of the module's `__call__`, its tensors and its true or false arguments."""
    nodes = graph.object_graph_def.nodes
    called = [child.node_id for child in nodes[0].children if child.local_name == "__call__"] if nodes else []
    names = [name for node in called for name in nodes[node].function.concrete_functions]
    functions = graph.object_graph_def.concrete_functions
    return [_leaves(functions[name].canonicalized_input_signature) for name in names]


def _leaves(value: Any) -> tuple[list[tuple[Shape, str]], list[bool]]:
    """Walks a StructuredValue (tensorflow/core/protobuf/struct.proto)."""
    kind = value.WhichOneof("kind")
    if kind == "tensor_spec_value":
        spec = value.tensor_spec_value
        return [(_shape_of(spec.shape), _dtype_name(spec.dtype))], []
    if kind == "bool_value":
        return [], [value.bool_value]
    inner = {
        "tuple_value": lambda: value.tuple_value.values,
        "list_value": lambda: value.list_value.values,
        "dict_value": lambda: value.dict_value.fields.values(),
        "named_tuple_value": lambda: [pair.value for pair in value.named_tuple_value.values],
    }.get(kind, list)
    tensors: list[tuple[Shape, str]] = []
    flags: list[bool] = []
    for child in inner():
        more_tensors, more_flags = _leaves(child)
        tensors += more_tensors
        flags += more_flags
    return tensors, flags


def _shape_of(shape: Any) -> Shape:
    return tuple(None if dimension.size < 0 else int(dimension.size) for dimension in shape.dim)


def _dtype_name(enum: int) -> str:
    import tensorflow as tf

    return tf.as_dtype(enum).name
