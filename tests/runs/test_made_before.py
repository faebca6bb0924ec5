"""Runs that zoo 0.1.0 made, before its modules moved, load, predict, repeat, resume and train on.

To the bit on the machine that made them, with the same versions; elsewhere to rounding. `made_before/make.py` says how
they were made.
"""

import hashlib
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import zoo
from tests.runs.made_before.make import HERE, machine
from zoo.backend.keras_internals.native_operations import SWITCH
from zoo.cli import main
from zoo.runs.images import read_images

EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
# Each epoch has six batches, of which two make a step; zoo 0.1 counted batches, and called its last checkpoint by them.
ACCUMULATE = 2
CHECKPOINT = "step-00000033-batch-00000066"
MODEL = "model/model.safetensors"
PHOTOS = HERE / "photos"
LEARNING_RATE = 3e-3
UNSEEN = sorted((HERE / "unseen").iterdir())


@pytest.fixture(scope="module", autouse=True)
def _batchnorm_as_then():
    """Leaves BatchNorms to Keras, as zoo 0.1 did."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SWITCH, "0")
        yield


@pytest.fixture(scope="module")
def is_same_machine():
    return machine() == EXPECTED["machine"]


@pytest.fixture(scope="module")
def trains_alike():
    """Random numbers, and so what is trained, are those of a backend."""
    made_by, here = EXPECTED["machine"]["backend"], machine()["backend"]
    if made_by != here:
        pytest.skip(f"the runs were trained on the {made_by} backend; this is {here}")


@pytest.fixture
def finished(tmp_path):
    return shutil.copytree(HERE / "finished", tmp_path / "finished")


@pytest.fixture(scope="module")
def repeated(trains_alike, tmp_path_factory):
    folder = tmp_path_factory.mktemp("repeated")
    old = shutil.copytree(HERE / "finished", folder / "finished")
    return zoo.finetune(old, PHOTOS, run=folder / "run")


@pytest.fixture(scope="module")
def resumed(trains_alike, tmp_path_factory):
    run = shutil.copytree(HERE / "interrupted", tmp_path_factory.mktemp("resumed") / "run")
    assert not (run / MODEL).exists()
    with pytest.raises(SystemExit) as left:
        # With the versions of its time the same to the bit, and with others too it goes on.
        main(["finetune", "--run", str(run), "--resume", "--force", "--data", str(PHOTOS)])
    assert left.value.code == 0
    return zoo.Run(run)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def history(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def in_steps(rows):
    """Returns lines of zoo 0.1, which called batches steps, as a run that goes on has them."""
    return [{**row, "step": row["step"] // ACCUMULATE} for row in rows]


def check_same_weights(run, *, to_the_bit):
    """Compares the weights of a run with those of finished/, and what they give."""
    if to_the_bit:
        assert hashlib.sha256((run / MODEL).read_bytes()).hexdigest() == EXPECTED["weights"]
    expected = np.load(HERE / "probabilities.npy")
    np.testing.assert_allclose(zoo.load(run).predict_proba(UNSEEN), expected, rtol=0, atol=1e-4)
    found, expected = load_file(run / MODEL), load_file(HERE / "finished" / MODEL)
    assert list(found) == list(expected)
    for path, array in expected.items():
        # A weight that the result does not depend on has a gradient of rounding, of which AdamW makes whole steps.
        np.testing.assert_allclose(found[path], array, rtol=0, atol=LEARNING_RATE, err_msg=path)


def check_same_figures(run, *, to_the_bit):
    """Compares what a run wrote down with what finished/ did, but for the time that it took."""
    tolerance = 0 if to_the_bit else 1e-4
    new, old = history(run), history(HERE / "finished")
    assert len(new) == len(old)
    for row, expected in zip(new, old, strict=True):
        for name, value in expected.items():
            if isinstance(value, float) and "seconds" not in name:
                assert row[name] == pytest.approx(value, rel=0, abs=tolerance), name
            elif name == "step":
                assert row[name] == value // ACCUMULATE, name
            elif "seconds" not in name:
                assert row[name] == value, name
    record, expected = read(run / "run.json"), read(HERE / "finished" / "run.json")
    expected["kept"]["step"] //= ACCUMULATE
    for name in ("metrics", "kept"):
        assert record[name] == pytest.approx(expected[name], rel=0, abs=tolerance)
    for name in ("classes", "data", "batch", "split"):
        assert record[name] == expected[name]
    assert [phase["plan"] for phase in record["phases"]] == [phase["plan"] for phase in expected["phases"]]


def names_in(value, place=()):
    """Lists the keys in a JSON document with all that they are in."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {place}.union(*(names_in(inner, (*place, key)) for key, inner in items))


def test_the_fixture_is_what_was_made():
    assert hashlib.sha256((HERE / "finished" / MODEL).read_bytes()).hexdigest() == EXPECTED["weights"]
    for name, wanted in read(HERE / "finished" / "manifest.json")["sha256"].items():
        assert hashlib.sha256((HERE / "finished" / name).read_bytes()).hexdigest() == wanted, name
    assert read(HERE / "interrupted" / "run.json")["status"] == "interrupted"


def test_it_gives_the_probabilities_that_it_gave(finished, is_same_machine):
    expected = np.load(HERE / "probabilities.npy")
    classifier = zoo.load(finished)
    found = classifier.predict_proba(UNSEEN)
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    if is_same_machine:
        np.testing.assert_array_equal(found, expected)
    assert [one.label for one in classifier.predict(UNSEEN)] == EXPECTED["labels"]


def test_it_measures_what_it_measured(finished, is_same_machine, capsys):
    words = ["evaluate", str(finished), "--data", str(PHOTOS), "--split", "validation", "--json"]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    document, record = json.loads(capsys.readouterr().out), read(finished / "run.json")
    assert document["metrics"] == pytest.approx(record["metrics"], rel=0, abs=0 if is_same_machine else 1e-5)
    correct = {name: one["correct"] for name, one in record["per_class"].items()}
    assert {name: one["correct"] for name, one in document["per_class"].items()} == correct


def test_it_repeats(repeated, is_same_machine):
    check_same_weights(repeated.path, to_the_bit=is_same_machine)
    check_same_figures(repeated.path, to_the_bit=is_same_machine)
    repeats = repeated.record["repeats"]
    assert repeats["same_data"] is True
    if is_same_machine:
        assert repeats["same_result"] is True


def test_an_interrupted_one_resumes_to_the_weights_of_the_finished_one(resumed, is_same_machine):
    assert resumed.record["status"] == "done"
    assert history(resumed.path)[:8] == in_steps(history(HERE / "interrupted"))
    check_same_weights(resumed.path, to_the_bit=is_same_machine)
    check_same_figures(resumed.path, to_the_bit=is_same_machine)


def test_it_trains_on(finished, trains_alike, tmp_path):
    longer = zoo.finetune(finished, PHOTOS, run=tmp_path / "longer", more_epochs=1)
    old = history(finished)
    assert longer.history[: len(old)] == in_steps(old)
    assert [(row["phase"], row["epoch_in_phase"]) for row in longer.history[len(old) :]] == [("all", 6)]


def test_a_run_of_now_has_every_file_and_every_key_of_one_made_before(repeated, resumed):
    old = HERE / "finished"
    files = [file.relative_to(old) for file in old.rglob("*") if file.is_file()]
    documents = [file for file in files if file.suffix == ".json" and file.name != "images.json"]
    assert len(files) > len(documents) > 3
    for run in (repeated.path, resumed.path):
        now = {file: run / str(file).replace("step-00000066", CHECKPOINT) for file in files}
        assert [file for file in now.values() if not file.is_file()] == []
        for file in documents:
            if file.name == "manifest.json" and len(file.parts) == 1:  # its keys are the files
                continue
            assert names_in(read(old / file)) - names_in(read(now[file])) == set(), file
        assert read_images(run).splits == read_images(old).splits
        for row, before in zip(history(run), history(old), strict=True):
            assert set(before) - set(row) == set()
