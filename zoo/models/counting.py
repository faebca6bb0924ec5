"""How much a model computes."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def count_madds(model: "keras.Model") -> int:
    """Counts the multiply-adds of one forward pass of one image: kernels of convolutions and dense layers only.

    Bias, BatchNorm, activations and pooling are not counted, as is usual in papers that report multiply-adds.
    """
    total = 0
    for layer in model.layers:
        # A kernel is applied once at each position of the output map, a transposed one at each of the input map; a
        # dense layer's map has no positions.
        positions = (layer.input if "Transpose" in type(layer).__name__ else layer.output).shape[1:-1]
        kernels = (getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel"))
        total += sum(math.prod(kernel.shape) for kernel in kernels if kernel is not None) * math.prod(positions)
    return total
