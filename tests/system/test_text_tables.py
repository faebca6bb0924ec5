import io
import sys

import pytest

from zoo.system.text_tables import beside, cells, fold, of_these, screen_width, table, without_controls

HEADER = ("name", "size", "licence", "")
ROWS = [("mnist", "2.0 MB", "MIT", "small"), ("imagenet", "98.0 MB", "Apache-2.0", "")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_columns_stand_below_one_another():
    assert table(HEADER, ROWS, right=(1,)).splitlines() == [
        "name         size  licence",
        "mnist      2.0 MB  MIT         small",
        "imagenet  98.0 MB  Apache-2.0",
    ]


def test_a_table_that_fits_is_whole():
    assert table(HEADER, ROWS, width=36, spare=(2, 1)) == table(HEADER, ROWS)


def test_spare_columns_go_one_after_the_other_and_are_named():
    assert table(HEADER, ROWS, width=35, spare=(2, 1)).splitlines() == [
        "name      size",
        "mnist     2.0 MB   small",
        "imagenet  98.0 MB",
        "(licence: on a wider screen, or with --json)",
    ]
    assert table(HEADER, ROWS, width=20, spare=(2, 3, 1)).splitlines()[-2:] == [
        "imagenet  98.0 MB",
        "(licence: on a wider screen, or with --json)",
    ]


def test_what_is_not_read_on_a_screen_is_not_cut(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    for stream in (None, io.StringIO()):
        assert screen_width(stream) is None
    closed = Terminal()
    closed.close()
    assert screen_width(closed) is None or isinstance(screen_width(closed), int)
    assert fold("word " * 100, None) == "word " * 100


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("5", 20)])
def test_a_width_can_be_asked_for(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    assert screen_width(sys.stdout) == width


@pytest.mark.parametrize("columns", ["", "0", "many", "-3"])
def test_other_values_ask_for_none(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert screen_width(io.StringIO()) is None
    assert screen_width(Terminal()) >= 20


def test_lines_fold_between_words_and_stay_indented():
    assert fold("a line of words\n  and an indented one\nshort", 12).splitlines() == [
        "a line of",
        "  words",
        "  and an",
        "    indented",
        "    one",
        "short",
    ]


def test_a_path_is_never_broken():
    path = "runs/a-very-long-name-of-a-run/history.png"
    assert fold(f"curves {path}", 20).split() == ["curves", path]


def test_a_description_folds_below_itself():
    assert beside("name", "some words to say", column=8, width=None) == "name    some words to say"
    assert beside("name", "some words to say what it is", column=8, width=30).splitlines() == [
        "name    some words to say what",
        "        it is",
    ]
    assert beside("name", "", column=8, width=30) == "name"


def test_a_word_that_is_wider_than_its_column_begins_at_the_margin():
    assert beside("paper", "https://arxiv.org/abs/1905.11946", column=18, width=40) == (
        "paper  https://arxiv.org/abs/1905.11946"
    )


def test_controls_are_escaped_but_line_ends_and_tabs():
    assert without_controls("a\x1b]0;x\x07\r\n\tb\x7f\x85") == "a\\x1b]0;x\\x07\\r\n\tb\\x7f\\x85"
    assert without_controls("\u202efdp.exe\u2066\u2028") == "\\u202efdp.exe\\u2066\\u2028"


def test_a_cell_of_a_table_stays_in_its_line_and_is_cut():
    lines = table(("class", "images"), [("cat\nzoo: ok", "3"), ("d" * 5_000, "1")]).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("cat\\nzoo: ok ")
    assert " (5,000 characters) " in lines[2]
    assert len(lines[2]) < 220


def test_letters_of_the_east_take_two_columns():
    assert [cells(text) for text in ("dog", "犬", "ｄ", "e\u0301", "é", "ｶ")] == [3, 2, 2, 1, 1, 1]
    lines = table(("class", "images"), [("犬と猫と鳥", "8"), ("dog", "10")], right=(1,)).splitlines()
    assert {cells(line) for line in lines} == {18}
    assert fold("犬犬 猫猫 鳥鳥", 9).splitlines() == ["犬犬 猫猫", "  鳥鳥"]


def test_spaces_inside_a_line_that_is_folded_stay():
    assert fold("photo.jpg  cat 91.0 %  dog 9.0 %", 25).splitlines() == ["photo.jpg  cat 91.0 %", "  dog 9.0 %"]


def test_one_image_is_one_image():
    assert [of_these(1, 1), of_these(1, 2), of_these(1_000, 2_000)] == [
        "this image",
        "1 of these 2 images",
        "1,000 of these 2,000 images",
    ]
