"""DenseNet: each layer of a block sees the maps of all before it."""

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import IMAGENET

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

FAMILIES = (DENSENET,)
