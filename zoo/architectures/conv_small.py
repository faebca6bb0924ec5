"""The same small convnet over one, two or three dimensions: signals, images, volumes.

Three stages of a convolution of width 3 and strides 2 with BatchNorm and ReLU, the filters doubling, then average
pooling and the classifier. The smallest complete example of a family.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.registry import Card, Stage, register

if TYPE_CHECKING:
    from keras import KerasTensor

STAGES = ("stem", "stage1", "stage2")
FILTERS = 16


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A number of dimensions, and what it amounts to (printed by `python -m zoo.models.measuring 'conv*_small'`)."""

    input_shape: tuple[int, ...]
    what: str
    params: int
    madds: int
    stage_params: tuple[int, int, int, int]


VARIANTS = {
    "conv1d_small": Variant(
        input_shape=(128, 1),
        what="signals: float or integer samples in [0, 255], such as one lead of an ECG",
        params=8_826,
        madds=151_168,
        stage_params=(112, 1_664, 6_400, 650),
    ),
    "conv2d_small": Variant(
        input_shape=(32, 32, 3),
        what="small colour images",
        params=24_570,
        madds=701_056,
        stage_params=(496, 4_736, 18_688, 650),
    ),
    "conv3d_small": Variant(
        input_shape=(16, 16, 16, 1),
        what="volumes of voxels in [0, 255], such as a CT scan's",
        params=70_650,
        madds=1_548_928,
        stage_params=(496, 13_952, 55_552, 650),
    ),
}

CARDS = tuple(
    Card(
        name=name,
        family="conv_small",
        description=f"Three strided convolutions over {variant.what}",
        input_shape=variant.input_shape,
        classes=10,
        params=variant.params,
        madds=variant.madds,
        stages=tuple(
            Stage(
                name=stage,
                last_layer=f"{stage}_activation" if stage != "head" else "",
                layers=layers,
                params=params,
            )
            for stage, layers, params in zip((*STAGES, "head"), (4, 3, 3, 3), variant.stage_params, strict=True)
        ),
        preprocessing="values / 127.5 - 1",
    )
    for name, variant in VARIANTS.items()
)


@register(*CARDS)
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
