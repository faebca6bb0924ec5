"""Every model of `keras.applications`: one table of families and variants, and one adapter.

Keras' own function builds the graph, on our pixels: in Keras each family wants its pixels in another range, here every
model takes [0, 255] and brings them there itself. Top-1 accuracies are those of keras.io/api/applications and its
pages.

How photos were brought to the input where the accuracies were measured stands at `by_the_shorter_side` and below it.

EfficientNet B0 to B7 are another graph in Keras under `weights="imagenet"` than under `None`: the former divides the
normalised pixels by sqrt(standard deviation) once more. Here there is one graph, and that division is folded into the
variances that are loaded, see `_fold_second_rescaling`.
"""

import collections
import contextlib
import functools
import sys
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.registry import Accuracy, Card, Download, Protocol, WeightSet, register
from zoo.registry.figures import measured
from zoo.registry.fitting import ImageFit

if TYPE_CHECKING:
    import numpy as np
    from keras import KerasTensor

WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
EFFICIENTNET_URL = "https://storage.googleapis.com/keras-applications/"
ACCURACY_SOURCE = "https://keras.io/api/applications"
ACCURACY_PROTOCOL = "single center crop, 50,000 ImageNet validation images"

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Means of the red, green and blue channel that VGG's authors, and the first ResNets', subtracted.
CAFFE_MEAN = (123.68, 116.779, 103.939)


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What a family does to pixels in [0, 255] before its first layer.

    Attributes:
        words: For the card.
        scale: By channel, red, green and blue.
        offset: By channel, added after scaling.
        reverse: Whether the channels go in as blue, green, red.
    """

    words: str
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    reverse: bool = False


def _standardised(words: str, mean: Sequence[float], std: Sequence[float]) -> Pixels:
    scale, offset = zip(*((1 / s, -m / s) for m, s in zip(mean, std, strict=True)), strict=True)
    return Pixels(words=words, scale=scale, offset=offset)


CAFFE = Pixels(
    words="channels reversed to BGR, less (103.939, 116.779, 123.68)",
    offset=(-CAFFE_MEAN[0], -CAFFE_MEAN[1], -CAFFE_MEAN[2]),
    reverse=True,
)
SYMMETRIC = _standardised("pixels / 127.5 - 1", (127.5,) * 3, (127.5,) * 3)
BY_128 = _standardised("(pixels - 128) / 128", (128.0,) * 3, (128.0,) * 3)
IMAGENET = _standardised(
    "(pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)",
    [255 * mean for mean in IMAGENET_MEAN],
    [255 * std for std in IMAGENET_STD],
)
IN_THE_WEIGHTS = Pixels(words="pixels / 255, then normalised by mean and variance that belong to the weights")


# How many pixels the shorter side has beyond the input, in what EfficientNet's authors evaluate.
MARGIN = 32
# From this input size on, EfficientNetV2 is evaluated without a crop.
NO_CROP_FROM = 320


@dataclass(frozen=True)
class Measured:
    """How the accuracies of a family were measured.

    Attributes:
        fit: From the input size, how a photo was brought to it.
        source: Who says so.
    """

    fit: Callable[[int], ImageFit]
    source: str


def by_the_shorter_side(_: int) -> ImageFit:
    """Resizes the shorter side to 256 and cuts out 224 at the centre, or as much of other sizes."""
    return ImageFit(crop_share=0.875, interpolation="bicubic")


def by_a_margin(size: int) -> ImageFit:
    """Cuts out what leaves a margin of 32 pixels at the input's scale."""
    return ImageFit(crop_share=round(size / (size + MARGIN), 4), interpolation="bicubic")


def by_a_margin_or_whole(size: int) -> ImageFit:
    """The same, bilinear; a larger input takes the whole photo, whatever its shape."""
    if size >= NO_CROP_FROM:
        return ImageFit(resize="stretch")
    return ImageFit(crop_share=round(size / (size + MARGIN), 4))


def by_both_sides(_: int) -> ImageFit:
    """Stretches the central 0.875 of both sides."""
    return ImageFit(resize="stretch", crop_share=0.875)


# What the author of the table at ACCURACY_SOURCE says of all models that were in Keras then.
BY_KERAS = Measured(by_the_shorter_side, "https://github.com/keras-team/keras-applications/issues/88")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A model function of `keras.applications`.

    Attributes:
        function: Its name there.
        size: The default height and width.
        top1: Published top-1 accuracy in percent.
        ends: The last layer of each stage but the head, from the stem on.
        file: Of the weights, below the family's address.
        hash: MD5 or SHA-256 of that file, as Keras has it; empty where it has none.
        dropout: The rate before the classifier.
        others: Options that have weights of their own, with file and hash.
        pixels: Where the variant differs from its family.
        accuracy_note: What else is to be known of the source of its accuracy.
    """

    function: str
    size: int = 224
    top1: float
    ends: str
    file: str
    hash: str = ""
    dropout: float = 0.0
    others: tuple[tuple[Mapping[str, object], str, str], ...] = ()
    pixels: Pixels | None = None
    accuracy_note: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the variants of one paper have in common.

    Attributes:
        name: On the cards.
        paper: Where it was published.
        pixels: How they go in.
        variants: By registered name.
        classifier: The layer that gives the logits.
        dropout_layer: The layer whose rate is that before the classifier, where the family has one.
        min_size: The smallest height and width.
        arguments: What Keras' function is given besides.
        options: The user's options and their defaults.
        url: Where the files lie.
        accuracy_source: Who published the accuracies.
        measured: How photos were brought to the input for them.
        licence: Of the weights, as their first publishers gave them to Keras' authors.
        convert: Turns the file's arrays into those of our graph.
    """

    name: str
    paper: str
    pixels: Pixels
    variants: Mapping[str, Variant]
    classifier: str = "predictions"
    dropout_layer: str = ""
    min_size: int = 32
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    url: str = WEIGHTS_URL
    accuracy_source: str = ACCURACY_SOURCE
    measured: Measured = BY_KERAS
    licence: str = "Apache-2.0"
    convert: "Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] | None" = None


def _fold_second_rescaling(arrays: "Mapping[str, np.ndarray]") -> "dict[str, np.ndarray]":
    """Folds into the variances what Keras' graph for the `imagenet` weights divides by after normalising.

    (x - mean) / sqrt(variance) / sqrt(std) = (x - mean) / sqrt(variance * std).
    """
    import numpy as np

    folded = dict(arrays)
    variance = folded["normalization/variance"]
    folded["normalization/variance"] = variance * np.array(IMAGENET_STD, dtype=variance.dtype)
    return folded


RESNET = Family(
    name="resnet",
    licence="MIT",
    paper="https://arxiv.org/abs/1512.03385",
    pixels=CAFFE,
    variants={
        "resnet50": Variant(
            function="ResNet50",
            top1=74.9,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block6_out conv5_block3_out",
            file="resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5",
            hash="2cb95161c43110f7111970584f804107",
        ),
        "resnet101": Variant(
            function="ResNet101",
            top1=76.4,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block23_out conv5_block3_out",
            file="resnet/resnet101_weights_tf_dim_ordering_tf_kernels.h5",
            hash="f1aeb4b969a6efcfb50fad2f0c20cfc5",
        ),
        "resnet152": Variant(
            function="ResNet152",
            top1=76.6,
            ends="pool1_pool conv2_block3_out conv3_block8_out conv4_block36_out conv5_block3_out",
            file="resnet/resnet152_weights_tf_dim_ordering_tf_kernels.h5",
            hash="100835be76be38e30d865e96f2aaae62",
        ),
    },
)
RESNET_V2 = Family(
    name="resnet_v2",
    licence="BSD-3-Clause",
    paper="https://arxiv.org/abs/1603.05027",
    pixels=SYMMETRIC,
    variants={
        "resnet50_v2": Variant(
            function="ResNet50V2",
            top1=76.0,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block6_out post_relu",
            file="resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels.h5",
            hash="3ef43a0b657b3be2300d5770ece849e0",
        ),
        "resnet101_v2": Variant(
            function="ResNet101V2",
            top1=77.2,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block23_out post_relu",
            file="resnet/resnet101v2_weights_tf_dim_ordering_tf_kernels.h5",
            hash="6343647c601c52e1368623803854d971",
        ),
        "resnet152_v2": Variant(
            function="ResNet152V2",
            top1=78.0,
            ends="pool1_pool conv2_block3_out conv3_block8_out conv4_block36_out post_relu",
            file="resnet/resnet152v2_weights_tf_dim_ordering_tf_kernels.h5",
            hash="a49b44d1979771252814e80f8ec446f9",
        ),
    },
)
VGG = Family(
    name="vgg",
    licence="CC-BY-4.0",
    paper="https://arxiv.org/abs/1409.1556",
    pixels=CAFFE,
    variants={
        "vgg16": Variant(
            function="VGG16",
            top1=71.3,
            ends="block1_pool block2_pool block3_pool block4_pool block5_pool",
            file="vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            hash="64373286793e3c8b2b4e3219cbf3544b",
        ),
        "vgg19": Variant(
            function="VGG19",
            top1=71.3,
            ends="block1_pool block2_pool block3_pool block4_pool block5_pool",
            file="vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5",
            hash="cbe5617147190e668d6c5d5026f83318",
        ),
    },
)
DENSENET = Family(
    name="densenet",
    licence="BSD-3-Clause",
    paper="https://arxiv.org/abs/1608.06993",
    pixels=IMAGENET,
    variants={
        "densenet121": Variant(
            function="DenseNet121",
            top1=75.0,
            ends="pool1 pool2_pool pool3_pool pool4_pool relu",
            file="densenet/densenet121_weights_tf_dim_ordering_tf_kernels.h5",
            hash="9d60b8095a5708f2dcce2bca79d332c7",
        ),
        "densenet169": Variant(
            function="DenseNet169",
            top1=76.2,
            ends="pool1 pool2_pool pool3_pool pool4_pool relu",
            file="densenet/densenet169_weights_tf_dim_ordering_tf_kernels.h5",
            hash="d699b8f76981ab1b30698df4c175e90b",
        ),
        "densenet201": Variant(
            function="DenseNet201",
            top1=77.3,
            ends="pool1 pool2_pool pool3_pool pool4_pool relu",
            file="densenet/densenet201_weights_tf_dim_ordering_tf_kernels.h5",
            hash="1ceb130c1ea1b78c3bf6114dbdfd8807",
        ),
    },
)
INCEPTION_V3 = Family(
    name="inception_v3",
    paper="https://arxiv.org/abs/1512.00567",
    pixels=SYMMETRIC,
    min_size=75,
    variants={
        "inception_v3": Variant(
            function="InceptionV3",
            size=299,
            top1=77.9,
            ends="max_pooling2d_1 mixed2 mixed7 mixed10",
            file="inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
            hash="9a0d58056eeedaa3f26cb7ebd46da564",
        ),
    },
)
INCEPTION_RESNET_V2 = Family(
    name="inception_resnet_v2",
    paper="https://arxiv.org/abs/1602.07261",
    pixels=SYMMETRIC,
    min_size=75,
    variants={
        "inception_resnet_v2": Variant(
            function="InceptionResNetV2",
            size=299,
            top1=80.3,
            ends="max_pooling2d_1 block35_10_ac block17_20_ac conv_7b_ac",
            file="inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
            hash="e693bd0210a403b3192acc6073ad2e96",
        ),
    },
)
XCEPTION = Family(
    name="xception",
    licence="MIT",
    paper="https://arxiv.org/abs/1610.02357",
    pixels=SYMMETRIC,
    min_size=71,
    variants={
        "xception": Variant(
            function="Xception",
            size=299,
            top1=79.0,
            ends="block1_conv2_act add_2 add_10 block14_sepconv2_act",
            file="xception/xception_weights_tf_dim_ordering_tf_kernels.h5",
            hash="0a58e3b7378bc2990ea3b43d5981f1f6",
        ),
    },
)
NASNET = Family(
    name="nasnet",
    paper="https://arxiv.org/abs/1707.07012",
    pixels=SYMMETRIC,
    variants={
        "nasnet_mobile": Variant(
            function="NASNetMobile",
            top1=74.4,
            ends="stem_bn1 activation_187",
            file="nasnet/NASNet-mobile.h5",
            hash="020fb642bf7360b370c678b08e0adf61",
        ),
        "nasnet_large": Variant(
            function="NASNetLarge",
            size=331,
            top1=82.5,
            ends="stem_bn1 activation_259",
            file="nasnet/NASNet-large.h5",
            hash="11577c9a518f0070763c2b964a382f17",
        ),
    },
)
MOBILENET = Family(
    name="mobilenet",
    paper="https://arxiv.org/abs/1704.04861",
    pixels=SYMMETRIC,
    classifier="conv_preds",
    dropout_layer="dropout",
    options={"alpha": 1.0},
    variants={
        "mobilenet": Variant(
            function="MobileNet",
            top1=70.4,
            ends="conv1_relu conv_pw_1_relu conv_pw_3_relu conv_pw_5_relu conv_pw_11_relu conv_pw_13_relu",
            file="mobilenet/mobilenet_1_0_224_tf.h5",
            dropout=0.001,
            others=(
                ({"alpha": 0.25}, "mobilenet/mobilenet_2_5_224_tf.h5", ""),
                ({"alpha": 0.5}, "mobilenet/mobilenet_5_0_224_tf.h5", ""),
                ({"alpha": 0.75}, "mobilenet/mobilenet_7_5_224_tf.h5", ""),
            ),
        ),
    },
)
MOBILENET_V2 = Family(
    name="mobilenet_v2",
    paper="https://arxiv.org/abs/1801.04381",
    pixels=SYMMETRIC,
    options={"alpha": 1.0},
    variants={
        "mobilenet_v2": Variant(
            function="MobileNetV2",
            top1=71.3,
            ends="Conv1_relu expanded_conv_project_BN block_2_add block_5_add "
            "block_9_add block_12_add block_15_add block_16_project_BN out_relu",
            file="mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
            others=(
                ({"alpha": 0.35}, "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224.h5", ""),
                ({"alpha": 0.5}, "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224.h5", ""),
                ({"alpha": 0.75}, "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.75_224.h5", ""),
                ({"alpha": 1.3}, "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.3_224.h5", ""),
                ({"alpha": 1.4}, "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224.h5", ""),
            ),
        ),
    },
)
MOBILENET_V3 = Family(
    name="mobilenet_v3",
    accuracy_source="https://keras.io/api/applications/mobilenet",
    measured=Measured(by_both_sides, "research/slim/preprocessing/inception_preprocessing.py, tensorflow/models"),
    paper="https://arxiv.org/abs/1905.02244",
    pixels=SYMMETRIC,
    classifier="logits",
    dropout_layer="dropout",
    arguments={"include_preprocessing": False},
    options={"alpha": 1.0, "minimalistic": False},
    variants={
        "mobilenet_v3_small": Variant(
            function="MobileNetV3Small",
            top1=68.1,
            accuracy_note=", which gives 66 M multiply-adds and 2.9 M parameters for it; parameters and multiply-adds "
            "here are those of the graph that Keras builds",
            ends="conv_bn expanded_conv_project_bn expanded_conv_2_add "
            "expanded_conv_5_add expanded_conv_7_add expanded_conv_10_add conv_1_bn",
            file="mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float.h5",
            hash="8768d4c2e7dee89b9d02b2d03d65d862",
            dropout=0.2,
            others=(
                (
                    {"alpha": 0.75},
                    "mobilenet_v3/weights_mobilenet_v3_small_224_0.75_float.h5",
                    "cb65d4e5be93758266aa0a7f2c6708b7",
                ),
                (
                    {"minimalistic": True},
                    "mobilenet_v3/weights_mobilenet_v3_small_minimalistic_224_1.0_float.h5",
                    "99cd97fb2fcdad2bf028eb838de69e37",
                ),
            ),
        ),
        "mobilenet_v3_large": Variant(
            function="MobileNetV3Large",
            top1=75.6,
            ends="conv_bn expanded_conv_add expanded_conv_2_add expanded_conv_5_add "
            "expanded_conv_9_add expanded_conv_11_add expanded_conv_14_add conv_1_bn",
            file="mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float.h5",
            hash="59e551e166be033d707958cf9e29a6a7",
            dropout=0.2,
            others=(
                (
                    {"alpha": 0.75},
                    "mobilenet_v3/weights_mobilenet_v3_large_224_0.75_float.h5",
                    "765b44a33ad4005b3ac83185abf1d0eb",
                ),
                (
                    {"minimalistic": True},
                    "mobilenet_v3/weights_mobilenet_v3_large_minimalistic_224_1.0_float.h5",
                    "675e7b876c45c57e9e63e6d90a36599c",
                ),
            ),
        ),
    },
)
EFFICIENTNET = Family(
    name="efficientnet",
    paper="https://arxiv.org/abs/1905.11946",
    pixels=IN_THE_WEIGHTS,
    dropout_layer="top_dropout",
    url=EFFICIENTNET_URL,
    convert=_fold_second_rescaling,
    measured=Measured(by_a_margin, "efficientnetv2/preprocess_legacy.py, google/automl"),
    variants={
        "efficientnet_b0": Variant(
            function="EfficientNetB0",
            top1=77.1,
            ends="stem_activation block1a_project_bn block2b_add block3b_add "
            "block4c_add block5c_add block6d_add block7a_project_bn top_activation",
            file="efficientnetb0.h5",
            hash="902e53a9f72be733fc0bcb005b3ebbac",
            dropout=0.2,
        ),
        "efficientnet_b1": Variant(
            function="EfficientNetB1",
            size=240,
            top1=79.1,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5d_add block6e_add block7b_add top_activation",
            file="efficientnetb1.h5",
            hash="1d254153d4ab51201f1646940f018540",
            dropout=0.2,
        ),
        "efficientnet_b2": Variant(
            function="EfficientNetB2",
            size=260,
            top1=80.1,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5d_add block6e_add block7b_add top_activation",
            file="efficientnetb2.h5",
            hash="b15cce36ff4dcbd00b6dd88e7857a6ad",
            dropout=0.3,
        ),
        "efficientnet_b3": Variant(
            function="EfficientNetB3",
            size=300,
            top1=81.6,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4e_add block5e_add block6f_add block7b_add top_activation",
            file="efficientnetb3.h5",
            hash="ffd1fdc53d0ce67064dc6a9c7960ede0",
            dropout=0.3,
        ),
        "efficientnet_b4": Variant(
            function="EfficientNetB4",
            size=380,
            top1=82.9,
            ends="stem_activation block1b_add block2d_add block3d_add "
            "block4f_add block5f_add block6h_add block7b_add top_activation",
            file="efficientnetb4.h5",
            hash="18c95ad55216b8f92d7e70b3a046e2fc",
            dropout=0.4,
        ),
        "efficientnet_b5": Variant(
            function="EfficientNetB5",
            size=456,
            top1=83.6,
            ends="stem_activation block1c_add block2e_add block3e_add "
            "block4g_add block5g_add block6i_add block7c_add top_activation",
            file="efficientnetb5.h5",
            hash="ace28f2a6363774853a83a0b21b9421a",
            dropout=0.4,
        ),
        "efficientnet_b6": Variant(
            function="EfficientNetB6",
            size=528,
            top1=84.0,
            ends="stem_activation block1c_add block2f_add block3f_add "
            "block4h_add block5h_add block6k_add block7c_add top_activation",
            file="efficientnetb6.h5",
            hash="165f6e37dce68623721b423839de8be5",
            dropout=0.5,
        ),
        "efficientnet_b7": Variant(
            function="EfficientNetB7",
            size=600,
            top1=84.3,
            ends="stem_activation block1d_add block2g_add block3g_add "
            "block4j_add block5j_add block6m_add block7d_add top_activation",
            file="efficientnetb7.h5",
            hash="8c03f828fec3ef71311cd463b6759d99",
            dropout=0.5,
        ),
    },
)
EFFICIENTNET_V2 = Family(
    name="efficientnet_v2",
    measured=Measured(by_a_margin_or_whole, "preprocess_for_eval of efficientnetv2/preprocessing.py, google/automl"),
    paper="https://arxiv.org/abs/2104.00298",
    pixels=IMAGENET,
    dropout_layer="top_dropout",
    arguments={"include_preprocessing": False},
    variants={
        "efficientnet_v2_b0": Variant(
            function="EfficientNetV2B0",
            top1=78.7,
            ends="stem_activation block1a_project_activation block2b_add block3b_add "
            "block4c_add block5e_add block6h_add top_activation",
            file="efficientnet_v2/efficientnetv2-b0.h5",
            hash="21ecbf6da12460d5c40bb2f29ceb2188",
            dropout=0.2,
        ),
        "efficientnet_v2_b1": Variant(
            function="EfficientNetV2B1",
            size=240,
            top1=79.8,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5f_add block6i_add top_activation",
            file="efficientnet_v2/efficientnetv2-b1.h5",
            hash="069f0534ff22adf035c89e2d9547a9dc",
            dropout=0.2,
        ),
        "efficientnet_v2_b2": Variant(
            function="EfficientNetV2B2",
            size=260,
            top1=80.5,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5f_add block6j_add top_activation",
            file="efficientnet_v2/efficientnetv2-b2.h5",
            hash="424e49f28180edbde1e94797771950a7",
            dropout=0.2,
        ),
        "efficientnet_v2_b3": Variant(
            function="EfficientNetV2B3",
            size=300,
            top1=82.0,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4e_add block5g_add block6l_add top_activation",
            file="efficientnet_v2/efficientnetv2-b3.h5",
            hash="1f1fc43bd98a6e4fd8fdfd551e02c7a0",
            dropout=0.2,
        ),
        "efficientnet_v2_s": Variant(
            function="EfficientNetV2S",
            size=384,
            top1=83.9,
            ends="stem_activation block1b_add block2d_add block3d_add "
            "block4f_add block5i_add block6o_add top_activation",
            file="efficientnet_v2/efficientnetv2-s.h5",
            hash="e1d88a8495beba45748fedd0cecbe016",
            dropout=0.2,
            pixels=BY_128,
        ),
        "efficientnet_v2_m": Variant(
            function="EfficientNetV2M",
            size=480,
            top1=85.3,
            ends="stem_activation block1c_add block2e_add block3e_add "
            "block4g_add block5n_add block6r_add block7e_add top_activation",
            file="efficientnet_v2/efficientnetv2-m.h5",
            hash="a3bf6aa3276309f4fc6a34aa114c95cd",
            dropout=0.2,
            pixels=BY_128,
        ),
        "efficientnet_v2_l": Variant(
            function="EfficientNetV2L",
            size=480,
            top1=85.7,
            ends="stem_activation block1d_add block2g_add block3g_add "
            "block4j_add block5s_add block6y_add block7g_add top_activation",
            file="efficientnet_v2/efficientnetv2-l.h5",
            hash="27e6d408b53c7ebc868fefa357689935",
            dropout=0.2,
            pixels=BY_128,
        ),
    },
)
CONVNEXT = Family(
    name="convnext",
    measured=Measured(by_the_shorter_side, "build_transform of datasets.py, facebookresearch/ConvNeXt"),
    licence="MIT",
    paper="https://arxiv.org/abs/2201.03545",
    pixels=IMAGENET,
    arguments={"include_preprocessing": False},
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

FAMILIES = (
    RESNET,
    RESNET_V2,
    VGG,
    DENSENET,
    INCEPTION_V3,
    INCEPTION_RESNET_V2,
    XCEPTION,
    NASNET,
    MOBILENET,
    MOBILENET_V2,
    MOBILENET_V3,
    EFFICIENTNET,
    EFFICIENTNET_V2,
    CONVNEXT,
)
_FAMILY_OF = {name: family for family in FAMILIES for name in family.variants}


def _weight_set(family: Family, size: int, file: str, digest: str, options: Mapping[str, object]) -> WeightSet:
    return WeightSet(
        name="imagenet",
        source=Download(url=family.url + file),
        sha256=digest if len(digest) == 64 else "",
        md5=digest if len(digest) == 32 else "",
        licence=family.licence,
        classes="imagenet_classes.txt",
        options=options,
        convert=family.convert,
        protocol=Protocol(size=size, fit=family.measured.fit(size), source=family.measured.source),
    )


def _card(name: str, variant: Variant) -> Card:
    family = _FAMILY_OF[name]
    pixels = variant.pixels or family.pixels
    figures = measured(name)
    files = ((family.options, variant.file, variant.hash), *variant.others)
    return Card(
        name=name,
        family=family.name,
        description=f"{variant.function} of keras.applications",
        input_shape=(variant.size, variant.size, 3),
        min_size=family.min_size,
        classes=1000,
        params=figures.params,
        madds=figures.madds,
        stages=figures.stages(variant.ends.split()),
        preprocessing=pixels.words,
        dropout=variant.dropout,
        weights=tuple(
            _weight_set(family, variant.size, file, digest, {**family.options, **options})
            for options, file, digest in files
        ),
        accuracy=Accuracy(
            top1=variant.top1, source=family.accuracy_source + variant.accuracy_note, protocol=ACCURACY_PROTOCOL
        ),
        paper=family.paper,
        options=family.options,
    )


@register(*(_card(name, variant) for family in FAMILIES for name, variant in family.variants.items()))
def build(
    inputs: "KerasTensor", *, card: Card, classes: int, dropout: float | None, **options: object
) -> "KerasTensor":
    """Builds a model of `keras.applications` on our pixels, under the names that a fresh session would give."""
    import keras

    alpha: Any = options.get("alpha", 1.0)
    if alpha <= 0:
        raise ZooError(f"build: option alpha of model '{card.name}' is {alpha!r}; expected a width above 0")
    family = _FAMILY_OF[card.name]
    variant = family.variants[card.name]
    function = getattr(keras.applications, variant.function)
    with _names_from_zero(), _sequentials_laid_flat(function), warnings.catch_warnings():
        # Keras warns of inputs that are neither grey nor RGB; see the README on channels.
        warnings.filterwarnings("ignore", message="This model usually expects")
        graph = function(
            weights=None,
            input_tensor=_normalise(inputs, variant.pixels or family.pixels),
            input_shape=tuple(inputs.shape[1:]),
            classes=classes,
            classifier_activation=None,
            **family.arguments,
            **options,
        )
    rate = variant.dropout if dropout is None else dropout
    if family.dropout_layer:
        graph.get_layer(family.dropout_layer).rate = rate
    elif rate:
        features = graph.get_layer(family.classifier).input
        dropped = keras.layers.Dropout(rate, name="head_dropout")(features)
        return keras.layers.Dense(classes, name=family.classifier)(dropped)
    return graph.output


def _normalise(inputs: "KerasTensor", pixels: Pixels) -> "KerasTensor":
    """Brings pixels in [0, 255] to the family's range; a fourth channel goes the mean way of the three."""
    import keras

    if pixels is IN_THE_WEIGHTS:
        return inputs
    channels = inputs.shape[-1]

    def by_channel(values: Sequence[float]) -> list[float]:
        return [*values, *[sum(values) / 3] * (channels - 3)]

    # Keras takes lists too, though its annotation says numbers.
    scale: Any = by_channel(pixels.scale)
    offset: Any = by_channel(pixels.offset)
    x: Any = keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")(inputs)
    if not pixels.reverse:
        return x
    order = [2, 1, 0, *range(3, channels)]
    taken: Any = keras.ops.take(x, order, axis=-1)
    return taken


@contextlib.contextmanager
def _names_from_zero() -> Generator[None]:
    """Lets Keras count `conv2d`, `conv2d_1`, ... from the start, so that a model's names do not depend on others.

    Weights are found by name. Keras has no public way to this but `clear_session`, which would clear much else.
    """
    from keras.src.backend.common import global_state

    counts: Any = global_state.get_global_attribute(
        "object_name_uids", default=collections.defaultdict[str, int](int), set_to_default=True
    )
    before = dict(counts)
    counts.clear()
    try:
        yield
    finally:
        counts.clear()
        counts.update(before)


class _Chain:
    """Calls layers one after the other, as a Sequential does, but leaves them in the graph they are called in."""

    def __init__(self, layers: Sequence[Any], name: str) -> None:
        self._layers = layers

    def __call__(self, inputs: "KerasTensor") -> "KerasTensor":
        return functools.reduce(lambda tensor, layer: layer(tensor), self._layers, inputs)


@contextlib.contextmanager
def _sequentials_laid_flat(function: Callable[..., Any]) -> Generator[None]:
    """Keeps ConvNeXt flat, whose stem and downsampling are nested models in Keras: stages cut between layers."""
    module = sys.modules[function.__module__]
    nested = getattr(module, "Sequential", None)
    if nested is None:
        yield
        return
    module.Sequential = _Chain  # pyright: ignore[reportAttributeAccessIssue]: a module of Keras
    try:
        yield
    finally:
        module.Sequential = nested  # pyright: ignore[reportAttributeAccessIssue]
