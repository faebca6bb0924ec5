import json

import numpy as np
import pytest

from tests.tiny import write_photos


def test_evaluate(typed, finished):
    code, out, err = typed("evaluate", finished.run.path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["class", "images", "accuracy", "precision"]
    assert [line.split()[:2] for line in lines[1:3]] == [["cat", "5"], ["dog", "5"]]
    accuracy = finished.run.metrics["accuracy"]
    assert lines[-1].startswith(f"accuracy {100 * accuracy:.1f} % of 10 images (95 % interval ")


def test_evaluate_as_json(typed, finished, tmp_path):
    photos = write_photos(tmp_path / "photos", count=3, seed=8)
    code, out, _ = typed("evaluate", finished.run.path, "--data", photos, "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document) == [
        *("schema", "kind", "images", "metrics", "intervals", "per_class", "classes", "confusion"),
        *("split", "run", "data", "missing", "trained_on", "warnings"),
    ]
    assert (document["split"], document["run"], document["data"]) == ("all", str(finished.run.path), str(photos))
    assert (document["missing"], document["trained_on"], document["warnings"]) == (0, 0, [])
    assert np.sum(document["confusion"]) == 6
    assert (document["schema"], document["kind"], document["images"]) == (1, "evaluate", 6)
    assert set(document["metrics"]) == set(finished.run.metrics)
    low, high = document["intervals"]["accuracy"]
    assert low <= document["metrics"]["accuracy"] <= high
    assert set(document["per_class"]["cat"]) == {*("images", "correct", "accuracy", "precision", "recall", "f1")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "tset"], "the data has no split 'tset'; it has train, validation; choose one with --split"),
        (
            ["--data", "gone"],
            "gone: no such file or folder. Give a folder with one subfolder of images per class with ",
        ),
    ],
)
def test_evaluate_refuses(typed, finished, words, message):
    code, out, err = typed("evaluate", finished.run.path, *words)
    assert (code, out) == (1, "")
    assert err.startswith(f"zoo: {message}")


def test_what_is_no_run_is_refused(typed, tmp_path):
    code, out, err = typed("evaluate", tmp_path)
    assert (code, out) == (1, "")
    assert err == (f"zoo: {tmp_path}: is no run folder (no run.json in it); expected one that 'zoo finetune' left\n")
