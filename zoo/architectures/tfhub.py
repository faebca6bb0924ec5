"""`tfhub`: any TensorFlow 2 SavedModel that turns images into vectors, maps or logits, as a layer that trains.

TensorFlow Hub's own KerasLayer is not a Keras 3 layer. Here each of the module's `tf.Variable`s is wrapped by a
`keras.Variable` that shares its storage, under a name without ':' and '/', so that freezing, every optimizer, moving
averages and saving treat it like any other weight. The module computes in its own dtype under every policy; what
comes after it follows the policy.

What a module has to be: the reusable SavedModel interface for images (https://www.tensorflow.org/hub/reusable_saved_models,
https://www.tensorflow.org/hub/common_signatures/images), or a serving signature with one image input, as
`keras.Model.export` writes it. Dropout and the statistics of BatchNorm need the former's `training` argument; without
it a module always computes as in inference, though its weights may still be trained.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from zoo.errors import NotFoundError, ZooError
from zoo.foreign import saved_models, trust
from zoo.foreign.image_signature import read_image_signature
from zoo.registry import Card, Stage, register

if TYPE_CHECKING:
    from keras import KerasTensor

RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}

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


def adapt(card: Card, options: Mapping[str, object]) -> tuple[Card, dict[str, object]]:
    """Fetches the module into the cache, names it by its hash, and gives the card its input size."""
    handle = str(options.get("handle") or "")
    module = saved_models.fetch(handle)
    trust.require(module.sha256, handle)
    signature = read_image_signature(module)
    height, width, channels = card.input_shape
    return (
        replace(card, input_shape=(signature.height or height, signature.width or width, channels)),
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
    from zoo.foreign.saved_model_layer import SavedModelLayer  # it imports TensorFlow

    module = saved_models.fetch(handle)
    trust.require(module.sha256, handle)
    saved_models.verify(module)
    if input_range not in RANGES:
        raise NotFoundError(f"tfhub: input_range is '{input_range}'; expected {' or '.join(RANGES)}")
    if output not in ("features", "logits"):
        raise NotFoundError(f"tfhub: output is '{output}'; expected features or logits")
    signature = read_image_signature(module)
    expected = (signature.height, signature.width, 3)
    if any(side not in (None, found) for side, found in zip(expected, inputs.shape[1:], strict=True)):
        raise ZooError(
            f"build: input_shape is {tuple(inputs.shape[1:])}; module {handle} expects "
            f"{signature.height or 'any height'}, {signature.width or 'any width'} and 3 channels"
        )
    low, high = RANGES[input_range]
    x = layers.Rescaling((high - low) / 255, offset=low, dtype="float32", name="rescaling")(inputs)
    x = SavedModelLayer(module, signature)(x)
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
