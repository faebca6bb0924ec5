"""A run folder in which another process works."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.tiny import environment, phase, recipe, record, start, write_photos
from zoo.runs.claim import claim
from zoo.runs.folder import RunFolder

# Says at its end what it has loaded.
MAIN = """
import sys
from zoo.cli import main
try:
    main(sys.argv[1:])
finally:
    print({"keras", "tensorflow", "jax"} & {*sys.modules})
"""


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """A working folder with a recipe and images in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(recipe(phase("head", "head", epochs=1)).to_toml())
    write_photos(tmp_path / "photos", count=8)
    return tmp_path


def begun(path, status="running"):
    """Makes a run folder that a process has begun."""
    path.mkdir(parents=True)
    RunFolder(path).write_record(record(status))
    RunFolder(path).recipe_path.write_text(recipe().to_toml())
    return path


def contents(path):
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("claimed", "words"),
    [
        ("a", ["finetune", "tiny.toml", "--data", "photos", "--run", "a"]),
        ("s/seed-1", ["finetune", "tiny.toml", "--data", "photos", "--run", "s", "--seeds", "0,1"]),
    ],
    ids=["a new run", "one of several seeds"],
)
def test_a_second_run_is_refused_before_tensorflow_is_loaded_and_writes_nothing(desk, claimed, words):
    (desk / claimed).mkdir(parents=True)
    with claim(desk / claimed):
        before = contents(desk)
        process = start(MAIN, *words)
        out, err = process.communicate(timeout=60)
        assert contents(desk) == before
    assert (process.returncode, out) == (1, "set()\n"), err
    (line,) = err.splitlines()
    assert line.startswith(f"zoo: {claimed}: process {os.getpid()} on {platform.node()} has worked on this run since ")
    assert line.endswith("Z; wait for it, or choose another --run")
    assert not (desk / "s" / "seed-0").exists()


@pytest.mark.parametrize("words", [["--run", "a", "--resume"], ["a", "--resume"], ["tiny.toml", "--run", "a"]])
def test_neither_a_new_run_nor_one_that_goes_on_takes_a_folder_in_which_another_works(typed, desk, words):
    begun(desk / "a")
    with claim(desk / "a"):
        before = contents(desk)
        code, out, err = typed("finetune", *words, "--data", "photos")
        assert contents(desk) == before
    assert (code, out) == (1, "")
    assert err.startswith(f"zoo: a: process {os.getpid()} on {platform.node()} has worked on this run since ")


def test_a_claim_that_is_a_link_empties_nothing(typed, desk):
    begun(desk / "a")
    (desk / "mine.txt").write_text("precious\n")
    (desk / "a" / ".claim").symlink_to(desk / "mine.txt")
    code, _, err = typed("finetune", "--run", "a", "--resume", "--data", "photos")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("zoo: a/.claim: is a link, a folder or a special file;")
    assert (desk / "mine.txt").read_text() == "precious\n"


def test_a_run_that_ends_between_the_look_at_it_and_the_claim_is_not_trained_again(typed, desk, monkeypatch):
    assert typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")[0] == 0
    folder = RunFolder(desk / "a")
    done = folder.record()
    before = contents(desk / "a")
    unfinished = replace(done.without_result(), status="running")
    manifest = (desk / "a" / "manifest.json").read_bytes()
    import zoo.jobs.finetuning

    decide = zoo.jobs.finetuning.decide

    def late(asked):
        folder.write_record(unfinished)
        (desk / "a" / "manifest.json").unlink()
        decided = decide(asked)
        folder.write_record(done)
        (desk / "a" / "manifest.json").write_bytes(manifest)
        return decided

    run = zoo.jobs.finetuning.carry_out(late(zoo.jobs.resuming.Request(recipe=None, run=desk / "a", resume=True)))
    assert run.record["status"] == "done"
    assert contents(desk / "a") == before


def test_what_a_killed_run_left_goes_at_the_next_start_and_is_not_in_the_manifest(typed, desk):
    assert typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")[0] == 0
    folder = RunFolder(desk / "a")
    folder.write_record(replace(folder.record().without_result(), status="running"))
    (desk / "a" / "manifest.json").unlink()
    litter = [
        ".run.json.abcdefgh",
        "model/.card.json.abcdefgh",
        "checkpoints/.step-00000001/x",
        "checkpoints/step-00000001/x",
    ]
    for name in litter:
        (desk / "a" / name).parent.mkdir(exist_ok=True)
        (desk / "a" / name).touch()
    code, _, err = typed("finetune", "a", "--resume")
    assert code == 0, err
    left = {path.relative_to(desk / "a").as_posix() for path in (desk / "a").rglob("*") if path.is_file()}
    assert not left & set(litter)
    assert set(json.loads((desk / "a" / "manifest.json").read_text())["sha256"]) == left - {"manifest.json"}


@pytest.mark.slow
def test_of_two_that_start_at_once_on_one_new_folder_one_trains_and_the_other_is_refused(desk):
    words = [sys.executable, "-c", MAIN, "finetune", "tiny.toml", "--data", "photos", "--run", "photos/new/run"]
    pairs = [
        subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {process.pid: process.communicate(timeout=300) for process in pairs}
    codes = sorted((process.returncode, process.pid) for process in pairs)
    assert [code for code, _ in codes] == [0, 1], said
    winner, loser = codes[0][1], codes[1][1]
    assert f"photos/new/run: process {winner} on" in said[loser][1]
    assert said[loser][0] == "set()\n"
    assert RunFolder(desk / "photos" / "new" / "run").record().classes == ("cat", "dog")
    assert "passed over" not in said[winner][1]


@pytest.mark.slow
def test_a_dead_ones_claim_is_taken_over_and_said(desk, typed):
    process = start(MAIN, "finetune", "tiny.toml", "--data", "photos", "--run", "photos/a")
    file = desk / "photos" / "a" / ".claim"
    while not (file.is_file() and file.stat().st_size):
        assert process.poll() is None
    process.kill()
    process.communicate()
    code, _, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "photos/a")
    assert code == 0, err
    lines = [line for line in err.splitlines() if "takes over" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"photos/a: takes over from process {process.pid} on {platform.node()}, which worked ")
    assert not (desk / "photos" / "a" / ".claim").exists()
