"""MobileNet V1 to V3: separable convolutions for mobile hardware, at several widths."""

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import SYMMETRIC
from zoo.architectures.keras_applications.protocols import Measured, by_both_sides

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

FAMILIES = (MOBILENET, MOBILENET_V2, MOBILENET_V3)
