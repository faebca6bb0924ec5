import hashlib
import json
import os
from dataclasses import replace

import pytest

from zoo.errors import NotFoundError, RunError
from zoo.inference.export_folder import (
    ExportDocument,
    ExportFit,
    ExportInput,
    Proof,
    is_export,
    read_export,
    write_document,
)
from zoo.registry.fitting import ImageFit
from zoo.system.sealing import sealed

FIT = ImageFit(resize="stretch", crop_share=0.875, interpolation="bicubic", white=4095)
MODEL = b"the model"
DOCUMENT = ExportDocument(
    format="onnx",
    files={"model.onnx": hashlib.sha256(MODEL).hexdigest()},
    model="mnist_conv",
    classes=("cat", "Hund", "鳥"),
    input=ExportInput(shape=(32, 24, 3)),
    fit=ExportFit.of(FIT),
    weights="0a" * 32,
    recipe=None,
    run="pets",
    licence="Apache-2.0",
    zoo="0.1.0",
    packages={"onnxruntime": "1.32.0"},
    proof=Proof(
        photos=8,
        disagreements=0,
        largest_difference=3e-8,
        accuracy=0.75,
        accuracy_of_keras=0.75,
        tolerance=1e-5,
        runtime="onnxruntime 1.32.0",
    ),
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").write_bytes(MODEL)
    write_document(tmp_path, DOCUMENT)
    return tmp_path


def plain():
    return {"schema": 1, "kind": "export", **DOCUMENT.to_json()}


def test_what_is_written_is_read_back(folder):
    read = read_export(folder)
    assert read.document == DOCUMENT
    assert read.document.image_fit == FIT
    assert read.row.name == "onnx"
    read.verify()
    assert is_export(folder)


def test_the_keys_are_those_that_the_page_lists(folder):
    keys = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    assert list(keys) == [
        *("schema", "kind", "sealed", "format", "quantize", "in_float", "files", "model", "classes", "input", "output"),
        *("fit", "weights", "recipe", "run", "licence", "zoo", "packages", "proof", "seal"),
    ]
    assert keys["input"] == {"name": "pixels", "shape": [32, 24, 3], "dtype": "uint8"}
    assert keys["output"] == {"name": "probabilities", "dtype": "float32"}
    assert keys["fit"] == {"resize": "stretch", "crop_share": 0.875, "interpolation": "bicubic", "white": 4095}


def test_a_folder_without_the_document_is_not_an_export(tmp_path):
    with pytest.raises(NotFoundError) as refused:
        read_export(tmp_path)
    assert str(refused.value) == f"{tmp_path}: is not an export (no export.json in it); make one with 'zoo export'"
    assert not is_export(tmp_path)


def test_a_flipped_bit_is_noticed(folder):
    path = folder / "export.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"Hund"', '"Hond"'), encoding="utf-8")
    with pytest.raises(RunError, match=r"export\.json: was changed after it was written.*export the run anew"):
        read_export(folder)


def test_a_document_without_a_seal_is_refused(folder):
    (folder / "export.json").write_text(json.dumps(plain()), encoding="utf-8")
    with pytest.raises(RunError, match=r"export\.json: has no seal; expected what zoo wrote"):
        read_export(folder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": 2}, "schema is 2; expected 1; use a newer zoo"),
        ({"kind": "card"}, "kind is 'card'; expected 'export'"),
        ({"classes": ["cat"]}, "classes has 1 names; expected 2 to 1,000,000"),
        ({"classes": ["cat", "cat"]}, "classes holds 'cat' twice"),
        ({"classes": ["cat", "dog\x1b[2J"]}, "expected names that any line can show"),
        ({"classes": "cat"}, "classes is 'cat'; expected a list"),
        ({"format": "on\nnx"}, "expected a name"),
        ({"input": {"name": "pixels", "shape": [32, 24], "dtype": "uint8"}}, "expected height, width, and 1 or 3"),
        ({"input": {"name": "pixels", "shape": [32, 24, 4], "dtype": "uint8"}}, "expected height, width, and 1 or 3"),
        ({"input": {"name": "pixels", "shape": [9000, 9000, 3], "dtype": "uint8"}}, "expected at most 8192 a side"),
        ({"input": {"name": "pixels", "shape": [-1, 24, 3], "dtype": "uint8"}}, "expected positive whole numbers"),
        ({"input": {"name": "pixels", "shape": [32, 24, 3], "dtype": "float32"}}, "expected uint8 pixels"),
        ({"output": {"name": "logits", "dtype": "float32"}}, "expected uint8 pixels and float32 probabilities"),
        ({"fit": {**ExportFit.of(FIT).to_json(), "resize": "squash"}}, "data.resize is 'squash'"),
        ({"fit": {**ExportFit.of(FIT).to_json(), "crop_share": 0.01}}, "data.crop_share is 0.01"),
        ({"files": {}}, "files has 0 entries; expected 1 to 1,000"),
        ({"files": {f"{number}.bin": "0a" * 32 for number in range(1001)}}, "files has 1,001 entries"),
        ({"files": {"model.onnx": "0a"}}, "has a hash that is not one"),
        ({"weights": "x" * 64}, "has a hash that is not one"),
        ({"proof": {**DOCUMENT.proof.to_json(), "photos": "many"}}, "proof.photos is 'many'; expected a whole number"),
        ({"packages": {"numpy": 2}}, "packages.numpy is 2; expected text"),
    ],
)
def test_a_value_that_zoo_would_not_write_is_refused_by_its_key(folder, changes, says):
    (folder / "export.json").write_text(sealed({**plain(), **changes}), encoding="utf-8")
    with pytest.raises(RunError) as refused:
        read_export(folder)
    assert str(refused.value).startswith(f"{folder / 'export.json'}: ")
    assert says in str(refused.value)


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a//b", "a/./b", "a\\b", "C:model", "", "."])
def test_a_file_outside_the_folder_is_refused(folder, name):
    (folder / "export.json").write_text(sealed({**plain(), "files": {name: "0a" * 32}}), encoding="utf-8")
    with pytest.raises(RunError, match="expected paths below the folder"):
        read_export(folder)


def test_a_key_of_a_newer_zoo_is_passed_over(folder):
    (folder / "export.json").write_text(sealed({**plain(), "thanks": "to all"}), encoding="utf-8")
    assert read_export(folder).document.unknown == {"thanks": "to all"}


def test_a_document_that_is_too_large_is_not_read(folder):
    with (folder / "export.json").open("ab") as file:
        file.truncate(20_000_000)
    with pytest.raises(RunError, match=r"holds 20,000,000 bytes; expected at most 12,000,000"):
        read_export(folder)


def test_a_link_is_not_followed(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "export.json"
    (folder / "export.json").rename(elsewhere)
    (folder / "export.json").symlink_to(elsewhere)
    with pytest.raises(RunError, match="is a symbolic link"):
        read_export(folder)


def test_a_damaged_file_of_the_model_is_found_before_it_is_opened(folder):
    (folder / "model.onnx").write_bytes(b"another model")
    with pytest.raises(RunError, match=r"model\.onnx: is damaged: its SHA-256 is not the one in export\.json"):
        read_export(folder).open()
    (folder / "model.onnx").unlink()
    with pytest.raises(RunError, match=r"model\.onnx: is missing; export\.json lists it"):
        read_export(folder).open()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(RunError, match=r"model\.onnx: is a named pipe; expected a regular file"):
        read_export(folder).open()


def test_a_format_of_zoo_alone_has_nothing_to_open_it_by(folder):
    write_document(folder, replace(DOCUMENT, format="safetensors"))
    with pytest.raises(RunError, match=r"format 'safetensors' is opened by zoo alone; type zoo predict"):
        read_export(folder).open()


def test_a_format_that_no_package_here_registers_is_named(folder):
    write_document(folder, replace(DOCUMENT, format="coreml"))
    with pytest.raises(NotFoundError, match="Unknown export format 'coreml'"):
        read_export(folder).open()


def test_a_file_that_a_runtime_would_open_has_to_be_listed(folder):
    """Else it is compared with nothing, and who trusted what is listed has trusted it too, whatever it becomes."""
    (folder / "notes.txt").write_bytes(MODEL)
    write_document(folder, replace(DOCUMENT, files={"notes.txt": hashlib.sha256(MODEL).hexdigest()}))
    with pytest.raises(
        RunError, match=r"/model\.onnx: is not listed in export\.json; expected its SHA-256; export the"
    ):
        read_export(folder).open()
    (folder / "saved_model" / "variables").mkdir(parents=True)
    (folder / "saved_model" / "saved_model.pb").write_bytes(MODEL)
    listed = {"saved_model/saved_model.pb": hashlib.sha256(MODEL).hexdigest()}
    write_document(folder, replace(DOCUMENT, format="saved_model", files=listed))
    read_export(folder).verify()
    (folder / "saved_model" / "variables" / "more").symlink_to("/dev/zero")
    with pytest.raises(RunError, match=r"/saved_model/variables/more: is not listed in export\.json"):
        read_export(folder).open()


def test_a_file_that_is_larger_than_any_model_is_not_read(folder):
    with (folder / "model.onnx").open("ab") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(RunError, match=r"holds 10,000,000,000 bytes; expected at most 8,000,000,000; export the run"):
        read_export(folder).verify()
