"""The same small convnet over one, two or three dimensions: signals, images, volumes.

Three stages of a convolution of width 3 and strides 2 with BatchNorm and ReLU, the filters doubling, then average
pooling and the classifier. The smallest complete example of a family.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.registry import Card, register
from zoo.registry.figures import measured

if TYPE_CHECKING:
    from keras import KerasTensor

STAGES = ("stem", "stage1", "stage2")
FILTERS = 16


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A number of dimensions."""

    input_shape: tuple[int, ...]
    what: str


VARIANTS = {
    "conv1d_small": Variant(
        input_shape=(128, 1), what="signals: float or integer samples in [0, 255], such as one lead of an ECG"
    ),
    "conv2d_small": Variant(input_shape=(32, 32, 3), what="small colour images"),
    "conv3d_small": Variant(input_shape=(16, 16, 16, 1), what="volumes of voxels in [0, 255], such as a CT scan's"),
}


def _card(name: str, variant: Variant) -> Card:
    figures = measured(name)
    return Card(
        name=name,
        family="conv_small",
        description=f"Three strided convolutions over {variant.what}",
        input_shape=variant.input_shape,
        classes=10,
        params=figures.params,
        madds=figures.madds,
        stages=figures.stages([f"{stage}_activation" for stage in STAGES]),
        preprocessing="values / 127.5 - 1",
    )


@register(*(_card(name, variant) for name, variant in VARIANTS.items()))
def build(inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None) -> "KerasTensor":
    """Builds the net over as many dimensions as the card's input has."""
    from keras import layers

    dimensions = len(card.input_shape) - 1
    convolution = (layers.Conv1D, layers.Conv2D, layers.Conv3D)[dimensions - 1]
    pooling = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)[
        dimensions - 1
    ]
    x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescaling")(inputs)
    for number, stage in enumerate(STAGES):
        x = convolution(FILTERS * 2**number, 3, strides=2, padding="same", use_bias=False, name=f"{stage}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{stage}_bn")(x)
        x = layers.Activation("relu", name=f"{stage}_activation")(x)
    x = pooling(name="head_pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(classes, name="classifier")(x)
