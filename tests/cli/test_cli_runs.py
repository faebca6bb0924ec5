import json

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
    assert list(document) == ["schema", "kind", "images", "metrics", "intervals", "per_class"]
    assert (document["schema"], document["kind"], document["images"]) == (1, "evaluate", 6)
    assert set(document["metrics"]) == {"accuracy", "balanced_accuracy", "loss"}
    low, high = document["intervals"]["accuracy"]
    assert low <= document["metrics"]["accuracy"] <= high
    assert set(document["per_class"]["cat"]) == {"images", "correct", "accuracy", "precision"}


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


def test_predict_prints_a_line_an_image(typed, finished):
    cats = finished.data / "cat"
    code, out, err = typed("predict", finished.run.path, cats, finished.data / "dog" / "001.png")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 21
    assert lines[0].startswith(f"{cats / '000.png'}  ")
    shares = lines[0].split("  ")[1:]
    assert len(shares) == 2
    first, second = (float(share.split()[1]) for share in shares)
    assert first >= second
    assert first + second == pytest.approx(100, abs=0.11)


def test_predict_as_json_lines(typed, finished):
    image = finished.data / "dog" / "001.png"
    code, out, _ = typed("predict", finished.run.path, image, "--json")
    document = json.loads(out)
    assert code == 0
    (expected,) = finished.run.classifier.predict([image])
    assert list(document) == ["path", "label", "probability", "probabilities"]
    assert document == expected.to_json()


def test_predict_goes_on_after_a_bad_file(typed, finished, tmp_path):
    bad, good = tmp_path / "bad.png", finished.data / "dog" / "001.png"
    bad.write_text("no image")
    code, out, err = typed("predict", finished.run.path, bad, good, tmp_path / "gone.png", "--json")
    first, second, third = map(json.loads, out.splitlines())
    assert (code, err) == (1, "")
    assert list(first) == ["path", "error"]
    assert first["path"] == str(bad)
    assert first["error"].startswith(f"{bad}: is a text, not an image")
    assert second["path"] == str(good)
    assert "there is no such file" in third["error"]
    code, out, err = typed("predict", finished.run.path, bad, good)
    assert code == 1
    assert err.startswith(f"zoo: {bad}: is a text, not an image")
    assert out.startswith(f"{good}  ")
    assert len(out.splitlines()) == 1


def test_predict_says_that_a_folder_is_empty(typed, finished, tmp_path):
    code, out, err = typed("predict", finished.run.path, tmp_path)
    assert (code, out) == (1, "")
    assert err == f"zoo: {tmp_path}: holds no images; expected some in the folder or below it\n"


@pytest.mark.parametrize("verb", [["evaluate"], ["predict"]])
def test_what_is_no_run_is_refused(typed, tmp_path, verb):
    code, out, err = typed(*verb, tmp_path, *(["a.png"] if verb == ["predict"] else []))
    assert (code, out) == (1, "")
    assert err == (f"zoo: {tmp_path}: is no run folder (no run.json in it); expected one that 'zoo finetune' left\n")


def test_predict_without_images_is_a_usage_error(typed, tmp_path):
    code, _, err = typed("predict", tmp_path)
    assert code == 2
    assert "Missing argument 'PATH...'" in err
