"""A SavedModel as a Keras 3 layer that trains. Importing this imports Keras and TensorFlow: builders alone do."""

import itertools
import re
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from zoo.errors import WeightsError
from zoo.foreign.image_signature import ImageSignature
from zoo.foreign.saved_models import SavedModel

# What a convolution's affine and statistics are called by Keras, TF-Slim and tf.Module alike.
AFFINE = ("gamma", "beta")
STATISTICS = ("moving_mean", "moving_variance", "moving_avg", "moving_var")


class SavedModelLayer(keras.layers.Layer):
    """A module as a layer: float32[batch, height, width, 3] to what it gives, as float32.

    Attributes:
        batchnorm: What its BatchNorms do: `frozen`, `affine` or `train` (see `zoo.unfreeze`); None where it has
            none. Setting it is for a trainable layer.
    """

    def __init__(self, module: SavedModel, signature: ImageSignature) -> None:
        super().__init__(name="module", dtype="float32")
        self.identity = module.sha256
        self._signature = signature
        self._module = tf.saved_model.load(str(module.path))
        self._function = self._module.signatures[signature.name] if signature.name else self._module
        self._moves_statistics = False

    def build(self, input_shape: Any) -> None:
        """Wraps the module's variables, each in one of Keras that shares its storage."""
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
        functions = [self._function] if self._signature.name else self._module.__call__.concrete_functions
        return [variable for function in functions for variable in function.variables]

    @property
    def batchnorm(self) -> str | None:
        """What its BatchNorms do."""
        if not self._has_statistics:
            return None
        if not self.trainable:
            return "frozen"
        if self._moves_statistics:
            return "train"
        return "affine" if any(weight.trainable for weight in self._affine) else "frozen"

    @batchnorm.setter
    def batchnorm(self, mode: str) -> None:
        self._moves_statistics = mode == "train" and self._signature.takes_training
        for weight in self._affine:
            weight.trainable = mode != "frozen"

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Calls the module in its own dtype."""
        images = tf.cast(inputs, self._signature.dtype)
        if self._signature.name:
            given = self._function(**{self._signature.argument: images})
        elif self._signature.takes_training:
            given = self._function(images, training=bool(training and self.trainable and self._moves_statistics))
        else:
            given = self._function(images)
        return tf.cast(_one_output(given), "float32")


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
