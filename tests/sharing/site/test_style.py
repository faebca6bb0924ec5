"""The colours of the pages, by the formulas of WCAG 2.2 (relative luminance and contrast ratio)."""

import re
from importlib.resources import files

import pytest

STYLE = files("zoo.sharing.site").joinpath("templates", "style.css").read_text(encoding="utf-8")
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
# Text on what it stands on (4.5 by WCAG 1.4.3), and lines on theirs (3 by 1.4.11).
TEXTS = [
    *((text, sheet) for text in ("text", "quiet", "accent", "comment", "good", "bad") for sheet in ("page", "sheet")),
    ("good", "good-sheet"),
    ("bad", "bad-sheet"),
    ("text", "bad-sheet"),
    ("on-accent", "accent"),
]
LINES = [("train", "page"), ("validation", "page"), ("kept", "page"), ("quiet", "page"), ("accent", "edge")]


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_is_that_of_the_standard():
    assert contrast("000000", "ffffff") == pytest.approx(21)
    assert contrast("767676", "ffffff") == pytest.approx(4.54, abs=0.005)  # the grey that the field quotes


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_can_be_told_from_what_they_stand_on(colours):
    assert set(LIGHT) == set(DARK)
    faint = {(one, on): contrast(colours[one], colours[on]) for one, on in TEXTS}
    assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}
    faint = {(one, on): contrast(colours[one], colours[on]) for one, on in LINES}
    assert {pair: ratio for pair, ratio in faint.items() if ratio < 3} == {}


def test_style_and_scripts_name_no_address():
    for name in ("style.css", "copying.js", "filtering.js"):
        text = files("zoo.sharing.site").joinpath("templates", name).read_text(encoding="utf-8")
        assert not re.search(r"https?:|url\(|@import|fetch|XMLHttp|import\(|eval|innerHTML", text), name
