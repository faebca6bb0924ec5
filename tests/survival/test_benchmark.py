"""What saving costs is measured by a script: it goes on working."""

import importlib.util
import sys

import pytest

from tests.tiny import HERE

# Keras reads variables of TensorFlow as NumPy 1 did.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]


def test_each_side_saves_what_a_model_and_its_optimizer_hold(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE / "benchmarks"))
    spec = importlib.util.spec_from_file_location("checkpoint_benchmark", HERE / "benchmarks" / "checkpoint.py")
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)
    spec.loader.exec_module(script)
    rows = {row["side"]: row for row in script._measure("mnist_simple", 28, 3, 1)}
    assert list(rows)[:4] == ["none", "zoo", "ModelCheckpoint", "BackupAndRestore"]
    assert rows["none"]["runs"][0]["bytes"] == 0
    # 5 x 5 x 3 pixels to 32 maps of 28 x 28, to 10 classes; float32, and two moments of AdamW for each.
    parameters = 5 * 5 * 3 * 32 + 32 + 28 * 28 * 32 * 10 + 10
    for side in list(rows)[1:4]:
        assert rows[side]["runs"][0]["bytes"] == pytest.approx(3 * 4 * parameters, rel=0.1)
        assert rows[side]["runs"][0]["blocked"] > 0
