"""Each format of a tiny trained run, by the format's own runtime beside Keras, and what is refused."""

import errno
import json
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import tensorflow as tf
import tf2onnx
from ai_edge_litert.interpreter import Interpreter

import zoo
from tests.modules import module
from tests.tiny import environment, phase, pixels, recipe, write_npz, write_photos, write_run
from zoo.errors import NotFoundError, RunError, ZooError
from zoo.export.exporting import export_run
from zoo.export.writing import described, write_export
from zoo.inference.export_folder import read_export
from zoo.models.saving import read_card
from zoo.registry.exports import EXPORTS, ExportFormat
from zoo.runs.folder import RunFolder
from zoo.system.files import sha256

# Those whose runtime is not TensorFlow, and the others.
OTHERS, TENSORFLOWS = ("onnx", "litert", "openvino", "safetensors"), ("saved_model", "keras")


@pytest.fixture(scope="module")
def exports(finished, tmp_path_factory):
    """The run in each format, its proof left to the tests of the proof."""
    folder = tmp_path_factory.mktemp("exports")
    classifier = zoo.load(finished.run.path)
    document = RunFolder(finished.run.path)
    for name in (*OTHERS, *TENSORFLOWS):
        (folder / name).mkdir()
        row = EXPORTS.lookup(name)
        write_export(folder / name, row, classifier.model, described(document, classifier.model, row))
    return folder


@pytest.fixture(scope="module")
def images():
    found, _ = pixels(7, seed=5)
    return found[..., None]


@pytest.fixture(scope="module")
def by_keras(finished, images):
    return np.asarray(zoo.load(finished.run.path).model(images, training=False))


@pytest.fixture
def table():
    """The table of formats, put back as it was."""
    before = dict(EXPORTS._rows)
    yield EXPORTS
    EXPORTS._rows.clear()
    EXPORTS._rows.update(before)


@pytest.mark.parametrize("name", [name for name in (*OTHERS, *TENSORFLOWS) if name != "safetensors"])
def test_its_own_runtime_gives_what_keras_gives_for_any_number_of_images(exports, name, images, by_keras):
    compute = read_export(exports / name).open(threads=1)
    for count in (7, 1, 3, 3):
        found = compute(images[:count])
        assert (found.dtype, found.shape) == (np.float32, (count, 2))
        np.testing.assert_allclose(found, by_keras[:count], atol=1e-6)


def test_what_zoo_opens_itself_gives_the_same_bits(exports, images, by_keras):
    loaded = zoo.load(exports / "safetensors")
    assert loaded.classes == ("cat", "dog")
    np.testing.assert_array_equal(loaded.model(images, training=False), by_keras)


@pytest.mark.parametrize("name", [*OTHERS, *TENSORFLOWS])
def test_the_document_says_what_the_run_is(exports, finished, name):
    document = read_export(exports / name).document
    assert (document.format, document.quantize, document.in_float) == (name, None, ())
    assert (document.model, document.classes, document.input.shape) == ("mnist_conv", ("cat", "dog"), (28, 28, 1))
    assert document.weights == sha256(finished.run.path / "model" / "model.safetensors")
    assert document.recipe == sha256(finished.run.path / "recipe.toml")
    assert (document.run, document.licence, document.zoo) == ("run", None, zoo.__version__)
    assert document.image_fit == read_card(finished.run.path / "model").blueprint.fit
    row = EXPORTS.lookup(name)
    assert set(document.packages) >= {"keras", "numpy", "pillow", *row.runs_with}
    on_disk = {path.relative_to(exports / name).as_posix() for path in (exports / name).rglob("*") if path.is_file()}
    assert on_disk == {*document.files, "export.json", "call.py", "requirements.txt"}
    assert {file.split("/")[0] for file in document.files} == set(row.files)


def test_onnx_says_it_in_its_metadata_and_by_names(exports):
    model = onnx.load(exports / "onnx" / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == ["cat", "dog"]
    assert json.loads(said["fit"]) == {"resize": "crop", "crop_share": 1.0, "interpolation": "bilinear", "white": 0}
    assert (said["run"], said["model"], said["zoo"]) == ("run", "mnist_conv", zoo.__version__)
    (taken,), (given,) = model.graph.input, model.graph.output
    assert (taken.name, given.name) == ("pixels", "probabilities")
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [one.dim_param or one.dim_value for one in taken.type.tensor_type.shape.dim] == ["n", 28, 28, 1]
    assert [one.dim_param or one.dim_value for one in given.type.tensor_type.shape.dim] == ["n", 2]


def test_litert_has_its_labels_where_its_tools_look(exports):
    with zipfile.ZipFile(exports / "litert" / "model.tflite") as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
        assert archive.read("model.txt") == b"mnist_conv"
    interpreter = Interpreter(str(exports / "litert" / "model.tflite"))
    signature = interpreter.get_signature_list()["serving_default"]
    assert signature == {"inputs": ["pixels"], "outputs": ["probabilities"]}


def test_openvino_says_it_in_its_rt_info_and_by_names(exports):
    model = openvino.Core().read_model(exports / "openvino" / "model.xml")
    assert json.loads(model.get_rt_info(["zoo", "classes"]).astype(str)) == ["cat", "dog"]
    assert model.get_rt_info(["zoo", "run"]).astype(str) == "run"
    assert ([one.get_any_name() for one in model.inputs], [one.get_any_name() for one in model.outputs]) == (
        ["pixels"],
        ["probabilities"],
    )


def test_a_saved_model_has_the_signature_that_tensorflow_serving_asks_for(exports):
    loaded = tf.saved_model.load(str(exports / "saved_model" / "saved_model"))
    signature = loaded.signatures["serving_default"]
    assert signature.structured_input_signature[1] == {"pixels": tf.TensorSpec((None, 28, 28, 1), tf.uint8, "pixels")}
    assert {name: one.dtype for name, one in signature.structured_outputs.items()} == {"probabilities": tf.float32}
    extra = exports / "saved_model" / "saved_model" / "assets.extra"
    assert json.loads((extra / "classes.txt").read_text(encoding="utf-8")) == ["cat", "dog"]


def test_the_same_run_gives_the_same_bytes(exports, finished, tmp_path):
    model, row = zoo.load(finished.run.path).model, EXPORTS.lookup("litert")
    document = write_export(tmp_path, row, model, described(RunFolder(finished.run.path), model, row))
    assert document.files == read_export(exports / "litert").document.files


@pytest.mark.parametrize(
    "name",
    [
        "onnx",
        "safetensors",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("litert", "openvino", *TENSORFLOWS)),
    ],
)
def test_a_run_is_exported_and_proved_on_the_photos_that_validated(finished, name, tmp_path):
    made = export_run(finished.run.path, name, out=tmp_path / "out")
    assert made.path == tmp_path / "out"
    read = read_export(made.path)
    read.verify()
    assert read.document == made.document
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    if name == "safetensors":
        assert made.document.proof is None
        return
    proof = made.document.proof
    assert (proof.photos, proof.disagreements) == (10, 0)
    assert proof.largest_difference <= 1e-6
    assert proof.accuracy == proof.accuracy_of_keras == finished.run.metrics["accuracy"]
    assert len((made.path / "predictions.jsonl").read_text().splitlines()) == 10


@pytest.mark.slow
def test_a_converter_leaves_no_handler_of_logs_behind(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    model, row = zoo.load(finished.run.path).model, EXPORTS.lookup("litert")
    write_export(tmp_path, row, model, described(RunFolder(finished.run.path), model, row))
    assert logging.root.handlers == []


def test_a_run_in_bfloat16_is_exported_in_float32(tmp_path, images):
    tiny = recipe(phase("head", "head", epochs=1), model="mnist_conv_tiny", train={"precision": "mixed_bfloat16"})
    run = zoo.finetune(tiny, write_npz(tmp_path / "images.npz", count=16), run=tmp_path / "run", verbose=0)
    assert read_card(run.path / "model").precision == "mixed_bfloat16"
    made = export_run(run.path, "onnx", out=tmp_path / "out")
    assert made.document.proof.largest_difference <= 1e-6
    saved = zoo.build("mnist_conv_tiny", weights=run.path / "model" / "model.safetensors", classes=("cat", "dog"))
    expected = np.asarray(saved(images, training=False))
    np.testing.assert_allclose(read_export(made.path).open()(images), expected, atol=1e-6)


def test_the_default_folder_is_below_exports(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export_run(trained.run, "safetensors").path.as_posix() == "exports/run-safetensors"
    assert (tmp_path / "exports" / "run-safetensors" / "card.json").is_file()


def test_an_earlier_export_is_replaced_and_another_folder_is_not(trained, tmp_path):
    export_run(trained.run, "safetensors", out=tmp_path / "out")
    export_run(trained.run, "onnx", out=tmp_path / "out")
    assert not (tmp_path / "out" / "card.json").exists()
    with pytest.raises(RunError, match="is there already, and is not an export of zoo"):
        export_run(trained.run, "onnx", out=trained.run)


def test_a_run_that_is_not_finished_is_refused_with_what_goes_on_with_it(tmp_path):
    run = write_run(str(tmp_path / "run"), recipe(), "interrupted")
    with pytest.raises(NotFoundError, match=r"holds no finished model \(status interrupted\).*zoo finetune --run"):
        export_run(run, "onnx", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_format_that_is_not_there_is_refused_first(tmp_path):
    with pytest.raises(NotFoundError, match="Unknown export format 'tflite'"):
        export_run(tmp_path / "nowhere", "tflite")


def _full(request):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _interrupted(request):
    (request.folder / "half.bin").write_text("half")
    raise KeyboardInterrupt


def _broken(request):
    raise KeyError("pixels")


def _forgetful(request):
    (request.folder / "other.bin").write_text("other")


@pytest.mark.parametrize(
    ("write", "fault", "says"),
    [
        (_full, OSError, r"No space left on device \([\d,]+ bytes needed, [\d,]+ free\)"),
        (_interrupted, KeyboardInterrupt, None),
        (_broken, ZooError, r"export format 'half' \(tests\..*\): its writer fails: KeyError: 'pixels'"),
        (_forgetful, ZooError, r"export format 'half' \(tests\..*\): wrote no half\.bin"),
    ],
)
def test_nothing_is_left_of_an_export_that_fails(trained, tmp_path, table, write, fault, says):
    table.register(ExportFormat(name="half", summary="half", files=("half.bin",), build=write))
    (tmp_path / "exports").mkdir()
    with pytest.raises(fault, match=says):
        export_run(trained.run, "half", out=tmp_path / "exports" / "deep" / "out")
    assert list((tmp_path / "exports").iterdir()) == []


def test_an_operation_that_a_format_does_not_have_is_named_with_the_other_formats(finished, tmp_path):
    import keras

    class Foreign(keras.layers.Layer):
        def call(self, x):
            return tf.ensure_shape(tf.py_function(lambda one: one, [x], tf.float32), x.shape)

    pixels_in = keras.Input((28, 28, 1), dtype="float32")
    probabilities = keras.layers.Softmax()(keras.layers.Dense(2)(keras.layers.Flatten()(Foreign()(pixels_in))))
    row = EXPORTS.lookup("litert")
    document = described(RunFolder(finished.run.path), zoo.load(finished.run.path).model, row)
    with pytest.raises(ZooError, match=r"^format 'litert' cannot hold this model: .*; expected another of saved_model"):
        write_export(tmp_path, row, keras.Model(pixels_in, probabilities), document)


def test_a_gelu_is_written_although_tf2onnx_does_not_know_tensorflows_erfc(finished, tmp_path):
    import keras

    known = [path.read_text(encoding="utf-8") for path in Path(tf2onnx.__file__).parent.rglob("*.py")]
    assert not any('"Erfc"' in text for text in known), "tf2onnx knows it: zoo/export/formats/onnx_operations.py may go"
    pixels_in = keras.Input((28, 28, 1), dtype="float32")
    scaled = keras.layers.Rescaling(8 / 255, offset=-4)(pixels_in)  # from where GELU is 0 to where it is x
    probabilities = keras.layers.Softmax()(keras.layers.Dense(2)(keras.layers.Flatten()(keras.ops.gelu(scaled, False))))
    model, row = keras.Model(pixels_in, probabilities), EXPORTS.lookup("onnx")
    document = described(RunFolder(finished.run.path), zoo.load(finished.run.path).model, row)
    write_export(tmp_path, row, model, document)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    np.testing.assert_allclose(read_export(tmp_path).open()(images), model(images), atol=1e-6)


@pytest.fixture(scope="module")
def hub_run(tmp_path_factory):
    """A run whose graph holds a SavedModel."""
    folder = tmp_path_factory.mktemp("hub")
    zoo.trust(module())
    plan = recipe(phase("head", "head", epochs=1), model="mnist_conv")
    words = {"model.name": "tfhub", "model.weights": "default", "model.handle": str(module())}
    return zoo.finetune(plan, write_photos(folder / "photos"), words, run=folder / "run", verbose=0).path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert", "openvino", "saved_model"])
def test_a_run_of_a_saved_model_is_exported_too(hub_run, name, tmp_path):
    proof = export_run(hub_run, name, out=tmp_path / "out").document.proof
    assert proof.disagreements == 0 and proof.largest_difference <= 1e-6


@pytest.mark.slow
def test_keras_own_file_holds_no_saved_model(hub_run, tmp_path):
    with pytest.raises(ZooError, match=r"^format 'keras' cannot hold this model: .*SavedModelLayer"):
        export_run(hub_run, "keras", out=tmp_path / "out")


ON_JAX = """
import sys, zoo
from zoo.registry.exports import EXPORTS
for name in EXPORTS.names():
    try:
        print(name, zoo.export_run(sys.argv[1], name, out=f"{sys.argv[2]}/{name}").document.format)
    except zoo.ZooError as fault:
        print(name, "refused:", fault)
"""


@pytest.mark.slow
def test_on_jax_what_is_written_from_tensorflows_graph_is_refused_with_what_to_type(trained, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", ON_JAX, trained.run, tmp_path],
        env=environment(KERAS_BACKEND="jax"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = dict(line.split(" ", 1) for line in ended.stdout.splitlines())
    assert lines["onnx"] == (
        "refused: format 'onnx' is written from TensorFlow's graph, and Keras' backend is jax; the same run can be "
        "exported with it: KERAS_BACKEND=tensorflow zoo export ..."
    )
    assert [name for name, line in lines.items() if line.startswith("refused")] == [
        "saved_model",
        "onnx",
        "litert",
        "openvino",
    ]
    assert (lines["keras"], lines["safetensors"]) == ("keras", "safetensors")
