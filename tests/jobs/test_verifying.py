"""`zoo.verify` of an export; of runs and what is shared see beside and tests/sharing/verification."""

import hashlib
from dataclasses import replace

import pytest

import zoo
from tests.inference.test_export_folder import DOCUMENT, MODEL
from zoo.inference.export_folder import write_document


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").write_bytes(MODEL)
    (tmp_path / "call.py").write_text("# mine")
    write_document(tmp_path, DOCUMENT)
    return tmp_path


def test_an_export_is_whole_whatever_was_made_of_its_call(folder):
    found = zoo.verify(folder)
    assert (found.what, found.is_whole, found.files) == ("export", True, 2)
    assert found.bytes == len(MODEL) + (folder / "export.json").stat().st_size


def test_a_damaged_file_and_a_damaged_document_are_named(folder):
    (folder / "model.onnx").write_bytes(b"another")
    (fault,) = zoo.verify(folder).faults
    assert fault.path == folder / "model.onnx" and "export.json" in fault.reason
    text = (folder / "export.json").read_text(encoding="utf-8")
    (folder / "export.json").write_text(text.replace("Hund", "Hond"), encoding="utf-8")
    (fault,) = zoo.verify(folder).faults
    assert fault.path == folder / "export.json" and fault.reason.startswith("was changed after it was written")


def test_what_export_json_does_not_list_is_named(folder):
    (folder / "weights.bin").write_bytes(b"more of the model")
    (folder / "predictions.jsonl").write_text("")
    found = zoo.verify(folder)
    assert found.is_whole
    assert found.notes == (f"{folder}/weights.bin: is not listed in export.json, and was not compared",)
    write_document(folder, replace(DOCUMENT, files={"weights.bin": hashlib.sha256(b"more of the model").hexdigest()}))
    (fault,) = zoo.verify(folder).faults
    assert str(fault) == f"{folder}/model.onnx: is not listed in export.json; expected its SHA-256"
    assert zoo.verify(folder).notes == ()
