"""Our own three convnets for 28x28 grey digits; two have weights that ship, and one is to be trained in seconds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zoo.registry import Card, Protocol, ShippedFile, WeightSet, register
from zoo.registry.figures import measured
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    from keras import KerasTensor

DIGITS = tuple("0123456789")
# The digits have the size of the input: the whole of them goes in.
WHOLE = Protocol(size=28, fit=ImageFit(), source="MNIST's 10,000 test images, 28 x 28 as they are")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One step of our own nets, with BatchNorm and ReLU.

    Attributes:
        filters: Channels that it gives.
        kernel_size: Side of the kernel.
        strides: Of the convolution.
        separable: A depthwise convolution and a pointwise one (MobileNet, arXiv:1704.04861) instead of a full one,
            added to the input where the shape stays: a ninth of the weights.
        padding: Of the convolution.
        max_pool: Whether the largest of each 2x2 of the convolution's outputs goes on, before BatchNorm: a quarter
            of what BatchNorm and ReLU go over.
    """

    filters: int
    kernel_size: int = 3
    strides: int = 1
    separable: bool = False
    padding: Literal["same", "valid"] = "same"
    max_pool: bool = False


# Each net's stages. Strides come early: on a CPU the full-size maps cost most.
NETS: dict[str, dict[str, tuple[Block, ...]]] = {
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
    # 28 pixels become 12, 10, by pooling 5, then 3. Without padding the maps are a third smaller.
    "mnist_conv_fast": {
        "stem": (Block(filters=16, kernel_size=5, strides=2, padding="valid"),),
        "stage1": (Block(filters=32, padding="valid", max_pool=True),),
        "stage2": (Block(filters=64, padding="valid"),),
    },
}
# Nets whose classifier sees where things are: that learns in fewer steps than from averages.
FLATTENED = frozenset({"mnist_conv_fast"})


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


def _card(name: str, description: str, *, dropout: float = 0.0, weights: WeightSet | None = None) -> Card:
    figures = measured(name)
    return Card(
        name=name,
        family="mnist_conv",
        description=description,
        input_shape=(28, 28, 1),
        classes=10,
        params=figures.params,
        madds=figures.madds,
        stages=figures.stages([f"{stage}_{len(blocks)}_activation" for stage, blocks in NETS[name].items()]),
        preprocessing="pixels / 255",
        dropout=dropout,
        weights=(weights,) if weights else (),
    )


CARDS = (
    _card(
        "mnist_conv",
        "Our small modern net for digits: strided 3x3 convolutions with BatchNorm, then average pooling",
        dropout=0.2,
        weights=_shipped(
            "mnist_conv",
            sha256="d1db733bc259bfde7af15e0ab0baac0d1ea0dc873fd87d2cf0ea69bade4ccc63",
            bytes=568_688,
        ),
    ),
    _card(
        "mnist_conv_tiny",
        "mnist_conv for the smallest devices: separable convolutions with shortcuts, under 10,000 parameters",
        dropout=0.0,
        weights=_shipped(
            "mnist_conv_tiny",
            sha256="ede71003a1a72f3c8a648c713900f824c8c80dd773f96219fa2bd6106d2d333d",
            bytes=41_152,
        ),
    ),
    _card(
        "mnist_conv_fast",
        "mnist_conv for training in seconds: three convolutions on small maps, for which one epoch of MNIST suffices",
    ),
)


@register(*CARDS)
def build(inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None) -> "KerasTensor":
    """Builds one of the three: blocks, global average pooling or flattening, classifier."""
    from keras import layers

    # Black is 0, as is what "same" pads with: no filter sees an edge where the paper ends.
    x = layers.Rescaling(1 / 255, dtype="float32", name="rescaling")(inputs)
    for stage, blocks in NETS[card.name].items():
        for number, block in enumerate(blocks, 1):
            x = _block(x, block, name=f"{stage}_{number}")
    if card.name in FLATTENED:
        x = layers.Flatten(name="head_flatten")(x)
    else:
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
    x = layers.Conv2D(
        block.filters, kernel_size, strides=strides, padding=block.padding, use_bias=False, name=f"{name}_conv"
    )(x)
    if block.max_pool:
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    if block.separable and x.shape == before.shape:
        x = layers.Add(name=f"{name}_add")([x, before])
    return layers.Activation("relu", name=f"{name}_activation")(x)
