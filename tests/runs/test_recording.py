import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.tiny import record
from zoo.runs.folder import RunFolder
from zoo.runs.record import ResultRecord
from zoo.runs.recording import recording
from zoo.system.integrity.manifests import read_manifest
from zoo.system.sealing import read_document

FIRST = {"images.json": '{"first": 1}\n', "recipe.toml": 'name = "first"\n'}
SECOND = {"images.json": '{"second": 22}\n', "recipe.toml": 'name = "second"\n'}


def false_hashes(path):
    """Lists the files whose hash in run.json is another's; a run that has no run.json has none."""
    if not (path / "run.json").is_file():
        return []
    hashes = read_document(path / "run.json").values.get("sha256", {})
    return [
        name
        for name, sha256 in hashes.items()
        if not (path / name).is_file() or hashlib.sha256((path / name).read_bytes()).hexdigest() != sha256
    ]


def states_of(path, monkeypatch, work):
    """Does a work, and copies the folder after each file that it puts into its place, as a kill would leave it."""
    states = []
    replace = Path.replace

    def replacing(self, target):
        replaced = replace(self, target)
        states.append(shutil.copytree(path, Path(tempfile.mkdtemp(dir=path.parent)) / "killed"))
        return replaced

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replacing)
        work()
    return states


def begin(path, texts):
    with recording(RunFolder(path), record(), texts):
        pass


def test_the_record_has_the_hash_of_the_recipe_and_of_the_images(tmp_path):
    begin(tmp_path, FIRST)
    assert RunFolder(tmp_path).record().sha256 == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in FIRST.items()
    }


def test_no_kill_at_the_beginning_leaves_a_hash_that_is_anothers(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.mkdir()
    states = [
        state
        for texts in (FIRST, FIRST, SECOND, {**SECOND, "images.json": FIRST["images.json"]})
        for state in states_of(path, monkeypatch, lambda texts=texts: begin(path, texts))
    ]
    assert len(states) == 4 + 1 + 4 + 3
    assert [false_hashes(state) for state in states] == [[]] * len(states)


def test_what_is_there_as_it_should_be_is_covered_all_the_time_and_not_written_again(tmp_path, monkeypatch):
    path = tmp_path / "run"
    path.mkdir()
    begin(path, FIRST)
    before = (path / "recipe.toml").stat().st_ino
    states = states_of(path, monkeypatch, lambda: begin(path, FIRST))
    assert [set(RunFolder(state).record().sha256) for state in states] == [set(FIRST)]
    assert (path / "recipe.toml").stat().st_ino == before


def test_a_run_that_is_killed_before_its_manifest_has_a_hash_of_every_file(tmp_path, monkeypatch):
    path = tmp_path / "run"
    (path / "model").mkdir(parents=True)
    for name in ("metrics.jsonl", "history.png", "model/card.json"):
        (path / name).write_text(name)

    def end():
        with recording(RunFolder(path), record(), FIRST) as recorded:
            recorded.done(ResultRecord(split=None, metrics={}, per_class={}))

    *_, killed, whole = states_of(path, monkeypatch, end)
    assert not (killed / "manifest.json").exists()
    assert (RunFolder(killed).record().status, false_hashes(killed)) == ("done", [])
    names = ["history.png", "images.json", "metrics.jsonl", "model/card.json", "recipe.toml"]
    assert sorted(RunFolder(killed).record().sha256) == names
    assert sorted(read_manifest(whole).sha256) == sorted([*names, "run.json"])


def test_a_run_that_is_interrupted_after_its_manifest_has_none_that_differs(tmp_path):
    with pytest.raises(KeyboardInterrupt), recording(RunFolder(tmp_path), record(), FIRST) as recorded:
        recorded.done(ResultRecord(split=None, metrics={}, per_class={}))
        assert (tmp_path / "manifest.json").is_file()
        raise KeyboardInterrupt
    assert not (tmp_path / "manifest.json").exists()
    assert RunFolder(tmp_path).record().status == "interrupted"
