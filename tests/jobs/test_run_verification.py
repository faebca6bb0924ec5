"""Flipped bits, cut files, lost files and links in a finished and in an interrupted run of a tiny net."""

import json
import os
import shutil
import sys

import keras
import numpy as np
import pytest

import zoo
from tests.tiny import make_socket, phase, pixels, recipe, rewrite, write_photos
from zoo.errors import ContractError, RunError, ZooError
from zoo.jobs.resuming import AlreadyDone, Request, decide
from zoo.jobs.run_verification import refuse_damage, verify_run
from zoo.runs.claim import claim
from zoo.runs.folder import RunFolder
from zoo.runs.images import read_images
from zoo.training.preparation.checkpoints import newest_good


class StopInEpoch(keras.callbacks.Callback):
    """Interrupts training at the second batch of the third epoch."""

    def __init__(self):
        super().__init__()
        self.epochs = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs += 1

    def on_train_batch_end(self, batch, logs=None):
        if self.epochs == 3 and batch == 1:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The same run finished and interrupted, with the claim of a process that was killed."""
    folder = tmp_path_factory.mktemp("made")
    photos = write_photos(folder / "photos", count=12)
    one = recipe(
        phase("all", "all", epochs=3, optimizer="adamw"), model="mnist_conv_tiny", augment={"flip": "horizontal"}
    )
    zoo.finetune(one, photos, run=folder / "finished", verbose=0)
    with pytest.raises(KeyboardInterrupt):
        zoo.finetune(one, photos, run=folder / "stopped", callbacks=[StopInEpoch()], verbose=0)
    with claim(folder / "stopped"):
        shutil.copytree(folder / "stopped", folder / "interrupted")
    return folder


@pytest.fixture(params=["finished", "interrupted"])
def run(request, made, tmp_path):
    return shutil.copytree(made / request.param, tmp_path / request.param)


@pytest.fixture
def finished(made, tmp_path):
    return shutil.copytree(made / "finished", tmp_path / "run")


def files_of(path):
    return sorted(file for file in path.rglob("*") if file.is_file())


def named(path):
    return {str(fault.path) for fault in verify_run(path).faults}


def flips(path, count, seed):
    """Yields a file with one bit flipped, then puts it back: each file in turn, at a place by chance."""
    generator = np.random.default_rng(seed)
    files = [file for file in files_of(path) if file.stat().st_size]
    for number in range(count):
        file = files[number % len(files)]
        before = file.read_bytes()
        changed = bytearray(before)
        # Half of them where documents and headers are, which are small beside the numbers.
        place = int(generator.integers(len(before) if number // len(files) % 2 else min(len(before), 4000)))
        changed[place] ^= 1 << int(generator.integers(8))
        file.write_bytes(changed)
        yield file, place
        file.write_bytes(before)


def unnamed_flips(path, count, seed):
    return [
        (str(file.relative_to(path)), place) for file, place in flips(path, count, seed) if str(file) not in named(path)
    ]


def what_is_read(path):
    """Reads all that resuming, repeating, evaluating and lengthening a run read of it."""
    folder = RunFolder(path)
    record, images = folder.record(), read_images(path)
    said = []
    newest = newest_good(folder, phases=1, say=said.append)
    if said:  # it goes on from another checkpoint, with a word
        raise RunError(said[0])
    arrays = {**newest.model_arrays(), **{f"state {name}": array for name, array in newest.state_arrays().items()}}
    return (
        (record, images, folder.recipe(), newest.progress, newest.history()),
        {name: (array.dtype.name, array.tobytes()) for name, array in arrays.items()},
    )


def test_a_run_as_it_was_left_is_whole(run):
    found = verify_run(run)
    assert found.faults == ()
    compared = [file for file in files_of(run) if file.name != "metrics.jsonl" or run.name == "finished"]
    assert found.files >= len(compared)
    assert not any("not listed" in note for note in found.notes)


def test_a_flipped_bit_is_named(run):
    assert unnamed_flips(run, 2 * len(files_of(run)), seed=1) == []


@pytest.mark.slow
def test_thousands_of_flipped_bits_are_named(run):
    assert unnamed_flips(run, 5000, seed=2) == []


def test_after_a_flipped_bit_nothing_else_is_read_without_a_word(run):
    before = what_is_read(run)
    accepted = []
    for file, place in flips(run, 3 * len(files_of(run)), seed=3):
        try:
            accepted += [] if what_is_read(run) == before else [(file.name, place)]
        except ZooError:
            continue
    assert accepted == []


@pytest.mark.parametrize("count", [10, pytest.param(400, marks=pytest.mark.slow)])
def test_after_a_flipped_bit_no_other_answer_is_given(finished, count):
    images, _ = pixels(4)
    before = zoo.load(finished).predict(images)
    accepted = []
    for file, place in flips(finished / "model", count, seed=4):
        try:
            classifier = zoo.load(finished)
            accepted += [] if classifier.predict(images) == before else [(file.name, place)]
        except ZooError:
            pass
        with pytest.raises(ZooError):
            zoo.build("mnist_conv_tiny", weights=finished)
    assert accepted == []


@pytest.mark.slow
def test_after_a_flipped_bit_evaluate_and_features_measure_the_same_or_refuse(finished):
    images, _ = pixels(4)

    def measured():
        evaluation = zoo.evaluate(finished)
        return evaluation.metrics, evaluation.per_class, zoo.features(zoo.load(finished).model, images).tobytes()

    before, accepted, refused = measured(), [], 0
    for file, place in flips(finished, 400, seed=6):
        try:
            accepted += [] if measured() == before else [(file.name, place)]
        except ZooError:
            refused += 1
    assert accepted == []
    assert refused > 100


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_cut_file_is_named_or_what_a_kill_may_leave(run, count):
    generator = np.random.default_rng(5)
    for file in files_of(run):
        before = file.read_bytes()
        for length in {0, len(before) - 1, *map(int, generator.integers(0, len(before), count))}:
            file.write_bytes(before[:length])
            is_legal = run.name == "interrupted" and (
                file.name == "metrics.jsonl" or (file.name, length) == (".claim", 0)
            )
            assert (str(file) in named(run)) != is_legal, (file.name, length)
        file.write_bytes(before)


def test_a_lost_file_is_named(run):
    optional = {"metrics.jsonl", ".claim"} if run.name == "interrupted" else set()
    for file in files_of(run):
        before = file.read_bytes()
        file.unlink()
        lost = named(run)
        if file.name == "manifest.json" and file.parent == run:  # a kill may leave a finished run without it
            assert lost == set()
        elif file.name not in optional:
            assert str(file) in lost, file
        file.write_bytes(before)


def test_a_file_that_nothing_lists_is_noted_and_is_no_fault(run):
    (run / "notes.txt").write_text("mine")
    found = verify_run(run)
    assert found.is_whole
    assert f"{run / 'notes.txt'}: is not listed anywhere, and was not compared" in found.notes


def test_a_line_of_metrics_after_the_checkpoint_is_legal_as_the_last_and_another_is_not(made, tmp_path):
    run = shutil.copytree(made / "interrupted", tmp_path / "run")
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text().splitlines()
    row = json.loads(lines[-1])
    assert verify_run(run).is_whole
    metrics.write_text("\n".join([*lines, json.dumps({**row, "epoch": row["epoch"] + 1})]) + "\n")
    assert verify_run(run).is_whole
    metrics.write_text("\n".join([*lines, json.dumps({**row, "epoch": row["epoch"] + 2})]) + "\n")
    assert named(run) == {str(metrics)}


def test_a_manifest_cannot_name_files_outside(finished):
    manifest = finished / "manifest.json"
    for name in ("../secret", "/etc/passwd", "model/../../secret", "C:\\secret", "..\\secret", ""):
        listed = json.loads(manifest.read_text())
        rewrite(manifest, {**listed, "sha256": {**listed["sha256"], name: "0" * 64}})
        reasons = [fault.reason for fault in verify_run(finished).faults]
        assert len(reasons) == 1
        assert reasons[0].endswith("which lies outside its folder")
        rewrite(manifest, {**listed})


def foreign(kind, path, victim):
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        make_socket(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize(
    "part",
    [
        "model",
        "checkpoints",
        "checkpoints/STEP",
        "checkpoints/STEP/state.safetensors",
        "metrics.jsonl",
        "run.json",
        "new",
    ],
)
def test_a_link_or_special_file_in_any_part_of_a_run_is_refused_before_anything_is_written(run, part, kind, tmp_path):
    step = sorted(path.name for path in (run / "checkpoints").iterdir())[-1]
    place = run / part.replace("STEP", step)
    victim = tmp_path / "victim"
    if place.exists():
        place.rename(victim)
    else:
        victim.write_text("precious")
    foreign(kind, place, victim)
    before = {file: file.read_bytes() for file in files_of(victim)} if victim.is_dir() else victim.read_bytes()
    requests = [Request(recipe=None, run=run, resume=True), Request(recipe=run, more_epochs=1)]
    for request in requests:
        with pytest.raises((RunError, ContractError)) as raised:
            decide(request)
        assert "\n" not in str(raised.value)
    assert str(place) in named(run)
    after = {file: file.read_bytes() for file in files_of(victim)} if victim.is_dir() else victim.read_bytes()
    assert after == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_run_folder_may_be_a_link_itself(finished, tmp_path):
    (tmp_path / "latest").symlink_to(finished)
    assert verify_run(tmp_path / "latest").is_whole
    assert isinstance(decide(Request(recipe=None, run=tmp_path / "latest", resume=True)), AlreadyDone)
    assert zoo.load(tmp_path / "latest").classes == ("cat", "dog")


def test_sparse_files_are_refused_by_their_size(finished):
    for name in (
        "model/card.json",
        "run.json",
        "images.json",
        "metrics.jsonl",
        "recipe.toml",
        "model/model.safetensors",
    ):
        file = finished / name
        before = file.read_bytes()
        os.truncate(file, 40_000_000_000)
        assert str(file) in named(finished)
        with pytest.raises(ZooError, match="holds 40,000,000,000 bytes"):
            RunFolder(finished).metrics()
            what_is_read(finished)
            zoo.load(finished)
        file.write_bytes(before)


def test_a_damaged_finished_run_is_not_called_finished(finished):
    file = finished / "model" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 4
    file.write_bytes(content)
    with pytest.raises(ContractError) as raised:
        decide(Request(recipe=None, run=finished, resume=True))
    assert str(raised.value).startswith(f"{file}: is damaged: its SHA-256 is not the one in ")
    (finished / "manifest.json").unlink()
    with pytest.raises(ContractError):
        decide(Request(recipe=None, run=finished, resume=True))


def test_a_run_that_was_killed_before_its_manifest_is_checked_and_gets_it(finished):
    manifest = finished / "manifest.json"
    before = manifest.read_bytes()
    manifest.unlink()
    refuse_damage(RunFolder(finished))
    zoo.finetune(None, run=finished, resume=True, verbose=0)
    assert manifest.read_bytes() == before
    assert verify_run(finished).is_whole


def test_more_lines_than_a_checkpoint_can_keep_are_not_read(made, tmp_path, monkeypatch):
    run = shutil.copytree(made / "interrupted", tmp_path / "run")
    (history,) = sorted(run.glob("checkpoints/*/history.jsonl"))[-1:]
    size = history.stat().st_size
    monkeypatch.setattr("zoo.jobs.run_verification.HISTORY_LIMIT", size - 1)
    fault = next(one for one in zoo.verify(run).faults if one.path.name == history.name)
    assert f"holds {size:,} bytes" in str(fault)
