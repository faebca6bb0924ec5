"""Makes the numbers of an ONNX model smaller by ONNX Runtime's tools: int8 by ranges of training photos, or float16."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.registry.exports import PIXELS, ExportRequest


def quantized(model: Any, request: ExportRequest) -> Any:
    """Returns a model with smaller numbers: what it takes and gives stays as it was.

    Args:
        model: In float32.
        request: Says what its numbers become, and which layers stay in float32.
    """
    kept = nodes_of_layers(model, request.float_layers)
    return _to_float16(model, kept) if request.quantize == "float16" else _to_int8(model, kept, request)


def nodes_of_layers(model: Any, layers: Sequence[str]) -> list[str]:
    """Lists the nodes that layers of Keras became.

    Their names hold the layers', with a number behind; where tf2onnx made one of several it has a number alone, and
    its weights or what it gives have the name.
    """
    known = re.compile("|".join(rf"/{re.escape(layer)}(_\d+)?/" for layer in layers) or r"(?!)")
    weights = {one.name for one in model.graph.initializer}

    def is_of_them(node: Any) -> bool:
        names = (node.name, *node.output, *(name for name in node.input if name in weights))
        return any(known.search(f"/{name}/") for name in names)

    return [node.name for node in model.graph.node if is_of_them(node)]


def _to_int8(model: Any, kept: list[str], request: ExportRequest) -> Any:
    """Weights by channel and activations by tensor, as QDQ pairs, which other runtimes read too."""
    import onnx
    from onnxruntime import quantization

    class Photos(quantization.CalibrationDataReader):
        """Gives photos one by one, as ONNX Runtime's calibration asks for them."""

        def __init__(self) -> None:
            self._photos = iter(request.photos() if request.photos is not None else ())

        def get_next(self) -> Any:
            """Returns the next photos by the input's name; None at the end."""
            batch = next(self._photos, None)
            return None if batch is None else {PIXELS: batch}

    with_floats, with_bytes = (request.folder / name for name in ("float.onnx", "int8.onnx"))
    onnx.save(model, with_floats)
    try:
        quantization.quantize_static(
            with_floats,
            with_bytes,
            Photos(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # Weights of 7 bits: processors with AVX2 or AVX-512 and without VNNI add two products in 16 bits, and cut
            # off what is larger, in silence.
            # https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
            reduce_range=True,
            nodes_to_exclude=kept,
        )
        loaded = onnx.load(with_bytes)
        del loaded.metadata_props[:]  # what the tool notes for itself
        return loaded
    finally:
        for path in (with_floats, with_bytes):
            Path(path).unlink(missing_ok=True)


def _to_float16(model: Any, kept: list[str]) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    converted = convert_float_to_float16(model, keep_io_types=True, node_block_list=kept)
    OnnxModel(converted).topological_sort()  # casts beside nodes that are kept stand at the end
    return converted
