"""Text in figures: names in any script, with any sign, of any length.

Class names are the user's. Matplotlib draws an empty box, and warns, where its font lacks a character, and takes what
stands between two dollars for a formula.
"""

import functools
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Knows every character, and draws its script's name in place of it. Fonts of coloured pictures cannot be drawn at all.
UNUSABLE = ("Last Resort", "Color Emoji", "Colour Emoji")
# Zero-width joiner and non-joiner, which Persian and Indic scripts are spelt with.
JOINERS = "\u200c\u200d"


def drawable(text: str, limit: int | None = None) -> str:
    """Writes a text so that a figure shows it as it is.

    Args:
        text: Any text. Control characters, and what no font of this machine has, are written as Python escapes them:
            two names that differ stay different.
        limit: The most columns that it may take, a Chinese character counting two; its middle gives way to `…`.
    """
    fonts = [] if text.isascii() else [_base_font(), *fonts_for(text)]
    known = frozenset[int]().union(*(_characters(path) for _, path in fonts))
    shown = "".join(one if _is_shown(one, known) else ascii(one)[1:-1] for one in text)
    return (shown if limit is None else shortened(shown, limit)).replace("$", r"\$")


def shortened(text: str, limit: int) -> str:
    """Replaces the middle of a text that takes more columns than the limit."""
    if columns(text) <= limit:
        return text
    front, back = (limit - 1) - (limit - 1) // 2, (limit - 1) // 2
    begin = next(n for n in range(len(text), -1, -1) if columns(text[:n]) <= front)
    end = next(n for n in range(len(text) + 1) if columns(text[n:]) <= back)
    return f"{text[:begin]}…{text[end:]}"


def columns(text: str) -> int:
    """Counts the columns of a text: two for each wide character, none for what is put upon another."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def set_fonts(figure: "Figure") -> None:
    """Gives each text of a figure the fonts that its characters need, after Matplotlib's own."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        needed = [] if text.get_text().isascii() else fonts_for(text.get_text())
        if needed:
            text.set_fontfamily([_base_font()[0], *(name for name, _ in needed)])


def fonts_for(text: str) -> tuple[tuple[str, str], ...]:
    """Returns family and file of the installed fonts that have what Matplotlib's own lacks of a text."""
    missing = frozenset(map(ord, text)) - _characters(_base_font()[1])
    return _fonts_with(frozenset(code for code in missing if code > 127))


@functools.lru_cache(maxsize=256)
def _fonts_with(codes: frozenset[int]) -> tuple[tuple[str, str], ...]:
    chosen: list[tuple[str, str]] = []
    for name, path in _upright_fonts() if codes else ():
        found = codes & _characters(path)
        if found:
            chosen.append((name, path))
            codes -= found
        if not codes:
            break
    return tuple(chosen)


@functools.cache
def _upright_fonts() -> tuple[tuple[str, str], ...]:
    from matplotlib.font_manager import fontManager

    def plainness(entry: Any) -> tuple[bool, bool, bool, str]:
        is_regular = str(entry.weight) in ("400", "normal")
        return (entry.style != "normal", not is_regular, "Sans" not in entry.name, entry.name)

    entries = sorted(fontManager.ttflist, key=plainness)
    return tuple((one.name, one.fname) for one in entries if not any(word in one.name for word in UNUSABLE))


def _base_font() -> tuple[str, str]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    path = findfont(FontProperties())
    return get_font(path).family_name, path


@functools.lru_cache(maxsize=1024)
def _characters(path: str) -> frozenset[int]:
    """Returns the code points that a font has outlines of; none where it cannot be read."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def _is_shown(character: str, known: frozenset[int]) -> bool:
    # Signs that steer (one turns the rest of a line around) are shown by number, but for the two that join letters.
    if unicodedata.category(character).startswith("C") and character not in JOINERS:
        return False
    return character.isascii() or ord(character) in known
