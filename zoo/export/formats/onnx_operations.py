"""Operations that tf2onnx does not know, as others that ONNX has.

TensorFlow computes GELU by erfc, which neither tf2onnx nor ONNX has: nets with it, such as ConvNeXt, would not be
converted. https://github.com/onnx/tensorflow-onnx/pull/2463
"""

from functools import cache
from typing import Any

import numpy as np

# Of ONNX, the first that has Erf.
_SINCE = 9


@cache
def know_erfc() -> None:
    """Lets tf2onnx write erfc(x) as 1 - erf(x), where it does not know better."""
    from tf2onnx.handler import tf_op

    if any("Erfc" in known for known in tf_op.get_opsets().get("", [])):
        return

    def write(context: Any, node: Any, **_: Any) -> None:
        (given,), (name,) = node.input, node.output
        how = {"dtypes": [context.get_dtype(name)], "shapes": [context.get_shape(name)]}
        one = context.make_const(f"{node.name}/one", np.float32(1).reshape(()))
        error_function = context.make_node("Erf", [given], **how)
        context.remove_node(node.name)
        context.make_node("Sub", [one.output[0], error_function.output[0]], name=node.name, outputs=[name], **how)

    tf_op.register_handler(write, _SINCE, ["Erfc"], "", {})
