"""The words and marks of a TOML document, and the limits that hold before anything else reads it.

`tomllib` takes memory by the square of a dotted key's length, and recurses into arrays: who wrote the document decides
how much. No recipe comes near the limits.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

DEEPEST = 32
MOST_ENTRIES = 20_000
MOST_LETTERS = 1_000_000

# Each kind of text goes on to the end of the document where it is never closed, so that none is looked at twice.
TOKEN = re.compile(
    r'''
      (?P<blank> \#[^\n]*+ | [ \t\r]++ )
    | (?P<word>  """(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\\?\Z) | \'\'\'(?:[^']|'(?!''))*+(?:'{3,5}|\Z)
               | "(?:[^"\\\n]|\\.)*+"? | '[^'\n]*+'? | [^\s\[\]{}=,.\#"']++ )
    | (?P<mark>  [\[\]{}=,.\n] )
    ''',
    re.VERBOSE | re.DOTALL,
)


class TooMuchError(ValueError):
    """A document nests deeper than a recipe may, or holds more, or is longer.

    Attributes:
        line: Where it does, counted from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yields kind (`word` or `mark`), text and line of each token."""
    line = 1
    for token in TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "word" or kind == "mark":
            yield kind, token[0], line
        line += token[0].count("\n")


def refuse_too_much(text: str) -> None:
    """Counts in one pass how deep the keys and values of a document nest, and how many there are.

    A table's name counts by its parts, and so does a key within it; each bracket adds one.

    Raises:
        TooMuchError: A statement nests deeper than `DEEPEST`, or the document has more than `MOST_ENTRIES` keys,
            tables and values of lists.
    """
    entries = around = parts = 0
    open_brackets: list[int] = []  # the depth that each has added
    for kind, token, line in tokens(text):
        if kind == "word":
            continue
        if token == ".":
            parts += 1
        elif token in "[{":
            open_brackets.append(parts + 1)
            around += parts + 1
            parts = 0
        elif token in "]}" and open_brackets:
            around -= open_brackets.pop()
        if token in ",]}\n":
            parts = 0
        if around + parts >= DEEPEST:
            raise TooMuchError(f"nests more than {DEEPEST} keys and values in one another", line)
        entries += token in "=[{,."
        if entries > MOST_ENTRIES:
            raise TooMuchError(f"holds more than {MOST_ENTRIES:,} keys and values", line)


def read_toml(text: str) -> dict[str, Any]:
    """Reads a document within the limits of a recipe, whoever wrote it.

    Raises:
        TooMuchError: It is beyond them.
        ValueError: It is not TOML.
    """
    if len(text) > MOST_LETTERS:
        raise TooMuchError(f"has {len(text):,} letters; expected at most {MOST_LETTERS:,}", 1)
    refuse_too_much(text)
    return tomllib.loads(text)
