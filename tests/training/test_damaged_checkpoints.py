"""A run goes on from the newest checkpoint that is whole, and says which file is damaged."""

import hashlib
import shutil
from dataclasses import replace

import pytest

import zoo
from tests.tiny import as_typed, phase, recipe, untimed, write_npz
from zoo.errors import RunError
from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder
from zoo.training.preparation.checkpoints import newest_good

MODEL = "model/model.safetensors"
# At this rate the epochs after the first are worse.
PLAN = recipe(
    phase("head", "head", epochs=3, optimizer="sgd", learning_rate=3.0, schedule="constant"),
    checkpoint={"every": "1 steps", "keep": 99, "monitor": "val_loss"},
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run of three epochs of three batches; every step's checkpoint is kept."""
    folder = tmp_path_factory.mktemp("whole")
    return zoo.finetune(PLAN, write_npz(folder / "data.npz"), run=folder / "run", verbose=0)


@pytest.fixture
def run(whole, tmp_path):
    """The same as if it had been interrupted before its end."""
    folder = RunFolder(shutil.copytree(whole.path, tmp_path / "run"))
    folder.write_record(replace(folder.record().without_result(), status="interrupted"))
    shutil.rmtree(folder.model)
    (folder.path / "manifest.json").unlink()
    return folder


def spoil(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def contents(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file() and ".claim" not in file.name)
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize(
    "file",
    [
        "manifest.json",
        "state.safetensors",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("model.safetensors", "history.jsonl")),
    ],
)
def test_the_checkpoint_before_a_damaged_one_is_gone_on_from_to_the_same_end(run, whole, file, capsys):
    paths = checkpoint.folders(run.checkpoints)
    for path in paths[-3:-1]:
        spoil(path / file)
    (paths[-1] / file).write_bytes(b"")
    again = zoo.finetune(None, run=run.path, resume=True)
    said = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert len(said) == 3
    for path, line in zip(reversed(paths[-3:]), said, strict=True):
        assert line.startswith(f"warning: {path / file}: is damaged")
        assert line.endswith(f"goes on from the checkpoint before, {paths[-4].name}")
    assert (again.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    assert untimed(again.history) == untimed(whole.history)
    assert checkpoint.folders(run.checkpoints)[-1] == paths[-1]
    for path in checkpoint.folders(run.checkpoints):
        checkpoint.open_checkpoint(path).verify()


def test_where_none_is_whole_one_line_says_so_and_nothing_is_changed(run):
    paths = checkpoint.folders(run.checkpoints)
    for path in paths:
        spoil(path / "state.safetensors")
    before = contents(run.path)
    with pytest.raises(RunError) as raised:
        zoo.finetune(None, run=run.path, resume=True, verbose=0)
    assert str(raised.value) == (
        f"{paths[-1] / 'state.safetensors'}: is damaged (its SHA-256 is not the manifest's), and no other checkpoint "
        f"of {run.path} is whole; nothing was changed; put the file back, or train again in another folder: "
        f"zoo finetune {as_typed(run.path)} --run DIR"
    )
    assert contents(run.path) == before


def test_progress_that_no_run_of_the_recipe_has_is_damage(run):
    newest = checkpoint.folders(run.checkpoints)[-1]
    said = []
    assert newest_good(run, phases=1, say=said.append).path == newest
    assert said == []
    with pytest.raises(RunError, match=r"manifest.json: is damaged \(its progress is not one of this recipe\)"):
        newest_good(run, phases=0, say=said.append)


@pytest.mark.parametrize("file", ["model.safetensors", "manifest.json"])
def test_a_damaged_best_checkpoint_is_said_at_the_end_and_the_last_epoch_is_kept_only_when_it_is_deleted(
    run, file, capsys
):
    newest = checkpoint.latest(run.checkpoints)
    best = checkpoint.at_batch(run.checkpoints, newest.progress.best.batch)
    assert best.progress.epoch < newest.progress.epoch
    spoil(best.path / file)
    with pytest.raises(RunError) as raised:
        zoo.finetune(None, run=run.path, resume=True)
    assert str(raised.value).startswith(f"{best.path / file}: is damaged")
    assert f"delete {as_typed(best.path)} to keep the last epoch" in str(raised.value)
    shutil.rmtree(best.path)
    capsys.readouterr()
    done = zoo.finetune(None, run=run.path, resume=True)
    assert "the checkpoint of the best epoch" in capsys.readouterr().err
    last = done.history[-1]
    assert done.record["kept"] == {"step": last["step"], "val_loss": last["val_loss"]}
