"""What `zoo export` takes and prints."""

import json
import signal
import time

import pytest

from tests.inference.test_export_folder import DOCUMENT
from tests.test_imports import HEAVY, command, modules_after
from tests.tiny import start
from zoo.inference.export_folder import write_document

EXPORT = "from zoo.cli import main; main()"


def test_it_prints_the_proof_what_was_written_how_to_call_it_and_last_the_folder(typed, trained, tmp_path):
    folder = tmp_path / "two words"
    code, out, err = typed("export", trained.run, "--to", "onnx", "--out", folder)
    assert code in (0, None)
    lines = out.splitlines()
    assert lines[0].startswith("proof     4 validation photos by onnxruntime ")
    assert "0 disagreements, probabilities within " in lines[0] and lines[0].endswith("(at most 1e-05)")
    assert lines[1].startswith("accuracy  ") and lines[1].endswith("%)")
    assert lines[2] == f"written   onnx, {(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB"
    assert lines[3:] == [f"call      python '{folder}/call.py' PHOTO", str(folder)]
    assert "writing model.onnx" in err


def test_an_export_in_the_place_of_a_run_is_called_one(typed, tmp_path):
    write_document(tmp_path, DOCUMENT)
    code, out, err = typed("export", tmp_path, "--to", "keras")
    assert (code, out) == (1, "")
    assert err == f"zoo: {tmp_path}: is an export already; expected the run that it was made of: 'pets'\n"


def test_json_is_the_document_with_the_folder(typed, trained, tmp_path):
    code, out, _ = typed("export", trained.run, "--to", "safetensors", "--out", tmp_path / "out", "--json")
    assert code in (0, None)
    printed = json.loads(out)
    written = json.loads((tmp_path / "out" / "export.json").read_text(encoding="utf-8"))
    assert printed.pop("out") == str(tmp_path / "out")
    assert printed == {key: value for key, value in written.items() if key not in ("sealed", "seal")}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("{run}", "--to", "onx"), 1, "Unknown export format 'onx'. Did you mean 'onnx'?"),
        (("{run}",), 2, "Missing option '--to'"),
        (("{tmp}", "--to", "onnx"), 1, "is not a run folder"),
        (("mnist_conv", "--to", "onnx"), 1, "mnist_conv: is a model, not a run; fine-tune it first"),
        (("{run}", "--to", "onnx", "--out", "{run}"), 1, "is there already, and is not an export of zoo"),
        (("{run}", "--to", "onnx", "--out", ""), 2, "the path is empty"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(typed, trained, tmp_path, words, code, says):
    found, _, err = typed("export", *(word.format(run=trained.run, tmp=tmp_path) for word in words))
    assert found == code
    assert says in err


def test_a_refusal_loads_neither_keras_nor_the_converters(tmp_path):
    for words in (("runs/nix", "--to", "onnx"), ("runs/nix", "--to", "onx")):
        loaded = {module.partition(".")[0] for module in modules_after(command("export", *words, code=1))}
        assert loaded.isdisjoint({*HEAVY, "onnx", "onnxruntime", "openvino", "ai_edge_litert"})


@pytest.mark.slow
def test_ctrl_c_in_the_proof_leaves_nothing(trained, tmp_path):
    with start(EXPORT, "export", trained.run, "--to", "keras", "--out", tmp_path / "exports" / "out") as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "writing model.keras" in line:
                break
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("exports/.out.*/call.py")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "zoo: interrupted" in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
