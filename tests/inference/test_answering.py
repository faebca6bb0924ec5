"""What answers is looked at like a stranger's: another number of classes, or NaN, is not an answer."""

import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.inference.test_export_folder import DOCUMENT
from zoo.errors import ZooError
from zoo.inference.answering import open_answerer
from zoo.inference.export_folder import ExportInput, write_document

PHOTOS = [np.zeros((8, 8, 3), np.uint8)] * 2


def write(folder, *, outputs=3, weight=1.0, kind=TensorProto.FLOAT, single=False):
    """Writes an export by hand: a softmax over sums of the mean colour."""
    picked = np.array(0) if single else np.arange(outputs)
    numbers = {"w": np.full((3, outputs), weight, np.float32), "axes": np.array([1, 2]), "picked": picked}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["shares"], axis=-1),
        helper.make_node("Gather", ["shares", "picked"], ["kept"], axis=1),
        helper.make_node("Cast", ["kept"], ["probabilities"], to=kind),
    ]
    taken = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 8, 8, 3])
    given = helper.make_tensor_value_info("probabilities", kind, None)
    weights = [numpy_helper.from_array(value, name) for name, value in numbers.items()]
    graph = helper.make_graph(nodes, "net", [taken], [given], weights)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), folder / "model.onnx"
    )
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    write_document(folder, replace(DOCUMENT, files={"model.onnx": digest}, input=ExportInput(shape=(8, 8, 3))))
    return folder


def test_an_export_by_hand_answers(tmp_path):
    predictions = open_answerer(write(tmp_path)).predict(PHOTOS)
    assert [one.probabilities for one in predictions] == [pytest.approx(dict.fromkeys(DOCUMENT.classes, 1 / 3))] * 2


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"outputs": 4}, "gives float32[2, 4]; expected float32[2, 3], a probability for each class"),
        ({"outputs": 2}, "gives float32[2, 2]; expected float32[2, 3], a probability for each class"),
        ({"single": True}, "gives float32[2]; expected float32[2, 3]"),
        ({"kind": TensorProto.INT64}, "gives int64[2, 3]; expected float32[2, 3]"),
        ({"kind": TensorProto.STRING}, "gives object[2, 3]; expected float32[2, 3]"),
        ({"weight": np.nan}, "gives NaN or infinite numbers; expected float32[2, 3], a probability for each class"),
    ],
)
def test_what_cannot_be_probabilities_is_refused_in_a_line(tmp_path, how, says):
    answerer = open_answerer(write(tmp_path, **how))
    with pytest.raises(ZooError) as refused:
        answerer.predict(PHOTOS)
    text = str(refused.value)
    assert text.startswith(f"{tmp_path}: its model {says}") and text.endswith("export the run anew with 'zoo export'")
    assert "\n" not in text
