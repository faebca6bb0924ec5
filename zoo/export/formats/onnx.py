"""Writes model.onnx by tf2onnx, with what is known of the model in its metadata."""

from typing import Any

from zoo.export.formats.graph import serving_function, signature
from zoo.export.formats.onnx_operations import know_erfc
from zoo.export.formats.onnx_quantizing import quantized
from zoo.registry.exports import ExportRequest

# The latest that tf2onnx writes; ONNX Runtime reads it since 1.14.
OPSET = 18


def write_onnx(request: ExportRequest) -> None:
    """Writes the model.

    Raises:
        OSError: It cannot be written.
    """
    import onnx
    import tf2onnx.convert

    know_erfc()
    converted: Any
    converted, _ = tf2onnx.convert.from_function(
        serving_function(request.model), [signature(request.model)], opset=OPSET
    )
    if request.quantize is not None:
        converted = quantized(converted, request)
    for one in (*converted.graph.input, *converted.graph.output):
        one.type.tensor_type.shape.dim[0].dim_param = "n"  # tf2onnx numbers what is free
    converted.graph.name, converted.graph.doc_string = request.model.name, ""  # it counts functions there
    onnx.helper.set_model_props(converted, dict(request.metadata))
    converted.producer_name, converted.producer_version = "zoo", request.metadata["zoo"]
    onnx.checker.check_model(converted)
    onnx.save(converted, request.folder / "model.onnx")
