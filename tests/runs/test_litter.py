import os
import shutil

import pytest

from zoo.runs.folder import RunFolder
from zoo.runs.litter import remove_litter
from zoo.system.files import write_atomic

GOES = (
    *(".run.json.abcd_123", ".recipe.toml.zzzzzzzz", "model/.card.json.00000000", "model/.model.safetensors.qwertyui"),
    *(".manifest.json.abcdefgh", "checkpoints/.step-00000012/model.safetensors", "checkpoints/.step-00000012/x/y"),
    "checkpoints/.step-00000012-batch-00000024/manifest.json",
    *(
        "checkpoints/step-00000013/state.safetensors",
        "checkpoints/step-00000013-batch-00000026/.manifest.json.abcdefgh",
    ),
)
STAYS = (
    *(
        "run.json",
        ".claim",
        ".gitignore",
        ".notes.markdown",
        ".run.json.abc",
        ".run.json.ABCDEFGH",
        "run.json.abcdefgh",
    ),
    *(
        ".other.json.abcdefgh",
        "notes/.run.json.abcdefgh",
        "checkpoints/step-00000014/manifest.json",
        ".step-00000001/x",
    ),
    *(
        "checkpoints/mine/x",
        "checkpoints/.step-1/x",
        "checkpoints/step-00000012-removed/x",
        "checkpoints/.step-00000012.old/x",
        "model/card.json",
    ),
)


def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_what_a_killed_process_left_goes_and_all_else_stays(tmp_path):
    fill(tmp_path, (*GOES, *STAYS))
    remove_litter(RunFolder(tmp_path))
    assert names(tmp_path) == sorted(STAYS)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        ".step-00000012.old",
        ".step-1",
        "mine",
        "step-00000012-removed",
        "step-00000014",
    ]


def test_a_folder_without_anything_and_one_that_is_not_there_are_left_alone(tmp_path):
    remove_litter(RunFolder(tmp_path))
    remove_litter(RunFolder(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


def test_the_pattern_is_of_the_files_that_are_really_written(tmp_path, monkeypatch):
    def killed(handle):
        raise MemoryError

    monkeypatch.setattr(os, "fsync", killed)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: None)
    for name in ("run.json", "recipe.toml", "images.json", "metrics.jsonl", "manifest.json", "history.png"):
        with pytest.raises(MemoryError):
            write_atomic(tmp_path / name, "half")
    monkeypatch.undo()
    assert len(names(tmp_path)) == 6
    remove_litter(RunFolder(tmp_path))
    assert names(tmp_path) == []


@pytest.mark.parametrize("linked", ["checkpoints", "model", "checkpoints/.step-00000012", "checkpoints/step-00000013"])
def test_no_link_is_followed(tmp_path, linked):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    fill(run, GOES)
    fill(elsewhere, (*GOES, ".step-00000012/x", "state.safetensors", ".card.json.00000000"))
    before = names(elsewhere)
    shutil.rmtree(run / linked)
    (run / linked).symlink_to(elsewhere)
    (run / ".run.json.aaaaaaaa").symlink_to(elsewhere / "state.safetensors")
    remove_litter(RunFolder(run))
    assert names(elsewhere) == before
    assert (run / linked).is_symlink()
    assert (run / ".run.json.aaaaaaaa").is_symlink()
