"""ConvNeXt: a ResNet brought up to the design of vision transformers."""

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import IMAGENET
from zoo.architectures.keras_applications.protocols import Measured, by_the_shorter_side

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

FAMILIES = (CONVNEXT,)
