"""`zoo.verify` of an export; of runs and what is shared see beside and tests/sharing/verification."""

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
