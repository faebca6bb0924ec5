"""Regular expressions that others wrote: matched by RE2, in time that grows with the text and no faster.

Python's `re` tries again where a match fails, for some patterns for ever. RE2 (https://github.com/google/re2/wiki/Syntax)
has no look-around and no back-references, which need that. Else a pattern means what it means to `re`, or is refused.
"""

import re
from dataclasses import dataclass
from typing import Any

from zoo.errors import printable

LONGEST_PATTERN = 1_000
# Python's classes know every alphabet, RE2's ASCII alone; these are the same in RE2's words.
_CLASSES = {"w": r"\pL\pN_", "d": r"\p{Nd}", "s": r"\s\p{Z}\x0b\x1c-\x1f\x{85}"}
_TOKEN = re.compile(r"\\.|\{,(?=\d+\})|\[\^?\]?|.", re.DOTALL)
# What RE2 does not have -> what to write.
_INSTEAD = (
    (re.compile(r"\(\?<?[=!]"), "look-around", "match what stands there, and put parentheses around what counts"),
    (re.compile(r"\\[1-9]|\(\?P="), "a back-reference", "write the part out a second time"),
    (re.compile(r"\(\?\("), "a condition", "write both patterns, with | between them"),
    (re.compile(r"[*+?}]\+|\(\?>"), "a possessive repeat", "leave the + or the ?> out: RE2 never goes back"),
    (re.compile(r"\(\?#"), "a comment", "leave it out"),
    (re.compile(r"\\[uUN]"), r"an escape such as \u00e9", "write the letter itself"),
)


class PatternError(ValueError):
    """A pattern that cannot be used, or not on a text; the message says why, and what to write."""


@dataclass(frozen=True)
class Pattern:
    r"""A pattern that was compiled.

    Attributes:
        text: As it was written.
        only_ascii: What in it knows ASCII letters alone, such as `\b`; "" where nothing does.
    """

    text: str
    only_ascii: str
    _compiled: Any

    def matches(self, text: str) -> bool:
        """Whether it is found in a text.

        Raises:
            PatternError: The text has other letters than the pattern knows.
        """
        return self._search(text) is not None

    def first_group(self, text: str) -> str | None:
        """Returns what its first group found in a text, or all that it found where it has no groups; else None.

        Raises:
            PatternError: The text has other letters than the pattern knows.
        """
        found = self._search(text)
        return None if found is None else found.group(1 if self._compiled.groups else 0)

    def _search(self, text: str) -> Any:
        if self.only_ascii and not text.isascii():
            raise PatternError(
                f"{self.only_ascii} knows ASCII letters only, and '{printable(text)}' has others; expected other "
                r"words, such as [^\pL\pN_] for what is neither letter nor digit"
            )
        # Half a pair, which a file's name may have, is not in any UTF-8.
        return self._compiled.search(text.encode("utf-8", "backslashreplace").decode())


def compile_pattern(text: str) -> Pattern:
    """Compiles a pattern that somebody else may have written.

    Raises:
        PatternError: It is not a regular expression, too long, or one that cannot be matched without going back.
    """
    if len(text) > LONGEST_PATTERN:
        raise PatternError(f"it has {len(text):,} characters; expected at most {LONGEST_PATTERN:,}")
    import re2  # here, because few recipes have a pattern

    options = re2.Options()
    options.log_errors = False
    translated, only_ascii = _translated(text)
    try:
        # First as it was written, so that a fault quotes it so.
        re2.compile(text.replace(r"\Z", r"\z"), options)
        return Pattern(text, only_ascii, re2.compile(translated, options))
    except UnicodeEncodeError:
        raise PatternError("it is not UTF-8 text") from None
    except re2.error as fault:
        raise PatternError(_why(text, fault)) from None


def _why(text: str, fault: Exception) -> str:
    for sign, what, instead in _INSTEAD:
        if sign.search(text):
            return f"{what} is not part of RE2's patterns; {instead}"
    said: object = fault.args[0] if fault.args else ""
    return printable(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)


def _translated(text: str) -> tuple[str, str]:
    """Writes a pattern of Python for RE2, and says what in it knows ASCII alone."""
    parts: list[str] = []
    only_ascii = ""
    inside = False  # a class in brackets
    for token in _TOKEN.findall(text):
        letter = token[1:] if token.startswith("\\") else ""
        if letter in ("w", "d", "s"):
            parts.append(_CLASSES[letter] if inside else f"[{_CLASSES[letter]}]")
        elif letter in ("W", "D", "S") and not inside:
            parts.append(f"[^{_CLASSES[letter.lower()]}]")
        elif letter == "Z":
            parts.append(r"\z")
        elif token == "{," and not inside:
            parts.append("{0,")
        else:
            only_ascii = token if letter in ("W", "D", "S", "b", "B") else only_ascii
            parts.append(token)
        if token.startswith("[") and not inside:
            inside = True
        elif token == "]":
            inside = False
    return "".join(parts), only_ascii
