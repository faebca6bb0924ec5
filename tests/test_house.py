"""The limits that keep a file readable at a sitting: state the reason beside what goes beyond them, or mend it."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "zoo"
LINES_OF_A_FUNCTION, ARGUMENTS, ENTRIES_OF_A_FOLDER, ENTRIES_OF_THE_HOUSE, LINES_OF_A_FILE = 60, 7, 14, 24, 350
# A reason stands in the function or above it: "# Long because ..." or "# Many arguments because ...".
REASON = re.compile(r"# (Long|Many arguments) because \S+")
# Files above the limit -> why each is one story.
LONG_FILES = {
    "zoo/data/sources/arrays.py": "one format, its splits and its faults",
    "zoo/runs/record.py": "one document, and every key of it in one place",
}


@dataclass(frozen=True, kw_only=True)
class Function:
    place: str
    lines: int
    arguments: int
    has_reason: bool


def files():
    return sorted(path for path in HOUSE.rglob("*.py") if "__pycache__" not in path.parts)


def named(path):
    return path.relative_to(ROOT).as_posix()


def functions(text, place):
    """Gives each function with its lines of code: docstrings, comments and empty lines do not count."""
    lines = text.splitlines()

    def walk(node, within):
        for child in ast.iter_child_nodes(node):
            name = [*within, child.name] if isinstance(child, ast.ClassDef) else within
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = [*within, child.name]
                yield measured(child, ".".join(name))
            yield from walk(child, name)

    def measured(function, name):
        first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
        code = lines[function.lineno - 1 : function.end_lineno]
        counted = sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in code)
        docstring = function.body[0]
        if ast.get_docstring(function, clean=False) is not None:
            counted -= sum(bool(line.strip()) for line in lines[docstring.lineno - 1 : docstring.end_lineno])
        given = function.args
        arguments = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        above = lines[max(first - 3, 0) : first - 1]
        return Function(
            place=f"{place}: {name}",
            lines=counted,
            arguments=len([one for one in arguments if one not in ("self", "cls")]),
            has_reason=any(REASON.search(line) for line in (*above, *code)),
        )

    yield from walk(ast.parse(text), [])


def test_a_function_is_short_and_takes_few_arguments_or_says_why():
    beyond = {
        one.place: f"{one.lines} lines, {one.arguments} arguments"
        for path in files()
        for one in functions(path.read_text(encoding="utf-8"), named(path))
        if (one.lines > LINES_OF_A_FUNCTION or one.arguments > ARGUMENTS) and not one.has_reason
    }
    assert beyond == {}, (
        f"at most {LINES_OF_A_FUNCTION} lines and {ARGUMENTS} arguments: make it steps or a frozen dataclass, or say "
        "'# Long because ...' or '# Many arguments because ...' beside it"
    )


@pytest.mark.parametrize(
    ("text", "lines", "arguments", "has_reason"),
    [
        ("def f(self, a, *, b=1, **rest):\n    '''Says\n\n    more.'''\n    # why\n\n    return a\n", 2, 2, False),
        ("# Many arguments because a user types them.\ndef f(a, /, b):\n    return a\n", 2, 2, True),
        ("class C:\n    @property\n    def f(self):\n        # Long because of x.\n        return 1\n", 2, 0, True),
    ],
)
def test_the_count_of_a_function_is_that_of_a_reader(text, lines, arguments, has_reason):
    (found,) = functions(text, "a.py")
    assert (found.lines, found.arguments, found.has_reason) == (lines, arguments, has_reason)


def test_a_file_is_readable_at_a_sitting_or_listed_with_its_reason():
    long = {named(path) for path in files() if len(path.read_text(encoding="utf-8").splitlines()) > LINES_OF_A_FILE}
    assert long == set(LONG_FILES), f"more than {LINES_OF_A_FILE} lines: split it along its story, or list it"


def entries(folder):
    return [path.name for path in folder.iterdir() if path.name != "__pycache__"]


def test_a_folder_holds_few_modules():
    folders = {path.parent for path in files()} - {HOUSE}
    full = [named(folder) for folder in folders if len(entries(folder)) > ENTRIES_OF_A_FOLDER]
    assert full == [], f"more than {ENTRIES_OF_A_FOLDER} entries: sort them into folders"
    of_code = set(entries(HOUSE)) - {"assets", "py.typed"}
    assert len(of_code) <= ENTRIES_OF_THE_HOUSE, "no room is left in zoo/: a new folder belongs into another"


def test_no_module_is_named_for_what_it_does_not_say():
    nondescript = re.compile(r"(^|_)(utils?|helpers?|misc|common|manager)($|_)")
    assert [named(path) for path in files() if nondescript.search(path.stem)] == []
