"""Names in any script, with any sign, of any length, stand in figures without a warning."""

import io

import pytest
from matplotlib.figure import Figure

from zoo.report import lettering
from zoo.report.lettering import columns, drawable, set_fonts, shortened

NAMES = [
    "猫",
    "собака",
    "γάτα",
    "قطة",
    "חתול",
    "बिल्ली",
    "แมว",
    "고양이",
    "ねこ",
    "👍🏽 thumbs",
    "$5 and $6",
    "a_{b}^c $\\frac{1}{$",
    "line\nbreak",
    "tab\t",
    "\x00\x1b[31m",
    "nul\ud800",
    "\u202eturned",
    "e\u0301",
    "می\u200cخواهم",
    "",
    "x" * 500,
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_drawn_without_a_warning(name):
    figure = Figure()
    axes = figure.subplots()
    axes.set_title(drawable(name, 40))
    axes.set_yticks([0, 1], [drawable(name, 40), "b"])
    set_fonts(figure)
    figure.savefig(io.BytesIO())  # a missing glyph would warn, and a warning is an error here


def test_dollars_are_not_a_formula():
    figure = Figure()
    text = figure.text(0, 0, drawable("$5 and $6"))
    assert text._preprocess_math(text.get_text()) == ("$5 and $6", False)


@pytest.mark.parametrize("fonts", ["none", "of this machine"])
def test_names_that_differ_stay_different(fonts, monkeypatch):
    if fonts == "none":
        monkeypatch.setattr(lettering, "_upright_fonts", lambda: ())
        lettering._fonts_with.cache_clear()
    shown = {drawable(name) for name in ("猫", "犬", "\u202ecat", "cat", "cat\u200b", "cat\n")}
    assert len(shown) == 6
    if fonts == "none":
        assert drawable("猫 cat") == "\\u732b cat"
    lettering._fonts_with.cache_clear()


def test_what_the_own_font_has_needs_no_other():
    assert lettering.fonts_for("Äpfel, γάτα, собака") == ()


def test_the_middle_gives_way():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcde…hijk"
    # A Chinese character takes two columns, a combining accent none.
    assert columns("猫a") == 3
    assert columns("e\u0301") == 1
    assert columns(shortened("猫" * 40, 11)) <= 11
    assert shortened("ab", 1) == "…"
