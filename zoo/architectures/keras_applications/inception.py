"""Inception V3, Inception-ResNet V2 and Xception: blocks of parallel convolutions, then of separable ones."""

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import SYMMETRIC

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

FAMILIES = (INCEPTION_V3, INCEPTION_RESNET_V2, XCEPTION)
