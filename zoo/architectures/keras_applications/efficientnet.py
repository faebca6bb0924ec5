"""EfficientNet B0 to B7 and EfficientNetV2: depth, width and input size that grow together.

B0 to B7 are another graph in Keras under `weights="imagenet"` than under `None`: the former divides the normalised
pixels by sqrt(standard deviation) once more. Here there is one graph, and that division is folded into the variances
that are loaded, see `fold_second_rescaling`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo.architectures.keras_applications.families import Family, Variant
from zoo.architectures.keras_applications.pixels import BY_128, IMAGENET, IMAGENET_STD, IN_THE_WEIGHTS
from zoo.architectures.keras_applications.protocols import Measured, by_a_margin, by_a_margin_or_whole

if TYPE_CHECKING:
    import numpy as np

EFFICIENTNET_URL = "https://storage.googleapis.com/keras-applications/"


def fold_second_rescaling(arrays: "Mapping[str, np.ndarray]") -> "dict[str, np.ndarray]":
    """Folds into the variances what Keras' graph for the `imagenet` weights divides by after normalising.

    (x - mean) / sqrt(variance) / sqrt(std) = (x - mean) / sqrt(variance * std).
    """
    import numpy as np

    folded = dict(arrays)
    variance = folded["normalization/variance"]
    folded["normalization/variance"] = variance * np.array(IMAGENET_STD, dtype=variance.dtype)
    return folded


EFFICIENTNET = Family(
    name="efficientnet",
    paper="https://arxiv.org/abs/1905.11946",
    pixels=IN_THE_WEIGHTS,
    dropout_layer="top_dropout",
    url=EFFICIENTNET_URL,
    convert=fold_second_rescaling,
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

FAMILIES = (EFFICIENTNET, EFFICIENTNET_V2)
