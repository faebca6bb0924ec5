"""The proof of an export on files from disk, and planted faults: each is caught, with the stage that departs first."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from tests.odd_images import picture
from tests.tiny import environment, phase, pixels, recipe, write_photos
from zoo.data.images import large
from zoo.errors import ContractError, DataError, NotFoundError, TrustError
from zoo.export.exporting import export_run
from zoo.export.formats.litert import write_litert
from zoo.export.proof import TOLERANCE, prove
from zoo.export.writing import described, write_export
from zoo.inference.answering import open_answerer
from zoo.inference.export_folder import read_export, write_document
from zoo.registry.exports import EXPORTS, ExportFormat
from zoo.report.progress import SilentDisplay
from zoo.runs.folder import RunFolder
from zoo.system.files import sha256

PHOTOS, CHECKED = 12, 6
# Of memory, by which the wider photos are refused.
MOST_BYTES = 4 * 80 * 61


class Lines(SilentDisplay):
    """Keeps what is said."""

    def __init__(self):
        super().__init__()
        self.said: list[str] = []

    def line(self, text):
        self.said.append(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on photos of other sizes than the input's, some to be turned upright; half of them validate."""
    folder = tmp_path_factory.mktemp("proof")
    for number in range(PHOTOS):
        name = ("cat", "dog")[number % 2]
        path = folder / "photos" / name / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = (1, 6)[number % 4 == 2]
        photo = picture(size=(95 - 3 * number, 61), seed=number)
        (photo if name == "cat" else photo.point(lambda value: value // 3)).save(path, exif=exif)
    data = {"validation": 0.5, "interpolation": "bicubic"}
    one = recipe(phase("head", "head", learning_rate=0.05), model="mnist_conv_tiny", data=data)
    return RunFolder(zoo.finetune(one, folder / "photos", run=folder / "run", verbose=0).path)


@pytest.fixture(scope="module")
def model(run):
    return zoo.load(run.path).model


@pytest.fixture(scope="module")
def unproved(run, model, tmp_path_factory):
    """An export of the run without a proof. Not to be changed."""
    folder = tmp_path_factory.mktemp("unproved")
    row = EXPORTS.lookup("litert")
    write_export(folder, row, model, described(run, model, row))
    return folder


@pytest.fixture
def export(unproved, tmp_path):
    """A copy of the export, to plant a fault in."""
    return shutil.copytree(unproved, tmp_path / "export")


@pytest.fixture
def table():
    """The table of formats, put back as it was."""
    before = EXPORTS.names()
    yield EXPORTS
    for name in set(EXPORTS.names()) - set(before):
        del EXPORTS._rows[name]


def fault_of(run, folder, model, **options):
    with pytest.raises(ContractError) as raised:
        prove(run, folder, model, display=SilentDisplay(), **options)
    text = str(raised.value)
    assert raised.value.exit_code == 3
    assert "\n" not in text
    return text


def edited(export: Path, old: str, new: str) -> Path:
    """Plants a fault in call.py."""
    text = (export / "call.py").read_text()
    assert text.count(old) == 1
    (export / "call.py").write_text(text.replace(old, new))
    return export


# What holds


def test_a_faithful_export_is_proved_on_each_photo_that_validated(run, export, model):
    proof = prove(run, export, model, display=SilentDisplay())
    assert (proof.photos, proof.disagreements, proof.tolerance) == (CHECKED, 0, TOLERANCE)
    assert proof.largest_difference <= 1e-6
    assert proof.accuracy == proof.accuracy_of_keras == zoo.evaluate(run.path).metrics["accuracy"]
    assert proof.runtime.startswith("ai-edge-litert 2.")
    assert (proof.split, proof.count_photos()) == ("validation", f"{CHECKED} validation photos")
    lines = [json.loads(line) for line in (export / "predictions.jsonl").read_text().splitlines()]
    assert len(lines) == CHECKED
    by_zoo = zoo.load(run.path)
    place = Path(run.record().inputs.data)
    for line in lines:
        assert (place / line["path"]).is_file()  # below the data's folder: no place on this machine is given away
        assert line["path"].split("/")[0] == line["class"]
        (prediction,) = by_zoo.predict([place / line["path"]])
        assert (line["label"], line["label_of_keras"]) == (prediction.label, prediction.label)
        assert line["probability"] == pytest.approx(prediction.probability, abs=TOLERANCE)
        assert line["difference"] <= TOLERANCE
    assert not (export / "__pycache__").exists()


def test_images_of_an_archive_are_written_as_files(trained, tmp_path):
    made = export_run(trained.run, "litert", out=tmp_path / "out")
    lines = [json.loads(line) for line in (made.path / "predictions.jsonl").read_text().splitlines()]
    validated = RunFolder(trained.run).record().data.validation
    assert made.document.proof.photos == len(lines) == validated > 0
    assert made.document.proof.accuracy == zoo.evaluate(trained.run).metrics["accuracy"]
    assert [line["path"] for line in lines] == [f"train-{number:06d}.png" for number in range(validated)]


def test_a_disk_without_room_for_photos_is_no_photo_that_cannot_be_read(trained, tmp_path):
    """By a limit on a file's size, in a process of its own."""
    code = """
import resource, sys
from pathlib import Path
from zoo.export.proving.photos import kept_photos
from zoo.models.saving import read_card
from zoo.data.given import settings_for
from zoo.runs.folder import RunFolder
run = RunFolder(Path(sys.argv[1]))
card = read_card(run.model).blueprint
settings = settings_for(card.input_shape, card.fit, model=card.architecture)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    with kept_photos(run, card.classes, settings):
        print("all is well")
except OSError as fault:
    print(fault.filename, fault.strerror)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, trained.run],
        env=environment(TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(r".*/train-000000\.png File too large \(784 bytes needed, [\d,]+ free\)\n", ended.stdout)


def test_packages_that_a_variable_leads_to_are_found(run, export, model, tmp_path, monkeypatch):
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "as_on_a_cluster.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"), prepend=os.pathsep)
    edited(export, "import hashlib\n", "import hashlib\nimport as_on_a_cluster\n")
    assert prove(run, export, model, display=SilentDisplay()).photos == CHECKED


def test_photos_that_both_refuse_are_left_out(run, export, model, monkeypatch):
    monkeypatch.setattr(large, "MAX_BYTES", MOST_BYTES)
    edited(export, "MOST_BYTES = 1 << 30, 178_956_970, 440_000_000", f"MOST_BYTES = 1 << 30, 178_956_970, {MOST_BYTES}")
    display = Lines()
    proof = prove(run, export, model, display=display)
    lines = [json.loads(line) for line in (export / "predictions.jsonl").read_text().splitlines()]
    refused = [line for line in lines if "error" in line]
    assert 0 < len(refused) < CHECKED
    assert (proof.photos, proof.disagreements) == (CHECKED - len(refused), 0)
    assert display.said == [
        f"warning: {len(refused)} of the {CHECKED} validation photos cannot be read, as predictions.jsonl says; the "
        "export is proved on the others"
    ]
    for line in refused:
        assert line["error"].startswith(f"{line['path']}: cannot be read as a photo (")


def test_photos_that_have_moved_are_counted_and_the_others_proved_on(run, export, model, tmp_path):
    copy = shutil.copytree(Path(run.record().inputs.data), tmp_path / "photos")
    prove(run, export, model, display=SilentDisplay())
    first, *_ = [json.loads(line)["path"] for line in (export / "predictions.jsonl").read_text().splitlines()]
    (copy / first).unlink()
    display = Lines()
    assert prove(run, export, model, display=display, data=copy).photos == CHECKED - 1
    assert display.said == [
        f"warning: 1 of the {CHECKED} validation photos of the run are no longer where it had them; the export is "
        "proved on the others"
    ]


def test_images_that_were_given_in_code_are_asked_for_and_others_do(tmp_path):
    images, labels = pixels(24)
    one = recipe(phase("head", "head"), model="mnist_conv_tiny", data={"validation": 0.5})
    run = RunFolder(zoo.finetune(one, (images, labels), run=tmp_path / "run", verbose=0).path)
    with pytest.raises(DataError, match=r"given in code .* a folder in it for each class, with --data PATH$"):
        export_run(run.path, "litert", out=tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["run"]
    display = Lines()
    photos = write_photos(tmp_path / "photos", count=3, classes=zoo.load(run.path).classes)
    made = export_run(run.path, "litert", out=tmp_path / "out", data=photos, display=display)
    assert made.document.proof.photos == 3 * len(zoo.load(run.path).classes)
    assert display.said[1:] == [
        "warning: the run's images were given in code; the export is proved on 6 others, which it may have trained on"
    ]


def test_photos_that_are_all_gone_are_asked_for(run, export, model, tmp_path):
    moved = RunFolder(shutil.copytree(run.path, tmp_path / "run"))
    place = Path(run.record().inputs.data)
    place.rename(tmp_path / "photos")
    try:
        with pytest.raises(NotFoundError, match=r"are no longer at .*; say where they are now with --data PATH"):
            prove(moved, export, model, display=SilentDisplay())
        assert prove(moved, export, model, display=SilentDisplay(), data=tmp_path / "photos").photos == CHECKED
        with pytest.raises(
            DataError, match=r"none of the validation images .*; say where they are now with --data PATH$"
        ):
            prove(moved, export, model, display=SilentDisplay(), data=_others(tmp_path / "others"))
    finally:
        (tmp_path / "photos").rename(place)


def _others(folder: Path) -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        picture(seed=99).save(folder / name / "other.png")
    return folder


# Planted faults: reading


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            '"bicubic": Image.Resampling.BICUBIC',
            '"bicubic": Image.Resampling.BILINEAR',
            "reading departs: resizing is that of interpolation bilinear; expected bicubic",
        ),
        (
            "    return left, top, left + box[0], top + box[1]",
            "    left = max(left - 1, 0)\n    return left, top, left + box[0], top + box[1]",
            "reading departs, in resizing: ",
        ),
        ("    turn = _orientation(image)", "    turn = 1 #", "reading departs, in decoding: "),
        (
            "return _fitted(image, shape, fit)",
            "return (_fitted(image, shape, fit) / 255).astype(np.uint8)",
            "reading departs: the pixels lie in [0, 1]; expected [0, 255], which the net itself scales",
        ),
        (
            'fit["resize"] == "stretch" else _cropped(image, width, height, share)',
            'fit["resize"] == "crop" else _cropped(image, width, height, share)',
            "reading departs: resizing is that of resize stretch; expected crop",
        ),
        (
            "    full, raw = image.size, _raw_mode(image)",
            '    full, raw = image.size, _raw_mode(image)\n    if full[0] < 75:\n        raise ValueError("narrow")',
            "reading departs: call.py refuses a photo that training reads: ",
        ),
    ],
    ids=["bilinear", "off-by-one", "not-upright", "scaled-twice", "stretched", "refused"],
)
def test_a_fault_of_reading_is_named(run, export, model, old, new, says):
    text = fault_of(run, edited(export, old, new), model)
    assert says in text
    assert text.startswith("format 'litert': ")
    assert f"of {CHECKED} validation photos get another class" in text or "refuses" in says


def test_pixels_that_the_file_does_not_take_end_it_with_the_runtimes_words(run, export, model):
    edited(export, "return _fitted(image, shape, fit)", "return _fitted(image, shape, fit) / 255")
    text = fault_of(run, export, model)
    assert text.startswith(f"call.py: ended with exit code 1 after 0 of {CHECKED} photos: ")
    assert "FLOAT64" in text


def test_a_photo_that_call_reads_alone_is_named(run, export, model, monkeypatch):
    monkeypatch.setattr(large, "MAX_BYTES", MOST_BYTES)
    text = fault_of(run, export, model)
    assert "reading departs: call.py reads a photo that training refuses: " in text
    assert "which take 0 MB to decode (JPEG, RGB)" in text
    monkeypatch.setattr(large, "MAX_BYTES", 1)
    assert "0 of 0 validation photos" in fault_of(run, export, model)
    edited(export, "MOST_BYTES = 1 << 30, 178_956_970, 440_000_000", "MOST_BYTES = 1 << 30, 178_956_970, 1")
    with pytest.raises(DataError, match="none of its validation photos can be read"):
        prove(run, export, model, display=SilentDisplay())


# Planted faults: the classes, and the net


def test_a_swapped_class_order_is_named(run, export, model):
    document = read_export(export).document
    write_document(export, replace(document, classes=tuple(reversed(document.classes))))
    assert "the class order departs: class 0 of export.json is 'dog', of the run 'cat'" in fault_of(run, export, model)


def planted(table, run, model, folder, wrong):
    """Writes an export by a format whose writer changes the net, or the part of it that it is given."""

    def write(request):
        pixels = keras.Input(request.model.input_shape[1:], dtype="uint8")
        whole = request.model.output_shape[1:] == model.output_shape[1:]
        changed = wrong(request.model, keras.ops.cast(pixels, "float32"), whole)
        write_litert(replace(request, model=keras.Model(pixels, changed)))

    row = EXPORTS.lookup("litert")
    table.register(
        ExportFormat(
            name="planted",
            summary="planted",
            files=row.files,
            runtime=row.runtime,
            runs_with=row.runs_with,
            build=write,
        )
    )
    made = table.lookup("planted")
    folder.mkdir()
    write_export(folder, made, model, described(run, model, made))
    return folder


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda net, pixels, whole: net(pixels / 255), "stage stem departs first: its output differs by "),
        (lambda net, pixels, whole: net(pixels)[:, ::-1] if whole else net(pixels), "the class order departs: output "),
        pytest.param(
            lambda net, pixels, whole: net(pixels) ** 2 if whole else net(pixels),
            "stage head departs first: ",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["scaled-twice", "swapped-outputs", "head"],
)
def test_a_fault_of_the_net_is_named(table, run, model, tmp_path, wrong, says):
    folder = planted(table, run, model, tmp_path / "planted", wrong)
    text = fault_of(run, folder, model)
    assert says in text
    assert text.startswith("format 'planted': ")


@pytest.mark.slow
def test_a_file_of_other_numbers_is_named(run, export, model, tmp_path):
    other = zoo.build("mnist_conv_tiny", classes=("cat", "dog"), weights=None)
    row, document = EXPORTS.lookup("litert"), read_export(export).document
    (tmp_path / "other").mkdir()
    write_export(tmp_path / "other", row, other, document)
    shutil.copy(tmp_path / "other" / "model.tflite", export)
    write_document(export, replace(document, files={"model.tflite": sha256(export / "model.tflite")}))
    assert "the written file departs: no stage does when it is exported anew" in fault_of(run, export, model)


@pytest.mark.parametrize(
    ("quantize", "shift", "says"),
    [
        (
            None,
            3e-5,
            "and probabilities differ by up to 3e-05; expected at most 1e-05; no stage departs by more than 0.0001 of "
            "its largest number: roundings add up over the net, as this format's runtime computes; choose another "
            "format with --to",
        ),
        (
            "float16",
            float("nan"),
            "and some probabilities are not numbers; expected at most 1; no stage departs in float32: float16 cannot "
            "hold its numbers; keep some stages in float32 with --in-float STAGES, or leave --quantize out",
        ),
    ],
)
def test_where_no_stage_departs_it_is_said_what_to_do(table, run, model, tmp_path, quantize, shift, says):
    """Differences within what a stage may have, and above what probabilities may; and numbers that overflow."""
    shifts = keras.ops.convert_to_tensor([shift, -shift])

    def wrong(net, pixels, whole):
        return net(pixels) + shifts if whole and (quantize is None or writing) else net(pixels)

    writing = [True]
    folder = planted(table, run, model, tmp_path / "planted", wrong)
    writing.clear()
    document = read_export(folder).document
    write_document(folder, replace(document, quantize=quantize))
    assert fault_of(run, folder, model, tolerance=1.0 if quantize else TOLERANCE).endswith(says)


def test_a_call_that_fails_is_named_with_its_last_words(run, export, model):
    edited(export, "    failed = 0\n", "    failed = 0\n    sys.exit('no luck')\n")
    assert fault_of(run, export, model) == f"call.py: ended with exit code 1 after 0 of {CHECKED} photos: no luck"


def test_a_model_file_that_changed_since_is_not_proved(run, export, model):
    with (export / "model.tflite").open("ab") as file:
        file.write(b"more")
    assert "is not the file that was exported (its SHA-256 is another)" in fault_of(run, export, model)


def test_what_was_made_smaller_is_measured_and_not_refused(table, run, model, tmp_path):
    folder = planted(table, run, model, tmp_path / "planted", lambda net, pixels, whole: net(pixels / 2))
    proof = prove(run, folder, model, display=SilentDisplay(), tolerance=1)
    assert (proof.photos, proof.tolerance) == (CHECKED, 1)
    assert proof.largest_difference > TOLERANCE


@pytest.mark.parametrize("has_place", [True, False])
def test_a_program_that_was_written_and_proved_here_is_trusted_here(table, run, tmp_path, monkeypatch, has_place):
    (tmp_path / "config").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ("own" if has_place else "config")))
    row = EXPORTS.lookup("litert")
    table.register(
        ExportFormat(
            name="program",
            summary="a program",
            files=row.files,
            runtime=row.runtime,
            runs_with=row.runs_with,
            is_program=True,
            build=write_litert,
        )
    )
    shown = Lines()
    made = export_run(run.path, "program", out=tmp_path / "out", display=shown)
    photo = np.zeros((28, 28, 1), np.uint8)
    if has_place:
        assert len(open_answerer(made.path).predict([photo])) == 1
        assert not [line for line in shown.said if "trusted" in line]
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "of another"))
    else:
        (line,) = [line for line in shown.said if "trusted" in line]
        assert line == (
            f"warning: {made.path}: is not noted as trusted (Not a directory); zoo predict will ask for --trust-code "
            "once"
        )
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    with pytest.raises(TrustError, match="is not trusted on this machine"):
        open_answerer(made.path)


def test_nothing_is_left_of_an_export_that_departs(table, run, tmp_path):
    def write(request):
        pixels = keras.Input(request.model.input_shape[1:], dtype="uint8")
        scaled = request.model(keras.ops.cast(pixels, "float32") / 255)
        write_litert(replace(request, model=keras.Model(pixels, scaled)))

    row = EXPORTS.lookup("litert")
    table.register(
        ExportFormat(
            name="twice", summary="twice", files=row.files, runtime=row.runtime, runs_with=row.runs_with, build=write
        )
    )
    with pytest.raises(ContractError, match="stage stem departs first"):
        export_run(run.path, "twice", out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
