"""Line numbers for the keys of a TOML document, which `tomllib` does not give."""

import tomllib
from collections.abc import Iterator

from zoo.foreign.toml_documents import tokens
from zoo.recipe.overlays import KeyPath


def key_lines(text: str) -> dict[KeyPath, int]:
    """Returns the line, counted from 1, of every key and table header of a valid TOML document within the limits.

    Keys inside an inline table or an array are not listed: their line is that of the key around them.
    """
    lines: dict[KeyPath, int] = {(): 1}
    elements: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, brackets, keys in _statements(text):
        path: KeyPath = table if brackets == 0 else ()
        for depth, key in enumerate(keys, start=1):
            path = (*path, key)
            lines.setdefault(path, line)
            if brackets == 2 and depth == len(keys):
                elements[path] = elements.get(path, 0) + 1
            if path in elements:
                path = (*path, elements[path] - 1)
                lines.setdefault(path, line)
        if brackets:
            table = path
        lines[path] = line
    return lines


def _statements(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yields line, brackets (0 a key, 1 `[table]`, 2 `[[table]]`) and dotted key of each statement."""
    keys: list[str] = []
    brackets = depth = 0
    in_value = False
    for kind, token, line in tokens(text):
        mark = token if kind == "mark" else ""
        if mark == "\n" and depth == 0:
            brackets, in_value, keys = 0, False, []
        elif in_value:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark, 0)
        elif kind == "word":
            keys.append(_unquoted(token))
        elif mark == "[":
            brackets += 1
        elif mark in ("=", "]"):
            yield line, brackets, keys
            in_value, depth = True, 0 if mark == "=" else brackets - 1


def _unquoted(key: str) -> str:
    return tomllib.loads(f"key = {key}")["key"] if key[0] in "\"'" else key
