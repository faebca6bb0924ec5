"""Every model of `keras.applications`: one table of families and variants, and one adapter.

Keras' own function builds the graph, on our pixels: in Keras each family wants its pixels in another range, here every
model takes [0, 255] and brings them there itself. The figures of the table are what
`python -m zoo.models.measuring NAME` prints; top-1 accuracies are those of keras.io/api/applications and its pages.

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
from zoo.registry import Accuracy, Card, Download, Protocol, Stage, WeightSet, register
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
        params: With 1000 classes.
        madds: At the default size.
        ends: The last layer of each stage but the head, from the stem on.
        layers: Layers of each stage, the head's last.
        stage_params: Parameters of each stage, the head's last.
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
    params: int
    madds: int
    ends: str
    layers: tuple[int, ...]
    stage_params: tuple[int, ...]
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
            params=25_636_712,
            madds=3_857_973_248,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block6_out conv5_block3_out",
            layers=(7, 32, 42, 62, 32, 3),
            stage_params=(9_728, 220_032, 1_230_336, 7_129_088, 14_998_528, 2_049_000),
            file="resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5",
            hash="2cb95161c43110f7111970584f804107",
        ),
        "resnet101": Variant(
            function="ResNet101",
            top1=76.4,
            params=44_707_176,
            madds=7_570_194_432,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block23_out conv5_block3_out",
            layers=(7, 32, 42, 232, 32, 3),
            stage_params=(9_728, 220_032, 1_230_336, 26_199_552, 14_998_528, 2_049_000),
            file="resnet/resnet101_weights_tf_dim_ordering_tf_kernels.h5",
            hash="f1aeb4b969a6efcfb50fad2f0c20cfc5",
        ),
        "resnet152": Variant(
            function="ResNet152",
            top1=76.6,
            params=60_419_944,
            madds=11_282_415_616,
            ends="pool1_pool conv2_block3_out conv3_block8_out conv4_block36_out conv5_block3_out",
            layers=(7, 32, 82, 362, 32, 3),
            stage_params=(9_728, 220_032, 2_359_808, 40_782_848, 14_998_528, 2_049_000),
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
            params=25_613_800,
            madds=3_482_255_360,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block6_out post_relu",
            layers=(5, 35, 46, 68, 36, 3),
            stage_params=(9_472, 217_856, 1_226_240, 7_119_872, 14_991_360, 2_049_000),
            file="resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels.h5",
            hash="3ef43a0b657b3be2300d5770ece849e0",
        ),
        "resnet101_v2": Variant(
            function="ResNet101V2",
            top1=77.2,
            params=44_675_560,
            madds=7_194_476_544,
            ends="pool1_pool conv2_block3_out conv3_block4_out conv4_block23_out post_relu",
            layers=(5, 35, 46, 255, 36, 3),
            stage_params=(9_472, 217_856, 1_226_240, 26_181_632, 14_991_360, 2_049_000),
            file="resnet/resnet101v2_weights_tf_dim_ordering_tf_kernels.h5",
            hash="6343647c601c52e1368623803854d971",
        ),
        "resnet152_v2": Variant(
            function="ResNet152V2",
            top1=78.0,
            params=60_380_648,
            madds=10_906_697_728,
            ends="pool1_pool conv2_block3_out conv3_block8_out conv4_block36_out post_relu",
            layers=(5, 35, 90, 398, 36, 3),
            stage_params=(9_472, 217_856, 2_354_688, 40_758_272, 14_991_360, 2_049_000),
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
            params=138_357_544,
            madds=15_470_264_320,
            ends="block1_pool block2_pool block3_pool block4_pool block5_pool",
            layers=(4, 3, 4, 4, 4, 5),
            stage_params=(38_720, 221_440, 1_475_328, 5_899_776, 7_079_424, 123_642_856),
            file="vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            hash="64373286793e3c8b2b4e3219cbf3544b",
        ),
        "vgg19": Variant(
            function="VGG19",
            top1=71.3,
            params=143_667_240,
            madds=19_632_062_464,
            ends="block1_pool block2_pool block3_pool block4_pool block5_pool",
            layers=(4, 3, 5, 5, 5, 5),
            stage_params=(38_720, 221_440, 2_065_408, 8_259_584, 9_439_232, 123_642_856),
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
            params=8_062_504,
            madds=2_834_161_664,
            ends="pool1 pool2_pool pool3_pool pool4_pool relu",
            layers=(7, 46, 88, 172, 114, 3),
            stage_params=(9_664, 372_096, 1_063_168, 3_402_240, 2_190_336, 1_025_000),
            file="densenet/densenet121_weights_tf_dim_ordering_tf_kernels.h5",
            hash="9d60b8095a5708f2dcce2bca79d332c7",
        ),
        "densenet169": Variant(
            function="DenseNet169",
            top1=76.2,
            params=14_307_880,
            madds=3_359_843_328,
            ends="pool1 pool2_pool pool3_pool pool4_pool relu",
            layers=(7, 46, 88, 228, 226, 3),
            stage_params=(9_664, 372_096, 1_063_168, 5_196_800, 6_001_152, 1_665_000),
            file="densenet/densenet169_weights_tf_dim_ordering_tf_kernels.h5",
            hash="d699b8f76981ab1b30698df4c175e90b",
        ),
        "densenet201": Variant(
            function="DenseNet201",
            top1=77.3,
            params=20_242_984,
            madds=4_291_365_888,
            ends="pool1 pool2_pool pool3_pool pool4_pool relu",
            layers=(7, 46, 88, 340, 226, 3),
            stage_params=(9_664, 372_096, 1_063_168, 9_793_536, 7_083_520, 1_921_000),
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
            params=23_851_784,
            madds=5_713_216_096,
            ends="max_pooling2d_1 mixed2 mixed7 mixed10",
            layers=(18, 69, 142, 82, 3),
            stage_params=(173_072, 819_984, 7_982_208, 12_827_520, 2_049_000),
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
            params=55_873_736,
            madds=13_155_794_016,
            ends="max_pooling2d_1 block35_10_ac block17_20_ac conv_7b_ac",
            layers=(18, 243, 334, 185, 3),
            stage_params=(173_072, 1_502_928, 25_215_360, 27_445_376, 1_537_000),
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
            params=22_910_480,
            madds=8_357_403_496,
            ends="block1_conv2_act add_2 add_10 block14_sepconv2_act",
            layers=(7, 29, 80, 16, 3),
            stage_params=(19_680, 1_093_944, 12_946_752, 6_801_104, 2_049_000),
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
            params=5_326_716,
            madds=563_638_816,
            ends="stem_bn1 activation_187",
            layers=(3, 766, 3),
            stage_params=(992, 4_268_724, 1_057_000),
            file="nasnet/NASNet-mobile.h5",
            hash="020fb642bf7360b370c678b08e0adf61",
        ),
        "nasnet_large": Variant(
            function="NASNetLarge",
            size=331,
            top1=82.5,
            params=88_949_818,
            madds=23_783_414_658,
            ends="stem_bn1 activation_259",
            layers=(3, 1_036, 3),
            stage_params=(2_976, 84_913_842, 4_033_000),
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
            params=4_253_864,
            madds=568_740_352,
            ends="conv1_relu conv_pw_1_relu conv_pw_3_relu conv_pw_5_relu conv_pw_11_relu conv_pw_13_relu",
            layers=(4, 6, 13, 13, 37, 13, 6),
            stage_params=(992, 2_720, 28_096, 105_344, 1_490_688, 1_601_024, 1_025_000),
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
            params=3_538_984,
            madds=300_774_272,
            ends="Conv1_relu expanded_conv_project_BN block_2_add block_5_add "
            "block_9_add block_12_add block_15_add block_16_project_BN out_relu",
            layers=(4, 5, 18, 27, 36, 26, 27, 8, 3, 3),
            stage_params=(992, 992, 15_024, 42_000, 189_760, 309_888, 806_208, 478_400, 414_720, 1_281_000),
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
            params=2_554_968,
            madds=56_510_400,
            ends="conv_bn expanded_conv_project_bn expanded_conv_2_add "
            "expanded_conv_5_add expanded_conv_7_add expanded_conv_10_add conv_1_bn",
            layers=(3, 13, 18, 45, 29, 45, 2, 9),
            stage_params=(496, 808, 10_016, 130_808, 53_016, 686_376, 57_600, 1_615_848),
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
            params=5_507_432,
            madds=216_589_760,
            ends="conv_bn expanded_conv_add expanded_conv_2_add expanded_conv_5_add "
            "expanded_conv_9_add expanded_conv_11_add expanded_conv_14_add conv_1_bn",
            layers=(3, 7, 18, 45, 36, 29, 45, 2, 9),
            stage_params=(496, 528, 8_520, 53_800, 134_696, 605_600, 2_035_272, 157_440, 2_511_080),
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
            params=5_330_571,
            madds=385_814_752,
            ends="stem_activation block1a_project_bn block2b_add block3b_add "
            "block4c_add block5c_add block6d_add block7a_project_bn top_activation",
            layers=(6, 10, 29, 29, 44, 43, 59, 13, 3, 4),
            stage_params=(999, 1_544, 17_770, 48_336, 248_210, 551_116, 2_044_396, 722_480, 414_720, 1_281_000),
            file="efficientnetb0.h5",
            hash="902e53a9f72be733fc0bcb005b3ebbac",
            dropout=0.2,
        ),
        "efficientnet_b1": Variant(
            function="EfficientNetB1",
            size=240,
            top1=79.1,
            params=7_856_239,
            madds=686_802_832,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5d_add block6e_add block7b_add top_activation",
            layers=(6, 22, 44, 44, 59, 58, 74, 28, 3, 4),
            stage_params=(999, 2_220, 29_104, 80_666, 353_190, 762_600, 2_637_340, 2_294_400, 414_720, 1_281_000),
            file="efficientnetb1.h5",
            hash="1d254153d4ab51201f1646940f018540",
            dropout=0.2,
        ),
        "efficientnet_b2": Variant(
            function="EfficientNetB2",
            size=260,
            top1=80.1,
            params=9_177_569,
            madds=993_561_872,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5d_add block6e_add block7b_add top_activation",
            layers=(6, 22, 44, 44, 59, 58, 74, 28, 3, 4),
            stage_params=(999, 2_220, 29_104, 106_302, 429_742, 874_480, 3_073_806, 2_750_668, 501_248, 1_409_000),
            file="efficientnetb2.h5",
            hash="b15cce36ff4dcbd00b6dd88e7857a6ad",
            dropout=0.3,
        ),
        "efficientnet_b3": Variant(
            function="EfficientNetB3",
            size=300,
            top1=81.6,
            params=12_320_535,
            madds=1_827_141_392,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4e_add block5e_add block6f_add block7b_add top_activation",
            layers=(6, 22, 44, 44, 74, 73, 89, 28, 3, 4),
            stage_params=(1_247, 3_728, 50_422, 114_272, 650_028, 1_404_480, 4_662_852, 3_300_538, 595_968, 1_537_000),
            file="efficientnetb3.h5",
            hash="ffd1fdc53d0ce67064dc6a9c7960ede0",
            dropout=0.3,
        ),
        "efficientnet_b4": Variant(
            function="EfficientNetB4",
            size=380,
            top1=82.9,
            params=19_466_823,
            madds=4_393_771_024,
            ends="stem_activation block1b_add block2d_add block3d_add "
            "block4f_add block5f_add block6h_add block7b_add top_activation",
            layers=(6, 22, 59, 59, 89, 88, 119, 28, 3, 4),
            stage_params=(
                1_495,
                4_386,
                69_374,
                202_834,
                1_076_026,
                2_330_532,
                8_690_116,
                4_489_076,
                809_984,
                1_793_000,
            ),
            file="efficientnetb4.h5",
            hash="18c95ad55216b8f92d7e70b3a046e2fc",
            dropout=0.4,
        ),
        "efficientnet_b5": Variant(
            function="EfficientNetB5",
            size=456,
            top1=83.6,
            params=30_562_527,
            madds=10_266_384_752,
            ends="stem_activation block1c_add block2e_add block3e_add "
            "block4g_add block5g_add block6i_add block7c_add top_activation",
            layers=(6, 34, 74, 74, 104, 103, 134, 43, 3, 4),
            stage_params=(
                1_495,
                5_688,
                127_662,
                337_258,
                1_654_224,
                3_317_224,
                12_233_356,
                9_779_852,
                1_056_768,
                2_049_000,
            ),
            file="efficientnetb5.h5",
            hash="ace28f2a6363774853a83a0b21b9421a",
            dropout=0.4,
        ),
        "efficientnet_b6": Variant(
            function="EfficientNetB6",
            size=528,
            top1=84.0,
            params=43_265_143,
            madds=19_067_593_536,
            ends="stem_activation block1c_add block2f_add block3f_add "
            "block4h_add block5h_add block6k_add block7c_add top_activation",
            layers=(6, 34, 89, 89, 119, 118, 164, 43, 3, 4),
            stage_params=(
                1_743,
                8_526,
                162_970,
                503_908,
                2_407_662,
                4_881_186,
                19_281_806,
                12_376_022,
                1_336_320,
                2_305_000,
            ),
            file="efficientnetb6.h5",
            hash="165f6e37dce68623721b423839de8be5",
            dropout=0.5,
        ),
        "efficientnet_b7": Variant(
            function="EfficientNetB7",
            size=600,
            top1=84.3,
            params=66_658_687,
            madds=37_745_884_192,
            ends="stem_activation block1d_add block2g_add block3g_add "
            "block4j_add block5j_add block6m_add block7d_add top_activation",
            layers=(6, 46, 104, 104, 149, 148, 194, 58, 3, 4),
            stage_params=(
                1_991,
                11_496,
                261_776,
                729_860,
                3_761_340,
                7_672_608,
                28_516_664,
                21_493_312,
                1_648_640,
                2_561_000,
            ),
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
            params=7_200_312,
            madds=718_086_176,
            ends="stem_activation block1a_project_activation block2b_add block3b_add "
            "block4c_add block5e_add block6h_add top_activation",
            layers=(4, 3, 12, 12, 43, 73, 118, 3, 4),
            stage_params=(992, 4_672, 53_248, 136_832, 235_068, 961_224, 4_276_396, 250_880, 1_281_000),
            file="efficientnet_v2/efficientnetv2-b0.h5",
            hash="21ecbf6da12460d5c40bb2f29ceb2188",
            dropout=0.2,
        ),
        "efficientnet_v2_b1": Variant(
            function="EfficientNetV2B1",
            size=240,
            top1=79.8,
            params=8_212_124,
            madds=1_196_819_360,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5f_add block6i_add top_activation",
            layers=(4, 8, 19, 19, 58, 88, 133, 3, 4),
            stage_params=(992, 7_040, 94_848, 229_952, 334_548, 1_161_956, 4_850_908, 250_880, 1_281_000),
            file="efficientnet_v2/efficientnetv2-b1.h5",
            hash="069f0534ff22adf035c89e2d9547a9dc",
            dropout=0.2,
        ),
        "efficientnet_v2_b2": Variant(
            function="EfficientNetV2B2",
            size=260,
            top1=80.5,
            params=10_178_374,
            madds=1_697_542_832,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4d_add block5f_add block6j_add top_activation",
            layers=(4, 8, 19, 19, 58, 88, 148, 3, 4),
            stage_params=(992, 7_040, 94_848, 297_888, 394_844, 1_331_312, 6_343_954, 298_496, 1_409_000),
            file="efficientnet_v2/efficientnetv2-b2.h5",
            hash="424e49f28180edbde1e94797771950a7",
            dropout=0.2,
        ),
        "efficientnet_v2_b3": Variant(
            function="EfficientNetV2B3",
            size=300,
            top1=82.0,
            params=14_467_622,
            madds=3_011_458_816,
            ends="stem_activation block1b_add block2c_add block3c_add "
            "block4e_add block5g_add block6l_add top_activation",
            layers=(4, 8, 19, 19, 73, 103, 178, 3, 4),
            stage_params=(1_240, 8_192, 141_792, 320_544, 584_318, 1_973_192, 9_538_848, 362_496, 1_537_000),
            file="efficientnet_v2/efficientnetv2-b3.h5",
            hash="1f1fc43bd98a6e4fd8fdfd551e02c7a0",
            dropout=0.2,
        ),
        "efficientnet_v2_s": Variant(
            function="EfficientNetV2S",
            size=384,
            top1=83.9,
            params=21_612_360,
            madds=8_365_617_152,
            ends="stem_activation block1b_add block2d_add block3d_add "
            "block4f_add block5i_add block6o_add top_activation",
            layers=(4, 9, 26, 26, 88, 133, 223, 3, 4),
            stage_params=(744, 10_560, 305_280, 591_616, 930_480, 3_500_512, 14_659_368, 332_800, 1_281_000),
            file="efficientnet_v2/efficientnetv2-s.h5",
            hash="e1d88a8495beba45748fedd0cecbe016",
            dropout=0.2,
            pixels=BY_128,
        ),
        "efficientnet_v2_m": Variant(
            function="EfficientNetV2M",
            size=480,
            top1=85.3,
            params=54_431_388,
            madds=24_582_460_384,
            ends="stem_activation block1c_add block2e_add block3e_add "
            "block4g_add block5n_add block6r_add block7e_add top_activation",
            layers=(4, 14, 33, 33, 103, 208, 268, 73, 3, 4),
            stage_params=(
                744,
                15_840,
                398_400,
                1_129_792,
                1_705_220,
                6_714_532,
                24_766_264,
                17_759_116,
                660_480,
                1_281_000,
            ),
            file="efficientnet_v2/efficientnetv2-m.h5",
            hash="a3bf6aa3276309f4fc6a34aa114c95cd",
            dropout=0.2,
            pixels=BY_128,
        ),
        "efficientnet_v2_l": Variant(
            function="EfficientNetV2L",
            size=480,
            top1=85.7,
            params=119_027_848,
            madds=56_079_699_008,
            ends="stem_activation block1d_add block2g_add block3g_add "
            "block4j_add block5s_add block6y_add block7g_add top_activation",
            layers=(4, 19, 47, 47, 148, 283, 373, 103, 3, 4),
            stage_params=(
                992,
                37_376,
                1_036_544,
                2_396_800,
                3_586_248,
                14_611_616,
                55_112_120,
                40_140_832,
                824_320,
                1_281_000,
            ),
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
            params=28_589_128,
            madds=4_455_531_264,
            ends="convnext_tiny_stem_layernorm add_2 add_5 add_14 add_17",
            layers=(3, 21, 23, 65, 23, 4),
            stage_params=(4_896, 237_888, 992_256, 11_112_960, 15_470_592, 770_536),
            file="convnext/convnext_tiny.h5",
            hash="8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
        ),
        "convnext_small": Variant(
            function="ConvNeXtSmall",
            top1=82.3,
            params=50_223_688,
            madds=8_683_712_256,
            ends="convnext_small_stem_layernorm add_2 add_5 add_32 add_35",
            layers=(3, 21, 23, 191, 23, 4),
            stage_params=(4_896, 237_888, 992_256, 32_747_520, 15_470_592, 770_536),
            file="convnext/convnext_small.h5",
            hash="ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
        ),
        "convnext_base": Variant(
            function="ConvNeXtBase",
            top1=85.3,
            params=88_591_464,
            madds=15_354_729_472,
            ends="convnext_base_stem_layernorm add_2 add_5 add_32 add_35",
            layers=(3, 21, 23, 191, 23, 4),
            stage_params=(6_528, 415_488, 1_748_992, 57_950_208, 27_443_200, 1_027_048),
            file="convnext/convnext_base.h5",
            hash="52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
        ),
        "convnext_large": Variant(
            function="ConvNeXtLarge",
            top1=86.3,
            params=197_767_336,
            madds=34_361_433_600,
            ends="convnext_large_stem_layernorm add_2 add_5 add_32 add_35",
            layers=(3, 21, 23, 191, 23, 4),
            stage_params=(9_792, 918_144, 3_901_440, 129_785_856, 61_612_032, 1_540_072),
            file="convnext/convnext_large.h5",
            hash="070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
        ),
        "convnext_xlarge": Variant(
            function="ConvNeXtXLarge",
            top1=86.7,
            params=350_196_968,
            madds=60_921_030_656,
            ends="convnext_xlarge_stem_layernorm add_2 add_5 add_32 add_35",
            layers=(3, 21, 23, 191, 23, 4),
            stage_params=(13_056, 1_617_408, 6_905_856, 230_195_200, 109_412_352, 2_053_096),
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
    stages = ("stem", *(f"stage{number}" for number in range(1, len(variant.layers) - 1)), "head")
    files = ((family.options, variant.file, variant.hash), *variant.others)
    return Card(
        name=name,
        family=family.name,
        description=f"{variant.function} of keras.applications",
        input_shape=(variant.size, variant.size, 3),
        min_size=family.min_size,
        classes=1000,
        params=variant.params,
        madds=variant.madds,
        stages=tuple(
            Stage(name=stage, last_layer=end, layers=layers, params=params)
            for stage, end, layers, params in zip(
                stages, (*variant.ends.split(), ""), variant.layers, variant.stage_params, strict=True
            )
        ),
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
