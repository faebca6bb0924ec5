import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from zoo.errors import NotFoundError, ZooError
from zoo.registry.exports import EXPORTS, ExportFormat


def a_row(**facts):
    given = {"name": "one", "summary": "one", "files": ("one.bin",), "build": lambda request: None, **facts}
    return ExportFormat(**given)


def test_the_formats_are_these_and_write_what_their_rows_say():
    assert {row.name: row.files for row in EXPORTS.rows()} == {
        "saved_model": ("saved_model",),
        "onnx": ("model.onnx",),
        "litert": ("model.tflite",),
        "openvino": ("model.xml", "model.bin"),
        "keras": ("model.keras",),
        "safetensors": ("model.safetensors", "card.json"),
    }


def test_only_a_saved_model_is_a_program():
    assert [row.name for row in EXPORTS.rows() if row.is_program] == ["saved_model", "keras"]


def test_all_but_safetensors_have_a_runtime_which_is_installed_with_the_test_extra():
    assert [row.name for row in EXPORTS.rows() if not row.runtime] == ["safetensors"]
    assert [row.name for row in EXPORTS.rows() if row.can_write != row.can_run] == ["safetensors"]
    assert {row.name: row.runtime_name.split()[0] for row in EXPORTS.rows() if row.runtime} == {
        "saved_model": "tensorflow",
        "onnx": "onnxruntime",
        "litert": "ai-edge-litert",
        "openvino": "openvino",
        "keras": "keras",
    }


def test_an_unknown_format_is_answered_with_the_nearest():
    with pytest.raises(
        NotFoundError, match=r"^Unknown export format 'onx'\. Did you mean 'onnx'\? There are: saved_mo"
    ):
        EXPORTS.lookup("onx")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (
            {"writes_with": ("zoo-nowhere",), "extra": "export"},
            "format 'one': zoo-nowhere is not installed; type pip install 'zoo[export]'",
        ),
        (
            {"writes_with": ("numpy", "zoo-nowhere"), "runs_with": ("zoo-never",)},
            "format 'one': zoo-nowhere, zoo-never are not installed; type pip install zoo-nowhere zoo-never",
        ),
    ],
)
def test_a_missing_package_is_named_with_what_to_type(facts, says):
    row = a_row(**facts)
    assert not row.can_write
    with pytest.raises(ZooError) as refused:
        row.require()
    assert str(refused.value) == says


def test_who_only_runs_a_format_needs_no_packages_that_write_it():
    row = a_row(writes_with=("zoo-nowhere",), runs_with=("numpy",), runtime="somewhere")
    row.require_runtime()
    assert row.can_run and not row.can_write


def test_a_row_without_files_is_refused():
    with pytest.raises(ZooError, match="files is empty; expected the names of the files that it writes"):
        EXPORTS.register(a_row(files=()))


@pytest.mark.parametrize("row", [row for row in EXPORTS.rows() if row.runtime], ids=lambda row: row.name)
def test_a_runtime_imports_the_standard_library_numpy_and_its_own_packages_only(row):
    """Its text stands in call.py, which runs where neither zoo nor what wrote the model is installed."""
    of_packages = {"ai-edge-litert": "ai_edge_litert"}
    allowed = {"numpy", *(of_packages.get(name, name) for name in row.runs_with)}
    text = Path(importlib.util.find_spec(row.runtime).origin).read_text(encoding="utf-8")
    named = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {name.name for node in named if isinstance(node, ast.Import) for name in node.names}
    modules |= {node.module for node in named if isinstance(node, ast.ImportFrom)}
    tops = {module.partition(".")[0] for module in modules}
    assert tops - sys.stdlib_module_names <= allowed
    assert "numpy" in tops
