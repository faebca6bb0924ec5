"""Convnets for 28x28 grey digits: seven from an introductory course's chapter, and our own two.

The seven are faithful to the chapter: all convolutions are padded "same" with Keras' default initialisers, pixels
go linearly from [0, 255] to [-1, 1], and "max-norm 3" is `kernel_constraint=max_norm(3)`. A stage is one
convolution with what follows it, or, in the two pattern nets, one pair of convolutions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.registry import Card, Protocol, ShippedFile, WeightSet, register
from zoo.registry.figures import measured
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    from keras import KerasTensor

DIGITS = tuple("0123456789")
# The digits have the size of the input: the whole of them goes in.
WHOLE = Protocol(size=28, fit=ImageFit(), source="MNIST's 10,000 test images, 28 x 28 as they are")
PREPROCESSING = "pixels / 127.5 - 1"


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """One convolution of a seed net, with its own normalisation, dropout and pooling."""

    filters: int
    kernel_size: int
    activation: str | None = "relu"
    strides: int = 1
    max_norm: bool = False
    batchnorm: bool = False
    dropout: float = 0.0
    max_pool: bool = False


@dataclass(frozen=True, kw_only=True)
class SeedNet:
    """A seed net: its stages of convolutions, then its hidden dense layers, all with ReLU."""

    stages: tuple[tuple[Convolution, ...], ...]
    dense: tuple[int, ...] = ()


def _pooled(filters: int, kernel_size: int) -> Convolution:
    return Convolution(filters=filters, kernel_size=kernel_size, max_norm=True, dropout=0.2, max_pool=True)


def _strided(filters: int, kernel_size: int) -> Convolution:
    return Convolution(filters=filters, kernel_size=kernel_size, max_norm=True, dropout=0.2, strides=2)


def _normalised(filters: int, kernel_size: int) -> Convolution:
    return Convolution(filters=filters, kernel_size=kernel_size, max_norm=True, batchnorm=True, strides=2)


def _pair(filters: int, kernel_sizes: tuple[int, int], *, pooled: bool) -> tuple[Convolution, Convolution]:
    first, second = kernel_sizes
    return (
        Convolution(filters=filters, kernel_size=first, activation=None),
        Convolution(
            filters=filters,
            kernel_size=second,
            activation=None,
            strides=1 if pooled else 2,
            max_pool=pooled,
        ),
    )


def _pattern(*, pooled: bool) -> SeedNet:
    pairs = ((32, (5, 5)), (16, (5, 3)), (8, (5, 3)))
    return SeedNet(stages=tuple(_pair(filters, sizes, pooled=pooled) for filters, sizes in pairs), dense=(512, 256))


_BIGGER_8 = Convolution(filters=8, kernel_size=3, max_norm=True, dropout=0.2)

SEED_NETS = {
    "mnist_simple": SeedNet(stages=((Convolution(filters=32, kernel_size=5),),)),
    "mnist_bigger": SeedNet(
        stages=(
            (Convolution(filters=16, kernel_size=5, max_norm=True, dropout=0.2),),
            (_BIGGER_8,),
            (_BIGGER_8,),
        )
    ),
    "mnist_pooling": SeedNet(stages=((_pooled(30, 5),), (_pooled(16, 3),)), dense=(128, 64)),
    "mnist_striding": SeedNet(stages=((_strided(30, 5),), (_strided(16, 3),)), dense=(128, 64)),
    "mnist_striding_batchnorm": SeedNet(stages=((_normalised(30, 5),), (_normalised(16, 3),)), dense=(128, 64)),
    "mnist_pattern_pooling": _pattern(pooled=True),
    "mnist_pattern_striding": _pattern(pooled=False),
}


# What `zoo list` says of each, and the last layer of each stage but the head.
_SEED_CARDS = {
    "mnist_simple": ("One 5x5 convolution and a dense classifier", "stem_1_conv"),
    "mnist_bigger": (
        "Three convolutions with max-norm and dropout",
        "stem_1_dropout stage1_1_dropout stage2_1_dropout",
    ),
    "mnist_pooling": ("Two convolutions with max-pooling, two hidden dense layers", "stem_1_pool stage1_1_pool"),
    "mnist_striding": ("As mnist_pooling, with strides instead of pooling", "stem_1_dropout stage1_1_dropout"),
    "mnist_striding_batchnorm": (
        "As mnist_striding, with batch normalisation instead of dropout",
        "stem_1_activation stage1_1_activation",
    ),
    "mnist_pattern_pooling": (
        "Three pairs of linear convolutions with max-pooling, two hidden dense layers",
        "stem_2_pool stage1_2_pool stage2_2_pool",
    ),
    "mnist_pattern_striding": (
        "As mnist_pattern_pooling, with strides instead of pooling",
        "stem_2_conv stage1_2_conv stage2_2_conv",
    ),
}


def _seed_card(name: str, description: str, last_layers: str) -> Card:
    figures = measured(name)
    return Card(
        name=name,
        family="mnist_seed",
        description=description,
        input_shape=(28, 28, 1),
        classes=10,
        params=figures.params,
        madds=figures.madds,
        stages=figures.stages(last_layers.split()),
        preprocessing=PREPROCESSING,
    )


@register(*(_seed_card(name, *said) for name, said in _SEED_CARDS.items()))
def build_seed_net(inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None) -> "KerasTensor":
    """Builds one of the seven: stages of convolutions, flatten, hidden dense layers, classifier."""
    from keras import layers

    net = SEED_NETS[card.name]
    x = layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescaling")(inputs)
    for position, stage in enumerate(net.stages):
        stage_name = f"stage{position}" if position else "stem"
        for number, convolution in enumerate(stage, 1):
            x = _convolve(x, convolution, name=f"{stage_name}_{number}")
    x = layers.Flatten(name="head_flatten")(x)
    for number, units in enumerate(net.dense, 1):
        x = layers.Dense(units, activation="relu", name=f"head_dense{number}")(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(classes, name="classifier")(x)


def _convolve(x: "KerasTensor", convolution: Convolution, *, name: str) -> "KerasTensor":
    from keras import constraints, layers

    x = layers.Conv2D(
        convolution.filters,
        convolution.kernel_size,
        strides=convolution.strides,
        padding="same",
        activation=None if convolution.batchnorm else convolution.activation,
        kernel_constraint=constraints.MaxNorm(3) if convolution.max_norm else None,
        name=f"{name}_conv",
    )(x)
    if convolution.batchnorm:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        x = layers.Activation(convolution.activation, name=f"{name}_activation")(x)
    if convolution.dropout:
        x = layers.Dropout(convolution.dropout, name=f"{name}_dropout")(x)
    if convolution.max_pool:
        x = layers.MaxPooling2D(2, padding="same", name=f"{name}_pool")(x)
    return x


@dataclass(frozen=True, kw_only=True)
class Block:
    """One step of our own nets, with BatchNorm and ReLU.

    Attributes:
        filters: Channels that it gives.
        kernel_size: Side of the kernel.
        strides: Of the convolution.
        separable: A depthwise convolution and a pointwise one (MobileNet, arXiv:1704.04861) instead of a full one,
            added to the input where the shape stays: a ninth of the weights.
    """

    filters: int
    kernel_size: int = 3
    strides: int = 1
    separable: bool = False


# Each net's stages. Strides come early: on a CPU the full-size maps cost most.
OUR_NETS: dict[str, dict[str, tuple[Block, ...]]] = {
    "mnist_conv": {
        "stem": (Block(filters=32, kernel_size=5, strides=2),),
        "stage1": (Block(filters=32),),
        "stage2": (Block(filters=64, strides=2), Block(filters=64)),
        "stage3": (Block(filters=128, strides=2),),
    },
    "mnist_conv_tiny": {
        "stem": (Block(filters=24, kernel_size=5, strides=2),),
        "stage1": (Block(filters=24, separable=True),) * 2,
        "stage2": (
            Block(filters=40, separable=True, strides=2),
            Block(filters=40, separable=True),
            Block(filters=40, separable=True),
        ),
    },
}


def _shipped(name: str, *, sha256: str, bytes: int) -> WeightSet:
    return WeightSet(
        name="mnist",
        source=ShippedFile(file=f"{name}.safetensors"),
        sha256=sha256,
        bytes=bytes,
        licence="Apache-2.0",
        classes=DIGITS,
        protocol=WHOLE,
    )


def _our_card(name: str, description: str, *, dropout: float, weights: WeightSet) -> Card:
    figures = measured(name)
    return Card(
        name=name,
        family="mnist_conv",
        description=description,
        input_shape=(28, 28, 1),
        classes=10,
        params=figures.params,
        madds=figures.madds,
        stages=figures.stages([f"{stage}_{len(blocks)}_activation" for stage, blocks in OUR_NETS[name].items()]),
        preprocessing="pixels / 255",
        dropout=dropout,
        weights=(weights,),
    )


OUR_CARDS = (
    _our_card(
        "mnist_conv",
        "Our small modern net for digits: strided 3x3 convolutions with BatchNorm, then average pooling",
        dropout=0.2,
        weights=_shipped(
            "mnist_conv",
            sha256="d1db733bc259bfde7af15e0ab0baac0d1ea0dc873fd87d2cf0ea69bade4ccc63",
            bytes=568_688,
        ),
    ),
    _our_card(
        "mnist_conv_tiny",
        "mnist_conv for the smallest devices: separable convolutions with shortcuts, under 10,000 parameters",
        dropout=0.0,
        weights=_shipped(
            "mnist_conv_tiny",
            sha256="ede71003a1a72f3c8a648c713900f824c8c80dd773f96219fa2bd6106d2d333d",
            bytes=41_152,
        ),
    ),
)


@register(*OUR_CARDS)
def build_our_net(inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None) -> "KerasTensor":
    """Builds `mnist_conv` or `mnist_conv_tiny`: blocks, global average pooling, classifier."""
    from keras import layers

    # Black is 0, as is what "same" pads with: no filter sees an edge where the paper ends.
    x = layers.Rescaling(1 / 255, dtype="float32", name="rescaling")(inputs)
    for stage, blocks in OUR_NETS[card.name].items():
        for number, block in enumerate(blocks, 1):
            x = _block(x, block, name=f"{stage}_{number}")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    rate = card.dropout if dropout is None else dropout
    if rate:
        x = layers.Dropout(rate, name="head_dropout")(x)
    return layers.Dense(classes, name="classifier")(x)


def _block(x: "KerasTensor", block: Block, *, name: str) -> "KerasTensor":
    from keras import layers

    before, kernel_size, strides = x, block.kernel_size, block.strides
    if block.separable:
        x = layers.DepthwiseConv2D(
            kernel_size, strides=strides, padding="same", use_bias=False, name=f"{name}_depthwise"
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_depthwise_bn")(x)
        kernel_size = strides = 1
    x = layers.Conv2D(block.filters, kernel_size, strides=strides, padding="same", use_bias=False, name=f"{name}_conv")(
        x
    )
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    if block.separable and x.shape == before.shape:
        x = layers.Add(name=f"{name}_add")([x, before])
    return layers.Activation("relu", name=f"{name}_activation")(x)
