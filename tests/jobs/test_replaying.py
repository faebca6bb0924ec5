import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import zoo
from tests.tiny import as_typed, phase, recipe, write_photos
from zoo.cli import main
from zoo.errors import NotFoundError, ZooError
from zoo.jobs.replaying import replay
from zoo.runs import failed_batch
from zoo.runs.folder import RunFolder
from zoo.training.callbacks import save_interval

# Steps of 100 times the gradient, without a bound: the numbers run away within some steps.
RUNS_AWAY = recipe(
    phase("all", "all", epochs=8, optimizer="sgd", learning_rate=100.0),
    model="mnist_conv_tiny",
    data={"validation": 0.0},
    augment={"rotation": 10.0},
)


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A run whose loss became NaN, with a checkpoint after each batch."""
    folder = tmp_path_factory.mktemp("failed")
    photos = write_photos(folder / "photos", count=20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(save_interval, "SHORTEST", 0.0)
        patch.setattr(save_interval, "LONGEST", 0.0)
        with pytest.raises(ZooError, match=r"the loss is (nan|inf) at step") as raised:
            zoo.finetune(RUNS_AWAY, photos, run=folder / "run")
    return RunFolder(folder / "run"), raised.value


def test_what_a_failing_step_saw_is_kept(failed):
    folder, fault = failed
    assert fault.__notes__[0] == f"see what the step saw: zoo finetune --run {as_typed(folder.path)} --replay"
    kept = failed_batch.read(folder)
    assert (kept.phase, kept.seed, kept.fault) == ("all", 0, str(fault))
    assert f"epoch {kept.epoch}, batch {kept.batch} of 5: the loss is" in str(fault)
    assert f"at step {kept.step};" in str(fault)
    assert kept.step == 5 * (kept.epoch - 1) + kept.batch
    # The order of an epoch is a function of seed and epoch: known without training.
    order = np.argsort(np.random.PCG64(np.random.SeedSequence((0, kept.epoch - 1))).random_raw(40), kind="stable")
    assert [image.row for image in kept.images] == order[8 * (kept.batch - 1) : 8 * kept.batch].tolist()
    for image in kept.images:
        assert Path(image.image).parent.name == image.label
        assert Path(image.image).is_file()


def test_the_step_fails_again_and_the_run_stays_as_it_is(failed):
    folder, fault = failed
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    again = replay(folder.path)
    assert again.fault == str(fault)
    assert len(again.before.losses) == 8
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_the_command_shows_the_images_of_the_step(failed):
    folder, fault = failed
    done = CliRunner().invoke(main, ["finetune", "--run", str(folder.path), "--replay"])
    assert done.exit_code == 0, done.output
    assert f"failed: {fault}" in done.stdout
    assert f"this time: {fault}" in done.stdout
    for image in failed_batch.read(folder).images:
        assert Path(image.image).name in done.stdout
    document = json.loads(CliRunner().invoke(main, ["finetune", str(folder.path), "--replay", "--json"]).stdout)
    assert (document["kind"], document["replayed_fault"], len(document["losses"])) == ("replay", str(fault), 8)


def test_what_is_kept_is_verified(failed, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(failed[0].path, path)
    assert zoo.verify(path).is_whole
    kept = sorted(file for file in (path / "failed").rglob("*") if file.is_file())
    assert len(kept) == 5  # batch.json, and the four files of a checkpoint
    for file in kept:
        content = bytearray(file.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 1] = bytes([content[len(content) // 2] ^ 4])
        whole = file.read_bytes()
        file.write_bytes(content)
        assert [fault.path for fault in zoo.verify(path).faults] == [file]
        file.write_bytes(whole)


class Spoil(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise ValueError("the tracker is offline")


def test_a_fault_that_came_from_outside_does_not_come_again(failed, tmp_path):
    folder, _ = failed
    path = tmp_path / "run"
    data = folder.record().inputs.data
    with pytest.raises(ValueError, match="the tracker is offline"):
        zoo.finetune(recipe(model="mnist_conv_tiny"), data, run=path, callbacks=Spoil())
    assert replay(path).fault == ""
    zoo.finetune(None, run=path, resume=True)
    assert not (path / "failed").exists()
    with pytest.raises(NotFoundError, match="no step of this run has failed"):
        replay(path)


def test_replay_takes_a_run_and_nothing_else():
    done = CliRunner().invoke(main, ["finetune", "quickstart", "--run", "r", "--replay"])
    assert done.exit_code == 2
    assert "--replay takes a run" in done.output
