"""The formats that zoo exports to, as rows of the open table. A row's writer is imported when it writes."""

from zoo.registry.exports import EXPORTS, ExportFormat, ExportRequest


def _saved_model(request: ExportRequest) -> None:
    from zoo.export.formats.saved_model import write_saved_model

    write_saved_model(request)


def _onnx(request: ExportRequest) -> None:
    from zoo.export.formats.onnx import write_onnx

    write_onnx(request)


def _litert(request: ExportRequest) -> None:
    from zoo.export.formats.litert import write_litert

    write_litert(request)


def _openvino(request: ExportRequest) -> None:
    from zoo.export.formats.openvino import write_openvino

    write_openvino(request)


def _keras(request: ExportRequest) -> None:
    from zoo.export.formats.keras import write_keras

    write_keras(request)


def _safetensors(request: ExportRequest) -> None:
    from zoo.export.formats.safetensors import write_safetensors

    write_safetensors(request)


_EXTRA = "export"
_RUNTIMES = "zoo.inference.runtimes"
for _row in (
    ExportFormat(
        name="saved_model",
        summary="TensorFlow's SavedModel, for TensorFlow Serving and TensorFlow itself",
        files=("saved_model",),
        runtime=f"{_RUNTIMES}.saved_model",
        writes_with=("tensorflow",),
        runs_with=("tensorflow",),
        is_program=True,
        build=_saved_model,
    ),
    ExportFormat(
        name="onnx",
        summary="ONNX, for ONNX Runtime and much else",
        files=("model.onnx",),
        runtime=f"{_RUNTIMES}.onnx",
        writes_with=("tensorflow", "onnx", "tf2onnx"),
        runs_with=("onnxruntime",),
        extra=_EXTRA,
        quantizes=("int8", "float16"),
        build=_onnx,
    ),
    ExportFormat(
        name="litert",
        summary="LiteRT (TensorFlow Lite), for phones, small machines and quick starts",
        files=("model.tflite",),
        runtime=f"{_RUNTIMES}.litert",
        writes_with=("tensorflow",),
        runs_with=("ai-edge-litert",),
        extra=_EXTRA,
        quantizes=("int8", "float16"),
        build=_litert,
    ),
    ExportFormat(
        name="openvino",
        summary="OpenVINO's IR, for Intel's processors and OpenVINO Model Server",
        files=("model.xml", "model.bin"),
        runtime=f"{_RUNTIMES}.openvino",
        writes_with=("tensorflow", "openvino"),
        runs_with=("openvino",),
        extra=_EXTRA,
        quantizes=("float16",),
        build=_openvino,
    ),
    ExportFormat(
        name="keras",
        summary="Keras' own file, for programs that train on",
        files=("model.keras",),
        runtime=f"{_RUNTIMES}.keras",
        runs_with=("keras", "tensorflow"),
        is_program=True,  # layers of any class are built as the file says, whatever safe_mode leaves out
        build=_keras,
    ),
    ExportFormat(
        name="safetensors",
        summary="numbers without code, for zoo.load and others that read safetensors",
        files=("model.safetensors", "card.json"),
        build=_safetensors,
    ),
):
    EXPORTS.register(_row)
