"""ResNet and ResNet V2: residual blocks, and those with BatchNorm and ReLU before the convolutions."""

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import CAFFE, SYMMETRIC

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

FAMILIES = (RESNET, RESNET_V2)
