import os
from pathlib import Path

import pytest

from tests.inference.test_export_folder import DOCUMENT
from zoo.errors import RunError
from zoo.export.destination import default_path, made_beside, refuse_taken
from zoo.inference.export_folder import write_document


def an_export(path, *, note=""):
    path.mkdir(parents=True)
    (path / "model.onnx").write_text("the model")
    (path / "call.py").write_text("")
    write_document(path, DOCUMENT)
    if note:
        (path / note).write_text("mine")
    return path


def test_the_name_says_run_format_and_what_numbers_became():
    assert default_path("pets", "onnx", None) == Path("exports/pets-onnx")
    assert default_path("pets", "litert", "int8") == Path("exports/pets-litert-int8")


def test_a_new_path_an_empty_folder_and_an_export_can_be_written(tmp_path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "a" / "b", tmp_path / "empty", an_export(tmp_path / "old")):
        refuse_taken(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_text(""), "is there already; expected a new folder; choose another --out DIR"),
        (lambda path: path.symlink_to(path.parent), "is there already; expected a new folder"),
        (lambda path: path.symlink_to("nowhere"), "is there already; expected a new folder"),
        (lambda path: (path / "photos").mkdir(parents=True), "is there already, and is not an export of zoo"),
        (lambda path: an_export(path, note="notes.txt"), "holds notes.txt, which zoo did not write"),
    ],
    ids=["file", "link", "link to nothing", "another folder", "an export with notes"],
)
def test_what_is_not_an_export_is_not_replaced(tmp_path, make, says):
    make(tmp_path / "out")
    with pytest.raises(RunError) as refused:
        refuse_taken(tmp_path / "out")
    assert str(refused.value).startswith(f"{tmp_path / 'out'}: ") and says in str(refused.value)


def test_a_damaged_export_is_named_with_what_removes_it(tmp_path):
    path = an_export(tmp_path / "old one")
    (path / "export.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot be read as JSON.*; or remove it: rm -r '.*old one'$"):
        refuse_taken(path)


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written \(Not a directory\); choose another folder with --out DIR"):
        refuse_taken(tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match=r"cannot be written \(Permission denied\)"):
        refuse_taken(tmp_path / "out")


def test_what_is_made_is_moved_whole_and_an_earlier_one_is_gone(tmp_path):
    path = an_export(tmp_path / "deep" / "out")
    with made_beside(path) as made:
        (made / "model.tflite").write_text("new")
        assert (path / "model.onnx").read_text() == "the model"
    assert [one.name for one in path.iterdir()] == ["model.tflite"]
    assert [one.name for one in path.parent.iterdir()] == ["out"]
    assert path.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_however_it_ends_and_what_was_there_is_as_it_was(tmp_path, fault):
    old = an_export(tmp_path / "old")
    for path in (old, tmp_path / "exports" / "new" / "out"):
        with pytest.raises(fault), made_beside(path) as made:
            (made / "model.onnx").write_text("half")
            raise fault
    assert [one.name for one in tmp_path.iterdir()] == ["old"]
    assert (old / "model.onnx").read_text() == "the model"


def test_the_folder_that_a_command_runs_in_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "empty" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty" / "below")
    for out in (".", "..", tmp_path / "empty", "../below"):
        with pytest.raises(RunError, match=r"is where this command runs; expected a new folder; choose another --out"):
            refuse_taken(Path(out))
    refuse_taken(Path("new"))


def test_a_path_means_what_it_meant_when_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with made_beside(Path("out")) as made:
        (made / "model.onnx").write_text("new")
        monkeypatch.chdir("other")
    assert (tmp_path / "out" / "model.onnx").read_text() == "new"


def test_what_came_to_lie_there_meanwhile_is_not_replaced(tmp_path):
    with (
        pytest.raises(RunError, match=r"out: is there already, and is not an export of zoo"),
        made_beside(tmp_path / "out") as made,
    ):
        (made / "model.onnx").write_text("new")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.txt").write_text("mine")
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_folders_above_that_were_there_stay(tmp_path):
    (tmp_path / "exports").mkdir()
    with pytest.raises(RuntimeError), made_beside(tmp_path / "exports" / "a" / "b"):
        raise RuntimeError
    assert [one.name for one in tmp_path.iterdir()] == ["exports"]
    assert list((tmp_path / "exports").iterdir()) == []
