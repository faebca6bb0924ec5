"""Writes model.tflite by TensorFlow's converter, with what is known of the model in files that are zipped behind it."""

import io
import zipfile
from collections.abc import Mapping, Sequence

from zoo.export.formats.graph import concrete_function, holder_of
from zoo.registry.exports import ExportRequest
from zoo.system.files import write_atomic

LABELS = "labels.txt"
# Any: equal models give equal files.
_WHEN = (1980, 1, 1, 0, 0, 0)


def write_litert(request: ExportRequest) -> None:
    """Writes the model.

    Raises:
        OSError: It cannot be written.
    """
    import tensorflow as tf

    traced = concrete_function(request.model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], holder_of(request.model))
    converted: bytes = converter.convert()
    write_atomic(request.folder / "model.tflite", with_files(converted, request.classes, request.metadata))


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
