"""What computes the answers of `zoo predict`: a kept export starts neither Keras nor TensorFlow, and equals them."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.tiny import CLASSES, environment, write_photos
from zoo.cli import main
from zoo.export.formats.litert import write_litert
from zoo.inference.answering import open_answerer
from zoo.inference.export_folder import ExportDocument, ExportFit, ExportInput, write_document
from zoo.inference.kept_exports import identity_of
from zoo.inference.runtimes.litert import open_model
from zoo.registry.exports import EXPORTS, ExportRequest
from zoo.system.files import sha256
from zoo.system.sealing import read_document, sealed

BY_KERAS = f"note: keras {version('keras')} answered"
BY_LITERT = f"note: litert {version('ai-edge-litert')} answered"
LISTING = """
import json, sys
from zoo.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@dataclass(frozen=True)
class Kept:
    """A run, photos, a cache that a first `predict` has kept an export in, and what that one printed."""

    run: Path
    photos: Path
    cache: Path
    lines: list


@pytest.fixture(scope="module")
def kept_once(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    photos, printed = write_photos(folder / "photos", count=20), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.delenv("ZOO_RUNTIME")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        with pytest.raises(SystemExit):
            main(["predict", str(trained.run), str(photos), "--json"])
    return Kept(trained.run, photos, folder / "cache", [json.loads(line) for line in printed.getvalue().splitlines()])


@pytest.fixture
def kept(kept_once, tmp_path, monkeypatch):
    """The same with a cache of the test's own, and nothing said of a runtime."""
    monkeypatch.delenv("ZOO_RUNTIME")
    shutil.copytree(kept_once.cache, tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Kept(kept_once.run, kept_once.photos, tmp_path / "cache", kept_once.lines)


def entry(kept):
    return identity_of(kept.run).folder(EXPORTS.lookup("litert"))


def test_the_second_predict_gives_the_same_without_keras(kept):
    words = ["predict", str(kept.run), str(kept.photos), "--json"]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", LISTING, *words],
        env=environment(XDG_CACHE_HOME=str(kept.cache)),
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, imported = map(json.loads, ended.stdout.splitlines())
    assert ended.stderr == ""
    ours = {name for name in imported if not name.startswith("_")} - set(sys.stdlib_module_names)
    assert ours == {"zoo", "click", "numpy", "PIL", "ai_edge_litert"}
    assert len(lines) == len(kept.lines) == 40
    for mine, by_keras in zip(lines, kept.lines, strict=True):
        assert (mine["path"], mine["label"]) == (by_keras["path"], by_keras["label"])
        assert list(mine["probabilities"]) == list(by_keras["probabilities"])
        np.testing.assert_allclose(
            list(mine["probabilities"].values()), list(by_keras["probabilities"].values()), rtol=0, atol=1e-5
        )


def test_the_first_lines_are_those_that_the_library_gives(kept):
    assert kept.lines == [one.to_json() for one in zoo.load(kept.run).predict(kept.photos)]


def test_it_is_said_what_answered_and_what_is_kept(typed, kept):
    code, out, err = typed("predict", kept.run, kept.photos)
    assert (code, len(out.splitlines()), err) == (0, 40, f"{BY_LITERT}\n")
    _, out, _ = typed("cache", "ls", "--json")
    (kind,) = [one for one in json.loads(out)["entries"] if one["kind"] == "exports"]
    assert (kind["files"], kind["bytes"]) == (2, sum(path.stat().st_size for path in entry(kept).iterdir()))
    code, out, _ = typed("verify", kept.cache / "zoo", "--json")
    assert (code, json.loads(out)["files"]) == (0, 2)
    assert typed("cache", "clear", "exports")[0] == 0
    assert not entry(kept).exists()


def cut(folder):
    (folder / "model.tflite").write_bytes((folder / "model.tflite").read_bytes()[:-1])


def remove(folder):
    (folder / "model.tflite").unlink()


def change_the_manifest(folder):
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"format": "litert"', '"format": "litbrt"'))


def empty_the_manifest(folder):
    (folder / "manifest.json").write_text("")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (cut, "model.tflite: its SHA-256 is not the one in manifest.json; it is damaged"),
        (remove, "model.tflite: No such file or directory"),
        (change_the_manifest, "manifest.json: is damaged (was changed after it was written"),
        (empty_the_manifest, "manifest.json: is damaged (cannot be read as JSON"),
    ],
)
def test_a_damaged_export_is_named_and_made_again_while_keras_answers(typed, kept, damage, named):
    damage(entry(kept))
    code, out, _ = typed("verify", kept.cache / "zoo", "--json")
    assert (code, len(json.loads(out)["faults"])) == (3, 1)
    code, out, err = typed("predict", kept.run, kept.photos / "cat")
    warning, answered = err.splitlines()
    assert (code, len(out.splitlines()), answered) == (0, 20, BY_KERAS)
    assert warning.startswith(f"warning: {entry(kept)}/{named}")
    assert warning.endswith("; Keras answers")
    assert typed("predict", kept.run, kept.photos / "cat") == (0, out, f"{BY_LITERT}\n")


def without_litert(monkeypatch, found=None):
    """Lets LiteRT's module be one that fails: with an ImportError where it is None."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "ai_edge_litert"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    if found is not None:
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", found)


def test_a_runtime_that_cannot_open_an_export_is_named_once_and_keras_answers(typed, kept, monkeypatch):
    with monkeypatch.context() as patch:
        without_litert(patch)
        code, out, err = typed("predict", kept.run, kept.photos / "cat")
        warning, answered = err.splitlines()
        assert (code, answered) == (0, BY_KERAS)
        assert "ai-edge-litert" in warning and "cannot open it (ModuleNotFoundError" in warning
        assert warning.endswith("; Keras answers; it is not tried again until you type zoo cache clear exports")
    assert typed("predict", kept.run, kept.photos / "cat") == (0, out, f"{BY_KERAS}\n")
    code, _, err = typed("predict", kept.run, kept.photos / "cat", "--runtime", "litert")
    assert code == 1
    assert f"no litert export is kept (ai-edge-litert {version('ai-edge-litert')} cannot open it (Module" in err
    assert err.endswith("expected --runtime auto or keras, or type zoo cache clear exports to have it tried again\n")
    assert typed("verify", kept.cache / "zoo")[0] == 0
    assert typed("cache", "clear", "exports")[0] == 0
    assert typed("predict", kept.run, kept.photos / "cat")[2] == f"{BY_KERAS}\n"
    assert typed("predict", kept.run, kept.photos / "cat") == (0, out, f"{BY_LITERT}\n")


def test_want_of_memory_passes_by(typed, kept, monkeypatch):
    class Full:
        """In the place of LiteRT's module."""

        @property
        def Interpreter(self):  # noqa: N802 -- LiteRT's name
            raise MemoryError

    with monkeypatch.context() as patch:
        without_litert(patch, Full())
        warning, answered = typed("predict", kept.run, kept.photos / "cat")[2].splitlines()
        assert warning.endswith("cannot open it (MemoryError); Keras answers; --runtime keras asks nothing else")
        assert answered == BY_KERAS
    assert typed("predict", kept.run, kept.photos / "cat")[2] == f"{BY_LITERT}\n"


def of_colour_images(kept):
    """Puts the export of another net into an entry, with the hash that its manifest has."""
    other = zoo.build("mnist_conv_tiny", classes=2, input_shape=(28, 28, 3), weights=None)
    write_litert(ExportRequest(model=other, folder=entry(kept), metadata={}, classes=CLASSES))
    manifest = entry(kept) / "manifest.json"
    values = read_document(manifest).values | {"sha256": {"model.tflite": sha256(entry(kept) / "model.tflite")}}
    manifest.write_text(sealed(values))


def test_a_runtime_that_fails_at_once_leaves_all_to_keras(typed, kept):
    of_colour_images(kept)
    code, out, err = typed("predict", kept.run, kept.photos, "--json")
    assert (code, [json.loads(line) for line in out.splitlines()]) == (0, kept.lines)
    assert err.count("warning: ") == 1
    assert err.rstrip().endswith(
        "; Keras answers from here on; it is not tried again until you type zoo cache clear exports"
    )
    assert typed("predict", kept.run, kept.photos / "cat")[2] == f"{BY_KERAS}\n"


def test_the_note_names_keras_alone_where_a_runtime_answered_nothing(typed, kept):
    of_colour_images(kept)
    assert typed("predict", kept.run, kept.photos)[2].splitlines()[1:] == [BY_KERAS]


def test_what_has_answered_before_a_failure_is_named_before_keras(kept, monkeypatch):
    answerer = open_answerer(kept.run)
    (by_litert,) = answerer.runtimes
    images = np.zeros((3, 28, 28, 1), np.uint8)
    expected = answerer.compute(images)
    interpreter = "ai_edge_litert.interpreter.Interpreter"
    with monkeypatch.context() as patch:
        patch.setattr(f"{interpreter}.invoke", lambda _: 1 / 0)
        np.testing.assert_allclose(answerer.compute(images), expected, rtol=0, atol=1e-5)
    assert answerer.runtimes == [by_litert, f"keras {version('keras')}"]
    assert answerer.runtime == f"keras {version('keras')}"
    np.testing.assert_allclose(answerer.compute(images), expected, rtol=0, atol=1e-5)
    assert open_answerer(kept.run).runtimes == [f"keras {version('keras')}"]


def test_keras_is_asked_for_by_the_option_or_a_variable_and_then_nothing_is_kept(typed, kept, monkeypatch):
    shutil.rmtree(entry(kept))
    photo = kept.photos / "cat" / "000.png"
    assert typed("predict", kept.run, photo, "--runtime", "keras")[2] == f"{BY_KERAS}\n"
    monkeypatch.setenv("ZOO_RUNTIME", "keras")
    assert typed("predict", kept.run, photo)[2] == f"{BY_KERAS}\n"
    assert not entry(kept).exists()
    monkeypatch.setenv("ZOO_RUNTIME", "kera")
    code, _, err = typed("predict", kept.run, photo)
    assert (code, "Did you mean 'keras'?" in err) == (2, True)


@pytest.mark.parametrize("runtime", ["litert", "onnx", "openvino"])
def test_a_runtime_that_is_asked_for_answers_the_first_time_already(typed, kept, runtime):
    shutil.rmtree(entry(kept))
    code, out, err = typed("predict", kept.run, kept.photos / "cat", "--runtime", runtime, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err, len(lines)) == (0, "", 20)
    for mine, by_keras in zip(lines, kept.lines, strict=False):
        assert mine["label"] == by_keras["label"]
        assert mine["probability"] == pytest.approx(by_keras["probability"], abs=1e-5)
    row = EXPORTS.lookup(runtime)
    assert {*row.files, "manifest.json"} == {path.name for path in identity_of(kept.run).folder(row).iterdir()}
    said = typed("predict", kept.run, kept.photos / "cat", "--runtime", runtime)[2]
    assert said == f"note: {runtime} {version(row.runs_with[0])} answered\n"


@pytest.fixture(scope="module")
def export(trained, tmp_path_factory):
    """Writes an export of `trained`, as `zoo export` leaves it, without its proof."""

    def write(name, content=None):
        folder = tmp_path_factory.mktemp("exports") / f"tiny-{name}"
        folder.mkdir()
        classifier, row = zoo.load(trained.run), EXPORTS.lookup(name)
        request = ExportRequest(model=classifier.model, folder=folder, metadata={"zoo": "0"}, classes=CLASSES)
        if content is None:
            row.build(request)
        else:
            for one in row.files:
                (folder / one).write_bytes(content)
        files = [path for one in row.files for path in [folder / one, *(folder / one).rglob("*")] if path.is_file()]
        document = ExportDocument(
            format=name,
            files={path.relative_to(folder).as_posix(): sha256(path) for path in files},
            model="mnist_conv_tiny",
            classes=classifier.classes,
            input=ExportInput(shape=classifier.input_shape),
            fit=ExportFit.of(classifier.fit),
            weights="0" * 64,
            recipe=None,
            run="pets",
            licence=None,
            zoo="0",
            packages={},
        )
        write_document(folder, document)
        return folder

    return write


def test_an_export_answers_by_its_own_runtime(typed, trained, export, tmp_path):
    photos = write_photos(tmp_path / "photos", count=3)
    folder = export("onnx")
    code, out, err = typed("predict", folder, photos)
    assert (code, err) == (0, f"note: onnx {version('onnxruntime')} answered\n")
    _, out, _ = typed("predict", folder, photos, "--json")
    expected = zoo.load(trained.run).predict(photos)
    for line, mine in zip(out.splitlines(), expected, strict=True):
        found = json.loads(line)
        assert (found["path"], found["label"]) == (mine.path, mine.label)
        assert found["probability"] == pytest.approx(mine.probability, abs=1e-5)
    code, _, err = typed("predict", folder, photos, "--runtime", "litert")
    assert (code, err) == (
        1,
        f"zoo: {folder}: is an export to onnx, which 'litert' cannot run; expected --runtime auto\n",
    )
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")
    code, _, err = typed("predict", folder, photos)
    assert (code, err.startswith(f"zoo: {folder}/model.onnx: is damaged: its SHA-256 is not")) == (1, True)


def test_an_export_to_safetensors_is_loaded_by_zoo(typed, trained, export, tmp_path):
    photos, folder = write_photos(tmp_path / "photos", count=3), export("safetensors")
    code, out, err = typed("predict", folder, photos)
    assert (code, err) == (0, f"{BY_KERAS}\n")
    assert out == typed("predict", trained.run, photos)[1]
    card = read_document(folder / "card.json").values
    (folder / "card.json").write_text(sealed(card | {"classes": card["classes"][::-1]}))
    code, out, err = typed("predict", folder, photos)
    assert (code, out) == (1, "")
    assert err.startswith(f"zoo: {folder}/card.json: is damaged: its SHA-256 is not the one in export.json")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras writes its own file so
@pytest.mark.parametrize(("name", "package"), [("saved_model", "tensorflow"), ("keras", "keras")])
def test_an_export_that_is_a_program_has_to_be_trusted(typed, export, tmp_path, monkeypatch, name, package):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    photos, folder = write_photos(tmp_path / "photos", count=1), export(name)
    code, out, err = typed("predict", folder, photos)
    assert (code, out) == (1, "")
    assert err.startswith(f"zoo: {folder}: is a program (SHA-256 ")
    code, out, err = typed("predict", folder, photos, "--trust-code")
    assert (code, len(out.splitlines()), err) == (0, 2, f"note: {name} {version(package)} answered\n")
    assert typed("predict", folder, photos)[0] == 0


@pytest.mark.parametrize("name", ["onnx", "litert", "openvino"])
def test_an_export_that_its_runtime_cannot_read_is_refused_in_a_line(typed, export, tmp_path, name):
    photos, folder = write_photos(tmp_path / "photos", count=1), export(name, b"not a model")
    code, out, err = typed("predict", folder, photos)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith(f"zoo: {folder}: {EXPORTS.lookup(name).runtime_name} cannot open it (")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1, "kind": "export"}'])
def test_a_folder_whose_document_is_none_is_refused_before_anything_is_loaded(typed, tmp_path, content):
    (tmp_path / "export.json").write_text(content)
    code, out, err = typed("predict", tmp_path, tmp_path / "a.png")
    assert (code, out) == (1, "")
    assert err.startswith(f"zoo: {tmp_path}/export.json: ")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_file_that_is_written_over_the_one_litert_runs_changes_nothing(kept_once):
    """Of a file that is mapped, the process would end by SIGBUS."""
    (file,) = kept_once.cache.rglob("model.tflite")
    run = open_model(file.parent, 1)
    assert len(run(np.zeros((1, *zoo.load(kept_once.run).input_shape), np.uint8))) == 1
    assert "model.tflite" not in Path("/proc/self/maps").read_text(encoding="utf-8")
