import json
import re
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

from tests.tiny import start
from zoo.errors import RunError
from zoo.models.arrays import arrays_of
from zoo.runs import checkpoint
from zoo.runs.checkpoint import Snapshot
from zoo.runs.progress import Best, PartialEpoch, Progress

MODEL = {
    "stem_conv/kernel": np.array([[1.5, -0.0], [np.float32(1e-45), np.inf]], dtype="float32"),
    "bn/scale": np.array(3.0, dtype="float16"),
}
STATE = {"optimizer/adamw/iterations": np.array(2**40 + 1, dtype="int64"), "seed/0": np.array([7, 9], dtype="uint32")}


def at(step, **keys):
    return Progress(epoch_in_phase=step, epoch=step, step=step, **{"batch": step, **keys})


def save(folder, step, *, keep=2, **keys):
    return checkpoint.save(folder, Snapshot(model=MODEL, state=STATE, progress=at(step, **keys)), keep=keep)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_comes_back_bit_for_bit(tmp_path):
    saved = save(tmp_path / "checkpoints", 1200, best=Best(value=0.1 + 0.2, step=800, batch=800))
    assert names(tmp_path / "checkpoints") == ["step-00001200"]
    assert names(saved.path) == ["history.jsonl", "manifest.json", "model.safetensors", "state.safetensors"]
    loaded = checkpoint.latest(tmp_path / "checkpoints")
    assert loaded == saved
    assert loaded.progress == at(1200, best=Best(value=0.1 + 0.2, step=800, batch=800))
    for written, read in ((MODEL, loaded.model_arrays()), (STATE, loaded.state_arrays())):
        assert set(read) == set(written)
        for name, array in written.items():
            assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
            assert read[name].tobytes() == array.tobytes()


def test_scalars_stay_scalars():
    scalar = type("Variable", (), {"path": "adamw/iteration", "value": np.array(7)})()
    assert arrays_of([scalar])["adamw/iteration"].shape == ()


def test_it_holds_arrays_that_are_not_contiguous(tmp_path):
    # safetensors writes the memory as it lies: a view would come back scrambled.
    array = np.arange(6, dtype="float32").reshape(2, 3).T
    model = arrays_of([type("Variable", (), {"path": "kernel", "value": array})()])
    checkpoint.save(tmp_path, Snapshot(model=model, state={}, progress=at(1)), keep=1)
    assert checkpoint.latest(tmp_path).model_arrays()["kernel"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_the_last_ones_and_the_best_are_kept(tmp_path):
    for step in range(1, 7):
        save(tmp_path, step, keep=2, best=Best(value=0.9, step=min(step, 2), batch=min(step, 2)))
    assert names(tmp_path) == ["step-00000002", "step-00000005", "step-00000006"]
    assert checkpoint.latest(tmp_path).progress.step == 6
    assert checkpoint.best(tmp_path).progress.step == 2


def test_epochs_that_end_in_the_same_step_are_kept_apart(tmp_path):
    # Two batches an epoch and five to a step: after three epochs there is one step.
    best = Best(value=0.9, step=0, batch=4)
    for epoch in (1, 2, 3):
        progress = Progress(epoch=epoch, step=2 * epoch // 5, batch=2 * epoch, best=best)
        checkpoint.save(tmp_path, Snapshot(model=MODEL, state=STATE, progress=progress), keep=1)
    assert names(tmp_path) == ["step-00000000-batch-00000004", "step-00000001-batch-00000006"]
    assert checkpoint.best(tmp_path).progress.batch == 4
    assert checkpoint.latest(tmp_path).progress.batch == 6


def test_without_a_best_only_the_last_are_kept(tmp_path):
    for step in range(1, 5):
        save(tmp_path, step, keep=3)
    assert names(tmp_path) == ["step-00000002", "step-00000003", "step-00000004"]
    assert checkpoint.best(tmp_path).progress.step == 4


def test_steps_are_ordered_as_numbers(tmp_path):
    for step in (99_999_999, 100_000_000):  # the second has a digit more
        save(tmp_path, step, keep=1)
    assert names(tmp_path) == ["step-100000000"]
    assert checkpoint.latest(tmp_path).progress.step == 100_000_000


def test_where_there_is_none(tmp_path):
    assert checkpoint.latest(tmp_path / "checkpoints") is None
    assert checkpoint.best(tmp_path / "checkpoints") is None


def test_what_is_not_whole_is_passed_over(tmp_path):
    save(tmp_path, 1)
    shutil.copytree(tmp_path / "step-00000001", tmp_path / ".step-00000002")  # killed before the rename
    shutil.copytree(tmp_path / "step-00000001", tmp_path / "step-00000003")  # no manifest
    (tmp_path / "step-00000003" / "manifest.json").unlink()
    (tmp_path / "step-00000004").touch()
    (tmp_path / "step-7").mkdir()
    assert [one.progress.step for one in checkpoint.checkpoints(tmp_path)] == [1]
    save(tmp_path, 2)  # over the leftover
    save(tmp_path, 3)
    assert checkpoint.latest(tmp_path).model_arrays().keys() == MODEL.keys()


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from zoo.runs import checkpoint
from zoo.runs.progress import Progress
snapshot = checkpoint.Snapshot(
    model={"kernel": np.zeros(1000)}, state={"momentum": np.zeros(3000)}, progress=Progress(step=2, batch=2),
    history=[{"epoch": number} for number in range(5000)],
)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    checkpoint.save(Path(sys.argv[1]), snapshot, keep=1)
except OSError as fault:
    print(fault)
"""


@pytest.mark.parametrize("limit", [0, 4_000, 12_000, 40_000])  # in model, model, state and history
def test_a_full_disk_leaves_the_earlier_ones(tmp_path, limit):
    save(tmp_path, 1)
    process = start(FULL, tmp_path, limit)
    out, _ = process.communicate(timeout=60)
    expected = r"\[Errno 27\] File too large \(32,000 bytes needed, [\d,]+ free\): "
    assert re.fullmatch(expected + re.escape(f"'{tmp_path}/step-00000002'\n"), out)
    assert names(tmp_path) == ["step-00000001"]
    assert checkpoint.latest(tmp_path).state_arrays().keys() == STATE.keys()


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from zoo.runs import checkpoint
from zoo.runs.progress import Progress
def die(_):
    os.kill(os.getpid(), signal.SIGKILL)
checkpoint.sync = die
snapshot = checkpoint.Snapshot(model={"kernel": np.zeros(9)}, state={}, progress=Progress(step=5, batch=5))
checkpoint.save(Path(sys.argv[1]), snapshot, keep=1)
"""


def test_a_kill_in_the_midst_of_saving_leaves_nothing_that_looks_whole(tmp_path):
    save(tmp_path, 1)
    process = start(KILLED, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert names(tmp_path) == [".step-00000005", "step-00000001"]
    assert checkpoint.latest(tmp_path).progress.step == 1
    save(tmp_path, 5, keep=1)
    assert names(tmp_path) == ["step-00000005"]


@pytest.mark.parametrize(("file", "read"), [("model", "model_arrays"), ("state", "state_arrays")])
def test_a_damaged_file_is_refused(tmp_path, file, read):
    path = save(tmp_path, 1).path / f"{file}.safetensors"
    content = bytearray(path.read_bytes())
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), None):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        with pytest.raises(RunError) as raised:
            getattr(checkpoint.latest(tmp_path), read)()
        assert str(raised.value) == f"{path}: is damaged (its SHA-256 is not the manifest's)"
        path.touch()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"progress": {"step": 1}}', '{"progress": {"gone": 1}}'])
def test_a_damaged_manifest_is_refused_and_hides_no_other(tmp_path, content):
    save(tmp_path, 1)
    path = save(tmp_path, 2).path / "manifest.json"
    path.write_text(content)
    with pytest.raises(RunError) as raised:
        checkpoint.open_checkpoint(path.parent)
    assert str(raised.value) == f"{path}: is damaged"
    assert checkpoint.latest(tmp_path).progress.step == 1
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_folders_are_in_the_order_of_their_batches_whole_or_not(tmp_path):
    called = ["step-00000010", "step-00000002-batch-00000004", "step-00000004-batch-00000009-before-validation"]
    called += ["step-00000004-batch-00000009", ".step-00000001", "step-7", "step-100000000"]
    for name in called:
        (tmp_path / name).mkdir()
    assert [path.name for path in checkpoint.folders(tmp_path)] == [called[n] for n in (1, 2, 3, 0, 6)]


def test_the_manifest_tells_the_progress(tmp_path):
    manifest = json.loads((save(tmp_path, 3).path / "manifest.json").read_text())
    assert (manifest["schema"], manifest["kind"]) == (1, "checkpoint")
    assert manifest["progress"] == {
        "phase": 0,
        "epoch_in_phase": 3,
        "epoch": 3,
        "step": 3,
        "batch": 3,
        "best_value": None,
        "best_step": None,
        "best_batch": None,
        "best_loss": None,
        "phase_best_value": None,
        "phase_best_step": None,
        "phase_best_batch": None,
        "phase_best_loss": None,
        "stale_epochs": 0,
    }


def test_two_variables_of_one_path_are_refused():
    variable = type("Variable", (), {"path": "conv/kernel", "value": np.zeros(1)})()
    with pytest.raises(RunError) as raised:
        arrays_of([variable, variable])
    assert str(raised.value) == "two variables are called conv/kernel; expected a name for each layer of its own"


def inside(batch, batches, **keys):
    return at(batch, partial_epoch=PartialEpoch(batches=batches, **keys))


def test_an_epoch_that_has_begun_comes_back_and_is_never_the_best(tmp_path):
    best = Best(value=0.5, step=4, batch=4)
    save(tmp_path, 4, best=best)
    progress = Progress(
        epoch=1, step=6, batch=6, best=best, partial_epoch=PartialEpoch(batches=2, seconds=1.25, data_wait_seconds=0.5)
    )
    checkpoint.save(tmp_path, Snapshot(model=MODEL, state=STATE, progress=progress), keep=1)
    assert checkpoint.latest(tmp_path).progress == progress
    assert checkpoint.best(tmp_path).progress.batch == 4
    assert checkpoint.at_batch(tmp_path, 6) is None


def test_an_epoch_before_its_validation_is_kept_apart_from_its_end(tmp_path):
    waits = replace(at(8), epoch=1, partial_epoch=PartialEpoch(batches=4, metrics={"loss": 0.1}))
    for progress in (waits, replace(at(8), epoch=2, best=Best(value=0.5, step=8, batch=8))):
        checkpoint.save(tmp_path, Snapshot(model=MODEL, state=STATE, progress=progress), keep=2)
    assert names(tmp_path) == ["step-00000008", "step-00000008-before-validation"]
    assert checkpoint.latest(tmp_path).progress.epoch == 2
    assert checkpoint.best(tmp_path).path.name == "step-00000008"


def test_the_lines_of_metrics_come_back(tmp_path):
    rows = [{"epoch": 1, "loss": 0.1 + 0.2, "val_loss": None}, {"epoch": 2}]
    checkpoint.save(tmp_path, Snapshot(model=MODEL, state=STATE, progress=at(1), history=rows), keep=1)
    found = checkpoint.latest(tmp_path)
    assert found.history() == rows
    with (found.path / "history.jsonl").open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(RunError, match=r"history.jsonl: is damaged \(its SHA-256 is not the manifest's\)"):
        found.history()


def test_weights_that_are_not_finite_are_noticed():
    def finite(model, **state):
        return Snapshot(model=model, state=state, progress=at(1)).is_finite

    fine = np.array([3e38, -3e38], np.float32)
    assert finite({"kernel": fine, "empty": np.zeros(0, np.float32), "count": np.array(1)})
    assert finite({}, **{"optimizer/momentum": np.array([np.inf])})
    assert not finite({"kernel": np.array([1, np.nan, 2], np.float32)})
    assert not finite({"kernel": fine}, **{"weight/kernel": np.array([1, -np.inf], np.float32)})


REPLACED = """
import os, signal, shutil, sys
from pathlib import Path
from tests.runs.test_checkpoint import save

os.unlink = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
save(Path(sys.argv[1]), 5)
"""


def test_a_kill_while_one_is_replaced_leaves_none_that_looks_whole(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 5)
    process = start(REPLACED, tmp_path)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert names(tmp_path) == [".step-00000005", ".step-00000005-removed", "step-00000001"]
    assert checkpoint.latest(tmp_path).progress.step == 1
