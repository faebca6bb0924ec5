"""NASNet: cells that were found by search."""

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import SYMMETRIC

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

FAMILIES = (NASNET,)
