"""An export is kept under a key of all that decides it; what cannot be kept has none."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.tiny import rewrite
from zoo import registry
from zoo.errors import NotFoundError, WeightsError
from zoo.inference.answering import name_of, open_answerer
from zoo.inference.kept_exports import find_kept, identity_of, verify_entry
from zoo.models.saving import read_card
from zoo.registry.exports import EXPORTS
from zoo.system.sealing import sealed


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a run, that can be changed."""
    return Path(shutil.copytree(trained.run, tmp_path / "run"))


def folder_of(source, name="litert"):
    return identity_of(source).folder(EXPORTS.lookup(name))


def change_card(run, **values):
    path = run / "model" / "card.json"
    rewrite(path, json.loads(path.read_text()) | values)


def test_a_run_has_one_key_wherever_it_lies_and_its_model_folder_has_the_same(trained, run):
    assert folder_of(run) == folder_of(trained.run) == folder_of(run / "model")
    assert folder_of(run) != folder_of(run, "onnx")
    assert identity_of(run).weights == read_card(run / "model").sha256
    assert (name_of(run), name_of(run / "model"), name_of("mnist_conv")) == ("run", "run", "mnist_conv")


@pytest.mark.parametrize(
    "values", [{"sha256": "0" * 64}, {"classes": ["cat", "god"]}, {"input_shape": [32, 32, 1]}, {"dropout": 0.5}]
)
def test_another_card_has_another_key(trained, run, values):
    change_card(run, **values)
    assert folder_of(run) != folder_of(trained.run)


def test_another_runtime_or_builder_has_another_key(trained, tmp_path, monkeypatch):
    before = folder_of(trained.run)
    builder = sys.modules["zoo.architectures.mnist_conv"]
    copy = Path(shutil.copytree(Path(builder.__file__).parent, tmp_path / "architectures"))
    monkeypatch.setattr(builder, "__file__", str(copy / "mnist_conv.py"))
    assert folder_of(trained.run) == before
    for name in ("mnist_conv.py", "conv_small.py"):  # what builds it, and what it could import its blocks from
        with (copy / name).open("a") as file:
            file.write("\n")
        changed = folder_of(trained.run)
        assert changed != before
        before = changed
    monkeypatch.setattr("zoo.registry.exports.version", lambda package: "9.9.9")
    assert folder_of(trained.run) != before


def test_a_model_goes_by_the_hash_of_its_weights():
    identity = identity_of("mnist_conv")
    (weight_set,) = registry.info("mnist_conv").weights
    assert identity.weights == weight_set.sha256
    assert identity.blueprint.classes == tuple("0123456789")


@pytest.mark.parametrize(
    "values",
    [
        {"precision": "mixed_bfloat16"},
        {"sha256": ""},
        {"architecture": "of_a_plug_in"},
        {"architecture": "tfhub", "options": {"handle": "sha256:00"}},
    ],
)
def test_what_has_no_key(run, values):
    change_card(run, **values)
    assert identity_of(run) is None


def test_a_model_without_weights_has_no_key():
    assert identity_of("conv2d_small") is None


def test_an_entry_is_looked_at_as_a_hostile_one(tmp_path):
    folder = tmp_path / ("a" * 40)
    assert find_kept(folder) is None
    folder.mkdir(parents=True)
    values = {"schema": 1, "kind": "kept-export", "key": "a" * 40, "format": "litert", "runtime": "x 1", "weights": "0"}

    def faults(**changed):
        (folder / "manifest.json").write_text(sealed(values | changed))
        (line,) = verify_entry(folder)
        with pytest.raises(WeightsError) as refused:
            find_kept(folder)
        assert str(refused.value) == line
        return line.removeprefix(f"{folder}/")

    assert faults(sha256={"../model": "0"}) == "manifest.json: lists '../model', which lies outside its folder"
    assert faults(sha256={}) == "manifest.json: lists no file"
    assert faults(sha256={"model.tflite": "0"}) == "model.tflite: No such file or directory"
    (folder / "model.tflite").symlink_to("/dev/zero")
    assert faults(sha256={"model.tflite": "0"}).startswith("model.tflite: is a symbolic link")
    (folder / "model.tflite").unlink()
    os.mkfifo(folder / "model.tflite")
    assert faults(sha256={}, refused="it differs") == "model.tflite: is not listed in manifest.json"
    (folder / "model.tflite").unlink()
    assert faults(key="b" * 40) == "manifest.json: is not what zoo wrote here"
    assert faults(format=3) == "manifest.json: is damaged (format is 3; expected text)"
    (folder / "manifest.json").write_text(json.dumps(values | {"refused": "it differs"}))
    assert verify_entry(folder) == [f"{folder}/manifest.json: is not what zoo wrote here"]
    (folder / "manifest.json").write_text(sealed(values | {"refused": "it differs"}))
    assert verify_entry(folder) == []
    assert find_kept(folder).refused == "it differs"


def test_a_runtime_without_a_kept_export_is_refused_with_those_that_answer(trained, fresh_cache):
    with pytest.raises(NotFoundError, match="no onnx export is kept; expected --runtime auto or keras"):
        open_answerer(trained.run, "onnx")
    with pytest.raises(NotFoundError, match="runtime is 'torch'; expected auto, keras, litert, onnx, openvino"):
        open_answerer(trained.run, "torch")
