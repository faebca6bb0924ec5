"""Another version of a package is really installed, in another environment, and decodes otherwise: it is named."""

import importlib
import json
import os
import subprocess

import pytest

import zoo
from tests.tiny import HERE, environment, tiny_recipe, write_photos
from zoo.sharing.locks.making import lock_runs

REPRODUCE = """
import json, sys, zoo
print(json.dumps(zoo.reproduce(*sys.argv[1:], quick=True, verbose=0).to_json()))
"""


@pytest.fixture
def other_environment(monkeypatch):
    """The script that makes an environment with another Pillow."""
    monkeypatch.syspath_prepend(str(HERE / "benchmarks"))
    return importlib.import_module("other_environment")


@pytest.mark.slow
@pytest.mark.parametrize("is_patched", [False, True], ids=["as it was released", "patched"])
def test_another_pillow_is_named_where_it_decodes_otherwise(other_environment, is_patched, tmp_path):
    photos = write_photos(tmp_path / "photos", count=8)
    (tmp_path / "tiny.toml").write_text(tiny_recipe().to_toml())
    run = zoo.finetune(tmp_path / "tiny.toml", photos, run=tmp_path / "run", verbose=0)
    (tmp_path / "tiny.lock").write_text(lock_runs(run.path).to_text())
    try:
        other = other_environment.make_environment(tmp_path / "other", is_patched=is_patched)
    except other_environment.CannotInstallError as fault:
        pytest.skip(f"another Pillow cannot be installed: {fault}")
    printed = subprocess.run(
        [other.python, "-c", REPRODUCE, tmp_path / "tiny.toml", photos],
        env=environment(XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"]),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(printed)
    assert [(one["name"], one["now"]) for one in found["differences"]] == [("package pillow", other.version)]
    assert (found["verdict"] == "bitwise equal") is not is_patched
    assert [one["name"] for one in found["left"]] == ["package pillow"] * is_patched
    assert found["causes"] == []
