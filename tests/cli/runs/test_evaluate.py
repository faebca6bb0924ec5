import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import write_photos
from zoo.evaluation.scores import score


def test_evaluate(typed, finished):
    code, out, err = typed("evaluate", finished.run.path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["class", "images", "recall", "precision", "F1"]
    assert [line.split()[:2] for line in lines[1:3]] == [["cat", "5"], ["dog", "5"]]
    metrics = finished.run.metrics
    assert [f"{100 * metrics[f'macro_{name}']:.1f}" for name in ("recall", "precision", "f1")] == lines[3].split()[3::2]
    assert lines[5].startswith(f"accuracy {100 * metrics['accuracy']:.1f} % of 10 validation images (95 % interval ")
    assert lines[6] == f"of {finished.run.path}, in {finished.data}"
    # The confusion matrix: rows are the classes, and sum to their images.
    assert lines[8].split() == ["class", "\\", "called", "cat", "dog"]
    assert [sum(int(count) for count in line.split()[1:] if count != ".") for line in lines[9:]] == [5, 5]


@pytest.fixture
def confused(finished, tmp_path):
    """Images of which some are in the other class's folder: the run knows cats from dogs."""
    photos = write_photos(tmp_path / "photos", count=6, seed=8)
    images = sorted((photos / "dog").iterdir())
    shutil.copy(images[0], photos / "cat" / "stray.png")
    shutil.copy(images[1], photos / "cat" / "Stray.PNG")
    result = zoo.evaluate(finished.run.path, photos)
    assert result.wrong
    return photos, result


def test_a_wrong_image_takes_two_lines_where_the_screen_is_too_narrow_for_one(typed, finished, confused, monkeypatch):
    photos, result = confused
    monkeypatch.setenv("COLUMNS", "60")
    out = typed("evaluate", finished.run.path, "--data", photos, "--wrong")[1]
    one = result.wrong[0]
    assert f"{one.path}\n    {one.truth}, called {one.called} {100 * one.probability:.1f} %\n" in out


def test_the_wrong_images_are_listed_most_confident_first_and_in_json(typed, finished, confused):
    photos, result = confused
    code, out, _ = typed("evaluate", finished.run.path, "--data", photos, "--wrong")
    assert code == 0
    listed = [line for line in out.splitlines() if line.startswith(str(photos))]
    assert listed == [
        f"{one.path}  {one.truth}, called {one.called} {100 * one.probability:.1f} %" for one in result.wrong
    ]
    shown = [one.probability for one in result.wrong]
    assert shown == sorted(shown, reverse=True)
    code, out, _ = typed("evaluate", finished.run.path, "--data", photos, "--wrong", "--json")
    assert json.loads(out)["wrong"] == [asdict(one) for one in result.wrong]


def test_the_wrong_images_are_copied_into_a_new_folder_only(typed, finished, confused, tmp_path):
    photos, result = confused
    words = ("evaluate", finished.run.path, "--data", photos, "--wrong-to")
    code, out, _ = typed(*words, tmp_path / "wrong")
    assert (code, out.splitlines()[-1]) == (0, f"{len(result.wrong)} wrong images  {tmp_path / 'wrong'}")
    copies = [file for file in (tmp_path / "wrong").rglob("*") if file.is_file()]
    assert sorted(file.read_bytes() for file in copies) == sorted(Path(one.path).read_bytes() for one in result.wrong)
    assert {file.parent.name for file in copies} <= {"cat, called dog", "dog, called cat"}
    for place, message in (
        (tmp_path / "wrong", f"{tmp_path / 'wrong'}: is there already; expected a new folder; choose another"),
        (photos / "wrong", f"{photos / 'wrong'}: lies among the images, where it would be read as a class"),
    ):
        code, out, err = typed(*words, place)
        assert (code, out) == (1, "")
        assert err.startswith(f"zoo: {message}")


def test_the_confusion_matrix_is_drawn(typed, finished, tmp_path):
    code, out, _ = typed("evaluate", finished.run.path, "--plot", tmp_path / "confusion.png")
    assert (code, out.splitlines()[-1]) == (0, f"confusion matrix  {tmp_path / 'confusion.png'}")
    with Image.open(tmp_path / "confusion.png") as image:
        assert image.format == "PNG"


def test_many_classes_have_no_matrix_on_the_screen():
    from zoo.cli.runs.evaluate import _confusion_table

    for count, shown in ((10, True), (16, False)):
        names = [f"{number}" for number in range(count)]
        assert bool(_confusion_table(score(np.eye(count), np.arange(count), names))) == shown
    assert not _confusion_table(score(np.eye(3), np.arange(3), ["a" * 40, "b" * 40, "c" * 40]))


def test_evaluate_as_json(typed, finished, tmp_path):
    photos = write_photos(tmp_path / "photos", count=3, seed=8)
    code, out, _ = typed("evaluate", finished.run.path, "--data", photos, "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document) == [
        *("schema", "kind", "images", "metrics", "intervals", "per_class", "classes", "confusion"),
        *("split", "run", "data", "missing", "trained_on", "newer", "warnings"),
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


def test_what_is_not_a_run_is_refused(typed, tmp_path):
    place = tmp_path / "alone" / "photos"  # a run beside it, of another test, would be offered
    place.mkdir(parents=True)
    code, out, err = typed("evaluate", place)
    assert (code, out) == (1, "")
    assert err == (f"zoo: {place}: is not a run folder (no run.json in it); expected one that 'zoo finetune' left\n")
