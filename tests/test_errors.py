import pytest

from zoo.errors import DataError, RecipeError, ZooError, in_one_line, printable, shortened, shown

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))]
DIRECTIONS = [*"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"]


@pytest.mark.parametrize("sign", [*CONTROLS, *DIRECTIONS, "\u2028", "\u2029"], ids=ascii)
def test_what_a_terminal_would_obey_is_escaped_in_every_message(sign):
    escaped = ascii(sign)[1:-1]
    assert printable(f"a{sign}b") == f"a{escaped}b"
    assert str(DataError(f"a{sign}b")) == f"a{escaped}b"
    assert sign not in shown(f"a{sign}b")
    assert sign not in in_one_line(ValueError(f"a{sign}b"))


def test_what_is_only_unusual_is_shown_as_it_is():
    for name in ("Ärger 猫 \u202fAM", "👩\u200d🔬", "می\u200cخواهم", "a  b"):
        assert printable(name) == name
        assert str(ZooError(name)) == name


def test_a_long_text_is_cut_in_the_middle_where_its_length_is_said():
    cut = printable("a" * 5_000 + "z" * 5_000)
    assert len(cut) <= 200
    assert cut.startswith("aaaa")
    assert cut.endswith("zzzz")
    assert " ... (10,000 characters) ... " in cut
    assert shortened("a" * 200) == "a" * 200
    assert len(printable("\x1b" * 10_000)) <= 200


def test_a_message_has_one_line_and_one_of_a_recipe_a_line_for_each_fault():
    assert str(DataError("photos/a\nzoo: ok: no faults")) == "photos/a\\nzoo: ok: no faults"
    assert str(RecipeError("one\ntwo\r")) == "one\ntwo\\r"
    for kind in (DataError, RecipeError):
        message = str(kind("x" * 1_000_000))
        assert len(message) <= 2_000
        assert "(1,000,000 characters)" in message
