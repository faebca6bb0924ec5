"""Writes model.xml and model.bin by OpenVINO's converter, with what is known of the model in rt_info."""

import importlib
from typing import Any

from zoo.export.formats.graph import concrete_function
from zoo.registry.exports import PIXELS, PROBABILITIES, ExportRequest


def write_openvino(request: ExportRequest) -> None:
    """Writes the model, by the parts that `openvino.convert_model` has inside: that one reports its use over a net.

    https://docs.openvino.ai/2025/about-openvino/additional-resources/telemetry.html

    Raises:
        OSError: It cannot be written.
    """
    openvino: Any = importlib.import_module("openvino")
    frontends: Any = importlib.import_module("openvino.frontend")
    iterators: Any = importlib.import_module("openvino.frontend.tensorflow.graph_iterator")
    graph = iterators.GraphIteratorTFGraph(concrete_function(request.model).graph, False)
    frontend = frontends.FrontEndManager().load_by_framework("tf")
    loaded = frontend.load(graph)
    converted = frontend.convert(loaded)
    converted.inputs[0].set_names({PIXELS})
    converted.outputs[0].set_names({PROBABILITIES})
    for name, text in request.metadata.items():
        converted.set_rt_info(text, ["zoo", name])
    # Whatever the file says, OpenVINO computes in bfloat16 where the processor can: `open_model` tells it not to.
    openvino.save_model(converted, request.folder / "model.xml", compress_to_fp16=request.quantize == "float16")
