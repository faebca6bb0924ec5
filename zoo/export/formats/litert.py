"""Writes model.tflite by TensorFlow's converter, with what is known of the model in files that are zipped behind it."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.backend.keras_internals.experimental import quantized_but
from zoo.export.formats.graph import concrete_function, holder_of
from zoo.export.formats.litert_metadata import LABELS, with_metadata
from zoo.registry.exports import ExportRequest
from zoo.system.files import write_atomic

# Any: equal models give equal files.
_WHEN = (1980, 1, 1, 0, 0, 0)


def write_litert(request: ExportRequest) -> None:
    """Writes the model.

    Raises:
        OSError: It cannot be written.
    """
    shape, name = request.model.input_shape[1:], request.metadata.get("model", request.model.name)
    model = with_metadata(_converted(request), name, shape, request.classes, request.metadata)
    write_atomic(request.folder / "model.tflite", with_files(model, request.classes, request.metadata))


def _converted(request: ExportRequest) -> bytes:
    import tensorflow as tf

    traced = concrete_function(request.model)
    converter: Any = tf.lite.TFLiteConverter.from_concrete_functions([traced], holder_of(request.model))
    if request.quantize is None:
        return converter.convert()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if request.quantize == "float16":  # of numbers at rest: LiteRT computes with them in float32
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
    converter.representative_dataset = lambda: ([photo] for photo in (request.photos or tuple)())
    if not request.float_layers:
        return converter.convert()
    return quantized_but(converter, _tensors_of_layers(request))


def _tensors_of_layers(request: ExportRequest) -> list[str]:
    """Lists what the layers that stay in float32 give: the names of tensors hold the layers', with a number behind."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    traced = concrete_function(request.model)
    converter: Any = tf.lite.TFLiteConverter.from_concrete_functions([traced], holder_of(request.model))
    known = re.compile("|".join(rf"/{re.escape(layer)}(_\d+)?/" for layer in request.float_layers))
    details = Interpreter(model_content=converter.convert()).get_tensor_details()
    return [tensor["name"] for tensor in details if known.search(tensor["name"])]


def with_files(model: bytes, classes: Sequence[str], metadata: Mapping[str, str]) -> bytes:
    """Zips files behind a model, where LiteRT's tools look for them; its runtime reads the model before them.

    https://ai.google.dev/edge/litert/conversion/tensorflow/metadata: `unzip model.tflite labels.txt` takes one out.
    """
    packed = io.BytesIO(model)
    with zipfile.ZipFile(packed, "a") as archive:
        labels = {LABELS: "".join(f"{name}\n" for name in classes)}
        for name, text in (labels | {f"{name}.txt": text for name, text in metadata.items()}).items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), text)
    return packed.getvalue()
