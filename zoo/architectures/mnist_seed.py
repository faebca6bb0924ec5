"""Convnets for 28x28 grey digits: the seven of an introductory course's chapter.

They are faithful to the chapter: all convolutions are padded "same" with Keras' default initialisers, pixels
go linearly from [0, 255] to [-1, 1], and "max-norm 3" is `kernel_constraint=max_norm(3)`. A stage is one
convolution with what follows it, or, in the two pattern nets, one pair of convolutions.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.registry import Card, register
from zoo.registry.figures import measured

if TYPE_CHECKING:
    from keras import KerasTensor


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
CARDS = {
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


def _card(name: str, description: str, last_layers: str) -> Card:
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
        preprocessing="pixels / 127.5 - 1",
    )


@register(*(_card(name, *said) for name, said in CARDS.items()))
def build(inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None) -> "KerasTensor":
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
