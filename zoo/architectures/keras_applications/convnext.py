"""ConvNeXt: a ResNet brought up to the design of vision transformers.

Keras nests the stem and each downsampling in a Sequential, so that no stage could end between their layers. Here the
graph is built from the same layers, in the same order and of the same names, but flat.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import IMAGENET
from zoo.architectures.keras_applications.protocols import Measured, by_the_shorter_side
from zoo.backend.keras_internals.layers import layer_scale

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

EPSILON = 1e-6
LAYER_SCALE = 1e-6


@dataclass(frozen=True)
class Size:
    """A variant of the paper's table 9.

    Attributes:
        depths: Blocks of each stage.
        widths: Channels of each stage.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]


SIZES = {
    "convnext_tiny": Size((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext_small": Size((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext_base": Size((3, 3, 27, 3), (128, 256, 512, 1024)),
    "convnext_large": Size((3, 3, 27, 3), (192, 384, 768, 1536)),
    "convnext_xlarge": Size((3, 3, 27, 3), (256, 512, 1024, 2048)),
}


def build_graph(inputs: "KerasTensor", *, name: str, classes: int) -> "keras.Model":
    """Builds a variant from normalised pixels to logits.

    Args:
        inputs: float[batch, height, width, channels].
        name: The variant's; its layers' names begin with it.
        classes: How many logits there are.
    """
    import keras

    size = SIZES[name]
    # All downsampling layers first, as Keras makes them: each layer draws a seed, which decides its random weights.
    downsampling = _downsampling(name, size)
    x: Any = inputs
    for stage, (depth, width) in enumerate(zip(size.depths, size.widths, strict=True)):
        for layer in downsampling[stage]:
            x = layer(x)
        for block in range(depth):
            x = _block(x, width, f"{name}_stage_{stage}_block_{block}")
    x = keras.layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x)
    x = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_head_layernorm")(x)
    logits = keras.layers.Dense(classes, name=f"{name}_head_dense")(x)
    return keras.Model(keras.utils.get_source_inputs(inputs)[0], logits, name=name)


def _downsampling(name: str, size: Size) -> list[list[Callable[[Any], Any]]]:
    """Makes the stem, and what halves the maps before each later stage."""
    from keras import layers

    made: list[list[Callable[[Any], Any]]] = [
        [
            layers.Conv2D(size.widths[0], 4, strides=4, name=f"{name}_stem_conv"),
            layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_stem_layernorm"),
        ]
    ]
    for number, width in enumerate(size.widths[1:]):
        made.append(
            [
                layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_downsampling_layernorm_{number}"),
                layers.Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{number}"),
            ]
        )
    return made


def _block(inputs: Any, width: int, name: str) -> Any:
    """Applies a block of the paper's figure 4: depthwise 7x7, four times as wide and back, scaled, added."""
    from keras import layers

    x: Any = layers.Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(inputs)
    x = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_layernorm")(x)
    x = layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(width, name=f"{name}_pointwise_conv_2")(x)
    x = layer_scale(LAYER_SCALE, width, name=f"{name}_layer_scale")(x)
    return inputs + layers.Activation("linear", name=f"{name}_identity")(x)


CONVNEXT = Family(
    name="convnext",
    measured=Measured(by_the_shorter_side, "build_transform of datasets.py, facebookresearch/ConvNeXt"),
    licence="MIT",
    paper="https://arxiv.org/abs/2201.03545",
    pixels=IMAGENET,
    graph=build_graph,
    variants={
        "convnext_tiny": Variant(
            function="ConvNeXtTiny",
            top1=81.3,
            ends="convnext_tiny_stem_layernorm add_2 add_5 add_14 add_17",
            file="convnext/convnext_tiny.h5",
            hash="8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        ),
        "convnext_small": Variant(
            function="ConvNeXtSmall",
            top1=82.3,
            ends="convnext_small_stem_layernorm add_2 add_5 add_32 add_35",
            file="convnext/convnext_small.h5",
            hash="ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        ),
        "convnext_base": Variant(
            function="ConvNeXtBase",
            top1=85.3,
            ends="convnext_base_stem_layernorm add_2 add_5 add_32 add_35",
            file="convnext/convnext_base.h5",
            hash="52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        ),
        "convnext_large": Variant(
            function="ConvNeXtLarge",
            top1=86.3,
            ends="convnext_large_stem_layernorm add_2 add_5 add_32 add_35",
            file="convnext/convnext_large.h5",
            hash="070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        ),
        "convnext_xlarge": Variant(
            function="ConvNeXtXLarge",
            top1=86.7,
            ends="convnext_xlarge_stem_layernorm add_2 add_5 add_32 add_35",
            file="convnext/convnext_xlarge.h5",
            hash="c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
        ),
    },
)

FAMILIES = (CONVNEXT,)
