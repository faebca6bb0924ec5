"""call.py: one readable file that answers without zoo, on the command line and in a program."""

import ast
import hashlib
import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.tiny import environment
from zoo import errors
from zoo.errors import ZooError
from zoo.export.call.composing import compose, requirements
from zoo.export.call.main import UNSHOWABLE, read_export
from zoo.registry.exports import EXPORTS, ExportFormat
from zoo.system.sealing import sealed

PLAIN = ExportFormat(
    name="plain",
    summary="by hand",
    files=("weights.npy",),
    runtime="tests.export.plain_runtime",
    runs_with=("numpy",),
    build=print,
)
WITH_A_RUNTIME = ["keras", "litert", "onnx", "openvino", "saved_model"]
# Where these are imported, all is as if they were not installed.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(["zoo", "keras", "tensorflow", "jax"]))
path, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = path
runpy.run_path(path, run_name="__main__")
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """An export of the plain format: the reddest photo is a cat, the greenest a dog."""
    folder = tmp_path_factory.mktemp("plain")
    np.save(folder / "weights.npy", np.array([[9.0, 0.0], [0.0, 9.0], [0.0, 0.0]]))
    document = {
        "schema": 1,
        "kind": "export",
        "files": {"weights.npy": hashlib.sha256((folder / "weights.npy").read_bytes()).hexdigest()},
        "classes": ["cat", "dog \x1b[1m"],
        "input": {"shape": [4, 6, 3]},
        "fit": {"resize": "crop", "crop_share": 1.0, "interpolation": "bilinear", "white": 0},
    }
    (folder / "export.json").write_text(sealed(document))
    (folder / "call.py").write_text(compose(PLAIN))
    return folder


@pytest.fixture
def photos(tmp_path):
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "red.png")
    Image.new("RGB", (40, 30), (0, 255, 0)).save(tmp_path / "green.jpg", quality=100)
    (tmp_path / "letter.jpg").write_text("no photo")
    return tmp_path


def call(export, *arguments, stdin=None, **options):
    command = [sys.executable, "-I", "-c", WITHOUT, str(export / "call.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, **options)


def test_a_line_for_each_photo_as_predict_prints_them(export, photos):
    done = call(export, "red.png", "green.jpg", cwd=photos)
    assert (done.returncode, done.stderr) == (0, "")
    # e^9 / (e^9 + 1) = 0.99988
    assert done.stdout.splitlines() == [
        "red.png  cat 100.0 %  dog \\x1b[1m 0.0 %",
        "green.jpg  dog \\x1b[1m 100.0 %  cat 0.0 %",
    ]
    assert call(export, "red.png", "--top", "1", cwd=photos).stdout == "red.png  cat 100.0 %\n"


def test_json_lines_and_a_photo_that_cannot_be_read(export, photos):
    done = call(export, "red.png", "letter.jpg", "nowhere.png", "green.jpg", "--json", cwd=photos)
    assert done.returncode == 1
    red, letter, nowhere, green = map(json.loads, done.stdout.splitlines())
    share = math.exp(9) / (math.exp(9) + 1)
    assert red == {
        "path": "red.png",
        "label": "cat",
        "probability": pytest.approx(share, abs=1e-7),
        "probabilities": {"cat": pytest.approx(share, abs=1e-7), "dog \x1b[1m": pytest.approx(1 - share, abs=1e-7)},
    }
    assert letter["path"] == "letter.jpg"
    assert letter["error"].startswith("letter.jpg: cannot be read as a photo (cannot identify image file")
    assert nowhere["error"] == "nowhere.png: cannot be read as a photo (No such file or directory)"
    assert green["label"] == "dog \x1b[1m"
    plain = call(export, "letter.jpg", "red.png", cwd=photos)
    assert (plain.returncode, plain.stdout) == (1, "red.png  cat 100.0 %  dog \\x1b[1m 0.0 %\n")
    assert plain.stderr.startswith("letter.jpg: cannot be read as a photo (")


@pytest.mark.parametrize("end", ["\n", "\0", "\r\n"])
def test_paths_come_from_a_list_too(export, photos, end):
    text = end.join(["red.png", "green.jpg", ""])
    done = call(export, "--json", "--top", "1", "--paths-from", "-", stdin=text, cwd=photos)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["path"] for one in answers] == ["red.png", "green.jpg"]
    assert [list(one["probabilities"]) for one in answers] == [["cat"], ["dog \x1b[1m"]]
    (photos / "list.txt").write_text(text)
    assert len(call(export, "red.png", "--paths-from", "list.txt", cwd=photos).stdout.splitlines()) == 3


def test_names_are_shown_as_zoo_shows_them(export, photos):
    """Such as the narrow space in the names of screenshots, and the signs that join emoji."""
    assert UNSHOWABLE.pattern == errors.UNSHOWABLE.pattern
    name = "8.01\u202fPM \u3000🐕\u200d🦺 \u202e.png"
    (photos / name).write_bytes((photos / "red.png").read_bytes())
    done = call(export, name, "--top", "1", cwd=photos)
    assert done.stdout == f"{errors.printable(name)}  cat 100.0 %\n"
    (photos / name).unlink()


def test_nothing_to_classify_is_a_fault_of_usage(export, photos):
    assert call(export).returncode == 2
    assert call(export, "red.png", "--top", "0", cwd=photos).returncode == 2


def test_more_photos_than_a_batch_keep_their_order(export, photos):
    names = ["red.png", "green.jpg", "letter.jpg", "red.png"] * 20
    done = call(export, "--json", "--paths-from", "-", stdin="\n".join(names), cwd=photos)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["path"] for one in answers] == names
    of = {"red.png": "cat", "green.jpg": "dog \x1b[1m", "letter.jpg": None}
    assert [one.get("label") for one in answers] == [of[name] for name in names]


def test_a_reader_that_goes_away_ends_it_quietly(export, photos):
    names = "\n".join(["red.png"] * 2000)
    command = f"{sys.executable} -I {export / 'call.py'} --paths-from - | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, input=names, cwd=photos)
    assert (done.stdout, done.stderr) == ("red.png  cat 100.0 %  dog \\x1b[1m 0.0 %\n", "")


def test_a_program_imports_the_classifier(export, photos):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from call import Classifier\n"
        "classifier = Classifier()\n"
        "red, green, bad = classifier.predict(['red.png', open('green.jpg', 'rb').read(), b'none'])\n"
        "print(red['path'], red['label'], green['path'], green['label'][:3], bad['error'][:15])\n"
        "print(classifier.read('red.png').shape, classifier.compute(classifier.read('red.png')[None]).dtype)\n"
        "print(*{one.split('.')[0] for one in sys.modules} & {'zoo', 'keras', 'tensorflow', 'jax'})\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, str(export)], capture_output=True, text=True, cwd=photos)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["red.png cat None dog bytes: cannot b", "(4, 6, 3) float32", ""]


def test_a_model_file_that_is_another_is_refused(export, photos, tmp_path):
    damaged = shutil.copytree(export, tmp_path / "damaged")
    np.save(damaged / "weights.npy", np.zeros((3, 2)))
    done = call(damaged, "red.png", cwd=photos)
    assert (done.returncode, done.stdout) == (1, "")
    place = damaged / "weights.npy"
    assert done.stderr == f"call.py: {place}: is not the file that was exported (its SHA-256 is another)\n"
    (damaged / "weights.npy").unlink()
    assert "No such file or directory" in call(damaged, "red.png", cwd=photos).stderr


ADVICE = "; copy the whole folder again, or export the run anew\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[: len(text) // 2], "is damaged: not JSON ("),
        (lambda text: "", "is damaged: not JSON (Expecting value: line 1 column 1 (char 0))"),
        (lambda text: "[" * 100_000, "is damaged: not JSON (maximum recursion depth exceeded"),
        (lambda text: text.replace("bilinear", "bicubic"), "was changed after it was written (its seal is not that of"),
        (lambda text: text.replace('"seal"', '"deal"'), "was changed after it was written (its seal is not that of"),
    ],
)
def test_a_damaged_document_is_a_line(export, photos, tmp_path, change, says):
    damaged = shutil.copytree(export, tmp_path / "damaged")
    place = damaged / "export.json"
    place.write_text(change(place.read_text()))
    done = call(damaged, "red.png", cwd=photos)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"call.py: {place}: {says}") and done.stderr.endswith(ADVICE)


def test_a_missing_document_is_a_line(export, photos, tmp_path):
    (tmp_path / "alone").mkdir()
    shutil.copy(export / "call.py", tmp_path / "alone")
    done = call(tmp_path / "alone", "red.png", cwd=photos)
    assert done.returncode == 1
    place = tmp_path / "alone" / "export.json"
    says = f"{place}: cannot be read (No such file or directory), and call.py belongs beside it"
    assert done.stderr == f"call.py: {says}{ADVICE}"


def paths_in(document, *above):
    for key, value in document.items():
        yield (*above, key)
        if isinstance(value, dict) and key != "files":
            yield from paths_in(value, *above, key)


def test_each_key_that_is_missing_or_of_another_kind_is_named_whatever_the_seal(export, tmp_path):
    whole = json.loads((export / "export.json").read_text())
    whole = {key: value for key, value in whole.items() if key not in ("sealed", "seal")}
    place, told = tmp_path / "export.json", set()
    assert read_export(export / "export.json")["classes"] == whole["classes"]
    needed = [path for path in paths_in(whole) if path[0] not in ("schema", "kind")]
    assert len(needed) == 9
    for path in needed:
        for wrong in (None, 3.5, "x", True, -1, [], {}, [1], {"x": 1}, float("nan"), 10**400):
            document = json.loads(json.dumps(whole))
            within = document
            for key in path[:-1]:
                within = within[key]
            if wrong is None:
                del within[path[-1]]
            else:
                within[path[-1]] = wrong
            place.write_text(sealed(document))
            with pytest.raises(
                ValueError, match=r"^/.*/export\.json: [^\n]*; expected what zoo export wrote; "
            ) as refused:
                read_export(place)
            found = str(refused.value).removeprefix(f"{place}: ").removeprefix("has no ").split()[0].rstrip(";")
            assert found.startswith(".".join(path))
            told.add(found)
    assert told == {"files", "classes", "input.shape", *(f"fit.{key}" for key in whole["fit"])}
    for nothing in ("null", "[]", "3"):
        place.write_text(nothing)
        with pytest.raises(ValueError, match="was changed after it was written"):
            read_export(place)


def test_a_model_that_a_runtime_cannot_open_is_a_line(export, photos, tmp_path):
    older = shutil.copytree(export, tmp_path / "older")
    (older / "weights.npy").write_bytes(b"of a newer version")
    document = json.loads((older / "export.json").read_text())
    digest = hashlib.sha256(b"of a newer version").hexdigest()
    (older / "export.json").write_text(sealed({**document, "files": {"weights.npy": digest}}))
    done = call(older, "red.png", cwd=photos)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"call.py: {older}: cannot be opened (")
    assert done.stderr.endswith("; pip install -r requirements.txt has the versions that it was proved with\n")


def test_a_runtime_that_is_not_installed_is_named_with_what_to_type(export, photos, tmp_path):
    without = shutil.copytree(export, tmp_path / "without")
    text = (without / "call.py").read_text()
    assert text.count("    weights = np.load(") == 1
    (without / "call.py").write_text(
        text.replace("    weights = np.load(", "    import a_runtime\n\n    weights = np.load(")
    )
    done = call(without, "red.png", cwd=photos)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "call.py: No module named 'a_runtime'; type pip install -r requirements.txt\n"


@pytest.mark.parametrize("name", [*WITH_A_RUNTIME, "safetensors"])
def test_the_text_of_each_format_is_tidy_and_says_what_it_needs(name, tmp_path):
    row = EXPORTS.lookup(name)
    text = compose(row)
    (tmp_path / "call.py").write_text(text)
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["format", "--check"], ["check", "--select", "E,F,W,I,B,UP,SIM"]):
        done = subprocess.run(
            [*ruff, *command, "--line-length", "120", "--no-cache", str(tmp_path)], capture_output=True
        )
        assert done.returncode == 0, done.stdout.decode()
    header = ast.get_docstring(ast.parse(text))
    assert header is not None
    listed = [line.split("==")[0] for line in requirements(row).splitlines()]
    assert listed
    assert all(package in header for package in listed)
    if name in WITH_A_RUNTIME:
        assert "import zoo" not in text and "from zoo" not in text
        assert {"numpy", "pillow", *row.runs_with} == set(listed)
    else:
        assert "zoo.load(" in text
        assert listed == ["zoo"]


def test_a_runtime_that_cannot_be_composed_is_named(tmp_path, monkeypatch):
    def runtime(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        return ExportFormat(name="x", summary="x", files=("x",), runtime=name, build=print)

    monkeypatch.syspath_prepend(str(tmp_path))
    needs_zoo = runtime("needs_zoo", "def open_model(folder, threads=None):\n    from zoo.errors import shown\n")
    with pytest.raises(ZooError, match="needs_zoo: imports zoo; expected the standard library, NumPy and its own"):
        compose(needs_zoo)
    twice = runtime("twice", "import os\n\nTURNS = 3\n\n\ndef open_model(folder, threads=None):\n    return None\n")
    with pytest.raises(ZooError, match=r"twice and zoo\.export\.call\.reader both define TURNS; rename one of them"):
        compose(twice)
    with pytest.raises(ZooError, match="nowhere_at_all: has no source text"):
        compose(ExportFormat(name="x", summary="x", files=("x",), runtime="nowhere_at_all", build=print))


def test_safetensors_are_opened_by_zoo():
    text = compose(EXPORTS.lookup("safetensors"))
    assert len(text.splitlines()) < 25
    compile(text, "call.py", "exec")


@pytest.mark.slow
def test_the_call_of_safetensors_prints_what_predict_prints(trained, tmp_path):
    """It starts TensorFlow."""
    shutil.copytree(trained.run / "model", tmp_path / "export")
    (tmp_path / "export" / "call.py").write_text(compose(EXPORTS.lookup("safetensors")))
    Image.new("L", (28, 28), 99).save(tmp_path / "x.png")
    command = [sys.executable, str(tmp_path / "export" / "call.py"), str(tmp_path / "x.png"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    (expected,) = zoo.load(trained.run).predict([tmp_path / "x.png"])
    answer = json.loads(done.stdout)
    assert (answer["path"], answer["label"]) == (expected.path, expected.label)
    assert answer["probabilities"] == pytest.approx(expected.probabilities)
