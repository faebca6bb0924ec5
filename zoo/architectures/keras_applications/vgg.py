"""VGG: 3x3 convolutions in five blocks, and hidden dense layers."""

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import CAFFE

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

FAMILIES = (VGG,)
