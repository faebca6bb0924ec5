"""What the README says works."""

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.modules import module
from zoo.cli import VERBS, main
from zoo.data import open_dataset
from zoo.recipe.finding import shipped_recipes
from zoo.recipe.loading import load_recipe

HERE = Path(__file__).parent.parent
README = (HERE / "README.md").read_text(encoding="utf-8")
# What stands for the README's model, which takes minutes; it has fewer stages.
TINY = {"efficientnet_lite0": "mnist_conv_tiny", "--at stage4": "--at stage1"}
QUICK = "--set phases.head.epochs=1 --set phases.top.epochs=1"


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
    (tmp_path / "docs").symlink_to(HERE / "docs")
    example, _ = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(("Ankle boot ", "Sneaker ", "Sandal "))


def test_the_image_to_predict_is_one_that_ships() -> None:
    validation = open_dataset("builtin:fashion_sample", None).validation
    assert validation is not None
    boot = np.asarray(validation.images)[np.flatnonzero(validation.labels == 9)[0]].squeeze()
    with Image.open(HERE / "docs" / "boot.png") as image:
        assert np.array_equal(np.asarray(image), boot)


def typed_lines() -> list[str]:
    """Returns what the README has typed in its one shell, without comments, up to the part on SavedModels."""
    lines = "\n".join(blocks("console")).splitlines()
    typed = [re.sub(r"\s+#.*", "", line) for line in lines if not line.startswith("$")]
    return typed[: next(at for at, line in enumerate(typed) if "keras.applications" in line)]


def test_every_file_that_is_named_is_there_or_made_before() -> None:
    made = {"photos", "photos/boot", "other-photos", "pets.toml", "runs/quickstart", "requirements.txt"}
    for line in typed_lines():
        made |= set(re.findall(r"--(?:run|out|plot|csv) (\S+)", line))
        # A folder or a page that a command makes, and what a recipe is called on a shelf from then on.
        made |= {path.rstrip("/") for path in re.findall(r"^(?:mkdir|zoo (?:recipe push|shelf site) \S+) (\S+)", line)}
        for word in re.findall(r"(?<= )[\w./-]+", line):
            is_path = re.search(r"[a-z]/|\.(?:png|jpg|jpeg|toml|npz|csv|py)$", word)
            if is_path and word.rstrip("/") not in made and not word.startswith(".venv"):
                known = word in shipped_recipes() or f"finetune/{word}" in shipped_recipes() or (HERE / word).exists()
                assert known, f"{word} of: {line}"


@pytest.mark.slow
def test_the_tour_runs_as_it_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one folder, one command after the other, with a tiny model and an epoch a phase."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "docs").symlink_to(HERE / "docs")
    (recipe,) = blocks("toml")
    pets = recipe.replace("stage6+", "stage1+").replace("[set]", '[set]\n"model.name" = "mnist_conv_tiny"')
    (tmp_path / "pets.toml").write_text(pets)
    ran = 0
    for line in typed_lines():
        words = line
        for long, tiny in TINY.items():
            words = words.replace(long, tiny)
        if words.startswith("python docs/make_photos.py"):
            monkeypatch.setattr(sys, "argv", ["docs/make_photos.py"])
            runpy.run_path("docs/make_photos.py", run_name="__main__")
        if words.startswith("mkdir "):
            Path(words.split()[1]).mkdir()
        if not words.startswith("zoo "):
            continue
        if words.startswith("zoo finetune quickstart"):
            words += " --set phases.head.epochs=1 --set phases.all.epochs=1"
        elif words.startswith(("zoo finetune mnist", "zoo finetune pets", "zoo finetune runs/pets --weights")):
            words += f" {QUICK}"
        with pytest.raises(SystemExit) as left:
            main(shlex.split(words)[1:])
        printed = capsys.readouterr()
        assert not left.value.code, f"{line}: {printed.err}"
        assert "Traceback" not in printed.err
        ran += 1
    assert ran > 12
    assert (tmp_path / "photos.npz").is_file()
    assert (tmp_path / "rates.png").is_file()


def test_module_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shutil.copytree(module(), tmp_path / "modules" / "mobilenet_v2")
    _, example = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(f"import zoo\n{example}", "README.md", "exec"), names)
    assert names["model"].blueprint.classes == ("cat", "dog")


def test_pictures_that_cannot_be_written_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").write_text("a file where the folder should be")
    monkeypatch.setattr(sys, "argv", ["docs/make_photos.py", str(tmp_path)])
    with pytest.raises(SystemExit) as left:
        runpy.run_path("docs/make_photos.py", run_name="__main__")
    assert left.value.code == (
        f"{tmp_path}/photos/trouser: cannot be written (Not a directory); name another: "
        "python docs/make_photos.py FOLDER"
    )
