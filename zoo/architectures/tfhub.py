"""`tfhub`: any TensorFlow 2 SavedModel that turns images into vectors, maps or logits, as a layer that trains.

TensorFlow Hub's own KerasLayer is no Keras 3 layer. Here each of the module's `tf.Variable`s is wrapped by a
`keras.Variable` that shares its storage, under a name without ':' and '/', so that freezing, every optimizer, moving
averages and saving treat it like any other weight. The module computes in its own dtype under every policy; what
comes after it follows the policy.

What a module has to be: the reusable SavedModel interface for images (https://www.tensorflow.org/hub/reusable_saved_models,
https://www.tensorflow.org/hub/common_signatures/images), or a serving signature with one image input, as
`keras.Model.export` writes it. Dropout and the statistics of BatchNorm need the former's `training` argument; without
it a module always computes as in inference, though its weights may still be trained.
"""

import functools
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from zoo.backend.quiet_start import tensorflows_log_left_out
from zoo.errors import NotFoundError, WeightsError, ZooError
from zoo.foreign import saved_models, trust
from zoo.foreign.saved_models import SavedModel
from zoo.registry import Card, Stage, register

if TYPE_CHECKING:
    from keras import KerasTensor

RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
SIGNATURES = ("serving_default", "default", "image_feature_vector", "serve")
# What a convolution's affine and statistics are called by Keras, TF-Slim and tf.Module alike.
AFFINE = ("gamma", "beta")
STATISTICS = ("moving_mean", "moving_variance", "moving_avg", "moving_var")

CARD = Card(
    name="tfhub",
    family="tfhub",
    description="A TensorFlow Hub, Kaggle or local SavedModel of images, named by the option 'handle'",
    input_shape=(224, 224, 3),
    classes=0,
    params=None,
    madds=None,
    stages=(
        Stage(name="stage1", last_layer="module", layers=2, params=None),
        Stage(name="head", last_layer="", layers=2, params=None),
    ),
    preprocessing="pixels to the option 'input_range', by default pixels / 255",
    own_weights="module",
    licence="the module's",
    paper="https://www.tensorflow.org/hub",
    options={"handle": "", "input_range": "0..1", "output": "features"},
)


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """How images go into a module.

    Attributes:
        signature: Of a module that is called by a serving signature: its name; empty where it can be called itself.
        argument: The image argument's name in that signature.
        height: Of the images; None where any will do.
        width: Of the images; None where any will do.
        dtype: Of the pixels, as NumPy calls it.
        takes_training: Whether it can be told that it is being trained.
    """

    signature: str = ""
    argument: str = ""
    height: int | None
    width: int | None
    dtype: str
    takes_training: bool = False


def adapt(card: Card, options: Mapping[str, object]) -> tuple[Card, dict[str, object]]:
    """Takes the module into the cache, names it by its hash, and gives the card its input size."""
    handle = str(options.get("handle") or "")
    module = saved_models.take_in(handle)
    trust.require(module.sha256, handle)
    takes = entrance(module)
    height, width, channels = card.input_shape
    return (
        replace(card, input_shape=(takes.height or height, takes.width or width, channels)),
        {**options, "handle": module.handle},
    )


@register(CARD, adapt=adapt)
def build(
    inputs: "KerasTensor",
    *,
    card: Card,
    classes: int,
    dropout: float | None,
    handle: str,
    input_range: str,
    output: Literal["features", "logits"],
) -> "KerasTensor":
    """Builds range, module, average pooling where it gives maps, and a new classifier.

    Args:
        inputs: Raw pixels, float32[batch, height, width, 3].
        card: Ours.
        classes: Number of classes.
        dropout: The rate before the classifier.
        handle: Of a module in the cache.
        input_range: What the module wants: `0..1` as the common signatures say, `-1..1` or `0..255`.
        output: `features`: a new classifier takes what the module gives. `logits`: the module's own classifier stays,
            and `classes` is its number of units.
    """
    import keras
    from keras import layers

    if keras.backend.backend() != "tensorflow":
        raise ZooError(
            f"tfhub: a SavedModel runs on Keras' TensorFlow backend; found '{keras.backend.backend()}': set "
            "KERAS_BACKEND=tensorflow"
        )
    module = saved_models.take_in(handle)
    trust.require(module.sha256, handle)
    saved_models.verify(module)
    if input_range not in RANGES:
        raise NotFoundError(f"tfhub: input_range is '{input_range}'; expected {' or '.join(RANGES)}")
    if output not in ("features", "logits"):
        raise NotFoundError(f"tfhub: output is '{output}'; expected features or logits")
    takes = entrance(module)
    wanted = (takes.height, takes.width, 3)
    if any(side not in (None, found) for side, found in zip(wanted, inputs.shape[1:], strict=True)):
        raise ZooError(
            f"build: input_shape is {tuple(inputs.shape[1:])}; module {handle} expects {takes.height or 'any height'}, "
            f"{takes.width or 'any width'} and 3 channels"
        )
    low, high = RANGES[input_range]
    x = layers.Rescaling((high - low) / 255, offset=low, dtype="float32", name="rescaling")(inputs)
    x = _layer_class()(module, takes)(x)
    if output == "logits":
        if tuple(x.shape[1:]) != (classes,):
            raise ZooError(
                f"tfhub: the module gives {tuple(x.shape[1:])}; expected one logit for each of {classes} classes"
            )
        return x
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(classes, name="classifier")(x)


def entrance(module: SavedModel) -> Entrance:
    """Finds out how images go into a module; its file is read, and nothing of it runs.

    Raises:
        WeightsError: It is no SavedModel of images.
    """
    with tensorflows_log_left_out():
        from google.protobuf.message import DecodeError
        from tensorflow.core.protobuf import saved_model_pb2

    document = saved_model_pb2.SavedModel()
    try:
        document.ParseFromString((module.path / saved_models.GRAPH_FILE).read_bytes())
        graph = document.meta_graphs[0]
    except (DecodeError, IndexError) as fault:
        raise WeightsError(f"{module.handle}: its {saved_models.GRAPH_FILE} is damaged ({fault})") from fault
    calls = _call_signatures(graph)
    takes_training = {flag for _, flags in calls for flag in flags} == {False, True}
    for shape, dtype in (tensor for tensors, _ in calls for tensor in tensors):
        if _is_image(shape):
            return Entrance(height=shape[1], width=shape[2], dtype=dtype, takes_training=takes_training)
    for name in SIGNATURES:
        inputs = graph.signature_def[name].inputs if name in graph.signature_def else {}
        shapes = {argument: _shape_of(tensor.tensor_shape) for argument, tensor in inputs.items()}
        if len(shapes) == 1 and _is_image(next(iter(shapes.values()))):
            argument, (_, height, width, _) = next(iter(shapes.items()))
            dtype = _dtype_name(inputs[argument].dtype)
            return Entrance(signature=name, argument=argument, height=height, width=width, dtype=dtype)
    raise WeightsError(
        f"{module.handle}: takes no images; expected a module that is called with [batch, height, width, 3], or a "
        f"signature {', '.join(SIGNATURES)} with that alone; found {', '.join(graph.signature_def) or 'no signatures'}"
    )


# Sizes of a tensor, None for those left open.
Shape = tuple[int | None, ...]


def _is_image(shape: Shape) -> bool:
    return len(shape) == 4 and shape[0] is None and shape[3] in (None, 3)


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


@functools.cache
def _layer_class() -> Any:
    """Defines the layer; Keras is imported by builders only."""
    import keras
    import tensorflow as tf

    class SavedModelLayer(keras.layers.Layer):
        """A module as a layer: float32[batch, height, width, 3] to what it gives, as float32.

        Attributes:
            batchnorm: What its BatchNorms do: `frozen`, `affine` or `train` (see `zoo.unfreeze`); None where it has
                none. Setting it is for a trainable layer.
        """

        def __init__(self, module: SavedModel, takes: Entrance) -> None:
            super().__init__(name="module", dtype="float32")
            self.identity = module.sha256
            self._takes = takes
            self._module = tf.saved_model.load(str(module.path))
            self._function = self._module.signatures[takes.signature] if takes.signature else self._module
            self._moves_statistics = False

        def build(self, input_shape: Any) -> None:
            captured = self._captured()
            own = list(getattr(self._module, "variables", []))
            variables = [
                variable
                for variable in {id(variable): variable for variable in [*own, *captured]}.values()
                if variable.dtype.is_floating or variable.dtype.is_integer
            ]
            trained = {id(variable) for variable in getattr(self._module, "trainable_variables", variables)}
            # No gradient reaches what only another function of the module uses, such as a classifier.
            trained &= {id(variable) for variable in captured}
            names = _names([variable.name for variable in variables])
            self.module_weights = [
                keras.Variable(variable, name=name, trainable=variable.trainable and id(variable) in trained)
                for name, variable in zip(names, variables, strict=True)
            ]
            roles = _batchnorm_roles([variable.name for variable in variables])
            self._affine = [weight for weight, role in zip(self.module_weights, roles, strict=True) if role == "affine"]
            self._has_statistics = "statistics" in roles
            self.batchnorm = "frozen"

        def _captured(self) -> list[Any]:
            functions = [self._function] if self._takes.signature else self._module.__call__.concrete_functions
            return [variable for function in functions for variable in function.variables]

        @property
        def batchnorm(self) -> str | None:
            if not self._has_statistics:
                return None
            if not self.trainable:
                return "frozen"
            if self._moves_statistics:
                return "train"
            return "affine" if any(weight.trainable for weight in self._affine) else "frozen"

        @batchnorm.setter
        def batchnorm(self, mode: str) -> None:
            self._moves_statistics = mode == "train" and self._takes.takes_training
            for weight in self._affine:
                weight.trainable = mode != "frozen"

        def call(self, inputs: Any, training: bool | None = None) -> Any:
            images = tf.cast(inputs, self._takes.dtype)
            if self._takes.signature:
                given = self._function(**{self._takes.argument: images})
            elif self._takes.takes_training:
                given = self._function(images, training=bool(training and self.trainable and self._moves_statistics))
            else:
                given = self._function(images)
            return tf.cast(_one_output(given), "float32")

    return SavedModelLayer


def _names(names: list[str]) -> list[str]:
    """Makes TensorFlow's names fit for a path: `conv/kernel:0` becomes `conv.kernel`, each once."""
    taken: set[str] = set()
    clean: list[str] = []
    for name in names:
        base = re.sub(r"[^\w.-]", "_", re.sub(r":\d+$", "", name).replace("/", "."))
        unique = next(
            free for number in itertools.count() if (free := f"{base}_{number}" if number else base) not in taken
        )
        taken.add(unique)
        clean.append(unique)
    return clean


def _batchnorm_roles(names: list[str]) -> list[str]:
    """Says of each variable, by its name, whether it is a BatchNorm's `affine` weight, its `statistics`, or neither."""
    split = [re.sub(r":\d+$", "", name).rpartition("/") for name in names]
    normalised = {scope for scope, _, last in split if last in STATISTICS}
    return [
        "statistics" if last in STATISTICS else "affine" if last in AFFINE and scope in normalised else ""
        for scope, _, last in split
    ]


def _one_output(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    for name in ("default", *given):
        if name in given and (name == "default" or len(given) == 1):
            return given[name]
    raise WeightsError(
        f"tfhub: the module gives {', '.join(map(str, given))}; expected one output, or one named 'default'"
    )
