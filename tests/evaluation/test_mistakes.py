import pytest

from zoo.errors import DataError
from zoo.evaluation.mistakes import copy_mistakes
from zoo.evaluation.scores import Mistake


def mistake(path, truth="cat", called="dog", probability=0.9):
    return Mistake(path=str(path), truth=truth, called=called, probability=probability)


def test_names_that_meet_are_kept_apart(tmp_path):
    sources = []
    for folder, name in (("a", "1.png"), ("b", "1.png"), ("c", "1.PNG")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(folder)
        sources.append(tmp_path / folder / name)
    copies = copy_mistakes([mistake(source) for source in sources], tmp_path / "wrong")
    assert [copy.relative_to(tmp_path / "wrong").as_posix() for copy in copies] == [
        "cat, called dog/0.900 1.png",
        "cat, called dog/0.900 1 (2).png",
        "cat, called dog/0.900 1 (3).PNG",
    ]
    assert [copy.read_text() for copy in copies] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["../../up", "/root", "..", "a\\b", "a\nb", "con:", ""])
def test_a_classs_name_leads_nowhere_else(tmp_path, name):
    (tmp_path / "1.png").write_text("")
    (copy,) = copy_mistakes([mistake(tmp_path / "1.png", truth=name)], tmp_path / "wrong")
    assert copy.resolve().is_relative_to(tmp_path / "wrong")
    assert len(copy.relative_to(tmp_path / "wrong").parts) == 2


def test_images_that_are_not_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="the images are not files but arrays or items; --wrong lists their numbers"):
        copy_mistakes([mistake("validation[3]")], tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()
    assert copy_mistakes([], tmp_path / "wrong") == []
