"""What the README says works."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.modules import module
from zoo.cli import VERBS
from zoo.data import open_dataset
from zoo.recipe.loading import load_recipe

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_every_verb_named_is_there() -> None:
    named = set(re.findall(r"(?:^|[\s/])zoo ([a-z-]+)", "\n".join(blocks("console"))))
    assert len(named) > 3
    assert named <= set(VERBS)


def test_recipe_example_is_a_recipe(tmp_path: Path) -> None:
    (example,) = blocks("toml")
    (tmp_path / "pets.toml").write_text(example)
    recipe = load_recipe(tmp_path / "pets.toml")
    assert (recipe.train.batch_size, recipe.phases[1].train) == (16, "stage6+")


def test_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    validation = open_dataset("builtin:fashion_sample", None).validation
    assert validation is not None
    boot = np.asarray(validation.images)[np.flatnonzero(validation.labels == 9)[0]]
    Image.fromarray(boot).save("boot.png")
    example, _ = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(("Ankle boot ", "Sneaker ", "Sandal "))


def test_module_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shutil.copytree(module(), tmp_path / "modules" / "mobilenet_v2")
    _, example = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(f"import zoo\n{example}", "README.md", "exec"), names)
    assert names["model"].blueprint.classes == ("cat", "dog")
