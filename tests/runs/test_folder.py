import errno
import hashlib
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.tiny import as_typed, record, start
from zoo.errors import NotFoundError, RunError
from zoo.runs.folder import RunFolder, default_path, first_there, remove_empty, reserve_default_path
from zoo.runs.record import ResultRecord
from zoo.system.files import sha256, write_atomic
from zoo.system.sealing import read_document


def disk_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_write_atomic_names_the_file_that_cannot_be(tmp_path):
    with pytest.raises(OSError) as raised:
        write_atomic(tmp_path / "gone" / "run.json", "")
    assert raised.value.filename == str(tmp_path / "gone" / "run.json")


def test_write_atomic_replaces_the_content(tmp_path):
    file = tmp_path / "run.json"
    write_atomic(file, "grün")
    assert file.read_bytes() == b"gr\xc3\xbcn"
    write_atomic(file, b"\x00\xff")
    assert file.read_bytes() == b"\x00\xff"
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace"), (os, "fdopen")])
@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch, owner, call, fault):
    file = tmp_path / "run.json"
    file.write_text("old")

    def fail(*_):
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(owner, call, fail)
        with pytest.raises(type(fault)):
            write_atomic(file, "new and longer")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_write_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_atomic(tmp_path / "run.json", "new")
    assert raised.value.filename == str(tmp_path / "run.json")


def test_sha256_is_that_of_fips_180(tmp_path):
    # FIPS 180-4, the example "abc".
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_default_path_is_recipe_and_utc_time():
    assert re.fullmatch(r"runs/pets-\d{8}T\d{6}Z", default_path("pets").as_posix())


def test_create_takes_a_new_path_and_an_empty_folder(tmp_path):
    assert RunFolder.create(tmp_path / "a" / "b").path.is_dir()
    assert RunFolder.create(tmp_path / "a" / "b").path == tmp_path / "a" / "b"


def test_create_takes_a_folder_that_a_killed_process_only_claimed(tmp_path):
    (tmp_path / ".claim").touch()
    (tmp_path / ".run.json.k2j4h1").touch()
    (tmp_path / "run.json").touch()  # recipe.toml comes next, and is not there
    assert not RunFolder(tmp_path).is_begun
    assert RunFolder.create(tmp_path).path == tmp_path


def test_create_refuses_a_file(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(RunError) as raised:
        RunFolder.create(tmp_path / "run")
    assert str(raised.value) == f"{tmp_path}/run: is a file; expected a new folder for the run; choose another --run"


def test_create_refuses_an_earlier_run_and_tells_how_to_go_on(tmp_path):
    RunFolder(tmp_path).write_record(record())
    RunFolder(tmp_path).recipe_path.touch()
    with pytest.raises(RunError) as raised:
        RunFolder.create(tmp_path)
    assert str(raised.value) == (
        f"{tmp_path}: is there already; expected a new folder; choose another --run, "
        f"or go on with it: zoo finetune --run {as_typed(tmp_path)} --resume"
    )


def test_create_does_not_offer_to_go_on_with_what_is_not_a_run(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(RunError) as raised:
        RunFolder.create(tmp_path)
    assert str(raised.value) == f"{tmp_path}: is not empty; expected a new folder; choose another --run"


def test_create_refuses_a_path_below_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError) as raised:
        RunFolder.create(tmp_path / "file" / "run")
    assert str(raised.value) == (
        f"{tmp_path}/file/run: cannot be written (Not a directory); choose another folder with --run DIR"
    )


def test_create_refuses_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    # Root may write anywhere: the operating system's error is raised by hand.
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(RunError, match=r"cannot be written \(Permission denied\); choose another folder with --run"):
        RunFolder.create(tmp_path / "run")


def test_open_refuses_what_is_not_a_run(tmp_path):
    with pytest.raises(NotFoundError) as raised:
        RunFolder.open(tmp_path / "empty")
    assert str(raised.value) == (
        f"{tmp_path / 'empty'}: is not a run folder (no run.json in it); expected one that 'zoo finetune' left"
    )


def test_record_comes_back_as_it_was_written(tmp_path):
    folder = RunFolder(tmp_path)
    result = ResultRecord(split="validation", metrics={"accuracy": 0.1 + 0.2}, per_class={"猫": {"recall": None}})
    written = record("done", classes=("Käse", "猫"), result=result)
    folder.write_record(written)
    assert RunFolder.open(tmp_path).record() == written
    assert "猫" in (tmp_path / "run.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", "{", "[]", b"\xff"])
def test_a_damaged_record_is_refused(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RunError, match=f"^{re.escape(str(path))}: cannot be read \\("):
        RunFolder.open(tmp_path).record()


def test_a_record_of_a_later_zoo_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": 2}')
    with pytest.raises(RunError) as raised:
        RunFolder.open(tmp_path).record()
    assert str(raised.value) == f"{tmp_path}/run.json: schema is 2; expected 1; use a newer zoo"


def test_metrics_come_back_as_they_were_written_a_line_each(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.metrics() == []
    rows = [{"phase": "head", "loss": 1 / 3, "val_loss": None}, {"phase": "all", "loss": 1e-300, "val_loss": 0.5}]
    folder.write_metrics(rows)
    assert folder.metrics() == rows
    assert [json.loads(line) for line in folder.metrics_path.read_text().splitlines()] == rows


def test_a_line_of_metrics_is_added_to_those_that_are_there(tmp_path):
    folder = RunFolder(tmp_path)
    rows = [{"phase": "weiß", "epoch": epoch} for epoch in (1, 2, 3)]
    folder.append_metrics(rows[0])
    place = folder.metrics_path.stat().st_ino
    for row in rows[1:]:
        folder.append_metrics(row)
    assert folder.metrics() == rows
    assert folder.metrics_path.stat().st_ino == place  # not written anew beside it


def test_a_last_line_of_metrics_that_a_crash_cut_is_left_out(tmp_path):
    folder = RunFolder(tmp_path)
    rows = [{"phase": "head", "loss": 0.5}, {"phase": "head", "loss": 0.25}]
    folder.write_metrics(rows)
    whole = folder.metrics_path.read_bytes()
    first, second = whole.splitlines()
    for cut in range(len(first) + 1, len(first) + 1 + len(second)):
        folder.metrics_path.write_bytes(whole[:cut])
        assert folder.metrics() == rows[:1], cut
    folder.metrics_path.write_bytes(whole[:-1])
    assert folder.metrics() == rows
    folder.metrics_path.write_bytes(whole[: len(first) + 1] + bytes(len(second)))  # what a power cut leaves
    assert folder.metrics() == rows[:1]


def test_a_damaged_line_among_metrics_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics_path.write_text('{"phase": "head"}\n{"phase":\n{"phase": "all"}\n')
    with pytest.raises(RunError) as raised:
        folder.metrics()
    assert str(raised.value) == (
        f"{folder.metrics_path}: line 2 cannot be read (Expecting value: line 1 column 10 (char 9)); "
        "put back the file that zoo wrote, or begin a new run"
    )


def test_the_manifest_has_the_hash_of_every_finished_file(tmp_path):
    folder = RunFolder(tmp_path)
    files = {"run.json": b"{}", "model/card.json": b"\x00", "checkpoints/step-00000001/state.safetensors": b"s"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".claim").touch()
    (tmp_path / "checkpoints" / ".step-00000002").mkdir()  # a checkpoint that is half removed
    (tmp_path / "checkpoints" / ".step-00000002" / "state.safetensors").touch()
    for _ in range(2):  # the second time it is there itself
        folder.write_manifest()
    document = read_document(tmp_path / "manifest.json")
    assert document.is_sealed
    assert document.values == {
        "schema": 1,
        "kind": "manifest",
        "bytes": {name: len(content) for name, content in sorted(files.items())},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }


def test_no_keras_is_needed():
    code = (
        "import sys, zoo.runs.folder, zoo.runs.claim, zoo.runs.checkpoint; print({'keras', 'numpy'} & {*sys.modules})"
    )
    out, _ = start(code).communicate(timeout=60)
    assert out == "set()\n"


def test_a_reserved_folder_is_not_another_process_s(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("zoo.runs.folder.default_path", lambda name: Path("runs") / f"{name}-now")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: reserve_default_path("pets").name, range(8)))
    assert sorted(found) == ["pets-now", *(f"pets-now-{number}" for number in range(2, 9))]


def test_folders_that_were_made_for_nothing_are_removed_up_to_what_was_there(tmp_path):
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "a" / "b"
    above = first_there(path)
    assert above == tmp_path / "there"
    path.mkdir(parents=True)
    remove_empty(path, up_to=above)
    assert list((tmp_path / "there").iterdir()) == []
    path.mkdir(parents=True)
    (path / "run.json").touch()
    remove_empty(path, up_to=above)
    assert (path / "run.json").is_file()


def test_a_place_that_cannot_be_written_is_known_before_anything_is_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/a/b: cannot be written \(Not a directory\)"):
        RunFolder.refuse_taken(tmp_path / "file" / "a" / "b")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError, match=r"new/run: cannot be written \(Permission denied\); choose another folder"):
        RunFolder.refuse_taken(tmp_path / "new" / "run")
    assert not (tmp_path / "new").exists()


def test_a_run_whose_name_is_mistyped_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "runs" / "pets").mkdir(parents=True)
    (tmp_path / "runs" / "pets" / "run.json").touch()
    with pytest.raises(NotFoundError, match=r"expected one that 'zoo finetune' left\. Did you mean 'pets'\?$"):
        RunFolder.open(tmp_path / "runs" / "pest")
    with pytest.raises(NotFoundError, match=r"expected one that 'zoo finetune' left$"):
        RunFolder.open(tmp_path / "gone" / "pest")


def test_a_run_that_cannot_be_written_does_not_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RunError) as raised:
        RunFolder(tmp_path).refuse_read_only()
    assert str(raised.value) == (
        f"{tmp_path}: cannot be written (Permission denied); train it again in a folder of yours: "
        f"zoo finetune {as_typed(tmp_path)} --run DIR"
    )
