"""How much a model computes."""

import math
from typing import TYPE_CHECKING, Any

from zoo.freezing.plans import is_trained

if TYPE_CHECKING:
    import keras


def count_madds(model: "keras.Model") -> int:
    """Counts the multiply-adds of one forward pass of one image: kernels of convolutions and dense layers only.

    Bias, BatchNorm, activations and pooling are not counted, as is usual in papers that report multiply-adds.
    """
    return sum(map(_madds_of, model.layers))


def count_training_madds(model: "keras.Model") -> int | None:
    """Counts the multiply-adds of training on one image; None where a layer computes what is not counted.

    A layer that trains takes three times its forward pass, for the gradients of its input and of its weights; a frozen
    one takes the forward pass only. What an implementation computes again is not counted: the convention of model FLOPs
    in Chowdhery et al. 2022 (PaLM, arXiv:2204.02311), appendix B.

    Args:
        model: What is run for each image, frozen as it is trained; without the layers whose output is kept.
    """
    if not all(map(_is_counted, model.layers)):
        return None
    return sum((3 if is_trained(layer) else 1) * _madds_of(layer) for layer in model.layers)


def _madds_of(layer: Any) -> int:
    # A kernel is applied once at each position of the output map, a transposed one at each of the input map; a
    # dense layer's map has no positions.
    kernels = _kernels(layer)
    if not kernels:
        return 0
    positions = (layer.input if "Transpose" in type(layer).__name__ else layer.output).shape[1:-1]
    return sum(math.prod(kernel.shape) for kernel in kernels) * math.prod(positions)


def _kernels(layer: Any) -> list[Any]:
    kernels = (getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel"))
    return [kernel for kernel in kernels if kernel is not None]


def _is_counted(layer: Any) -> bool:
    """Returns whether all that a layer multiplies by is a kernel, or as small as a bias or a scale."""
    kernels = {id(kernel) for kernel in _kernels(layer)}
    return all(
        id(weight) in kernels or max(weight.shape, default=1) == math.prod(weight.shape) for weight in layer.weights
    )
