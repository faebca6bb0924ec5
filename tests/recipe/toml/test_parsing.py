import pytest

from zoo.recipe.toml.parsing import MOST_LETTERS, parse_what_can_be_read


def read(text):
    found = parse_what_can_be_read(text)
    return found.values, [fault.line for fault in found.faults], found.unread


@pytest.mark.parametrize(
    ("text", "values", "lines", "unread"),
    [
        ("a = 1\nb = x\nc = 3\n", {"a": 1, "c": 3}, [2], [("b",)]),
        ("[t]\nb = 5x # five\n[u]\nc = True\nd = 1", {"t": {}, "u": {"d": 1}}, [2, 4], [("t", "b"), ("u", "c")]),
        ('[[p]]\nn = "a\nm = 1\n[[p]]\nn = "b"', {"p": [{"m": 1}, {"n": "b"}]}, [2], [("p", 0, "n")]),
        ("a = 1\na = 2\nb = 3", {"a": 1, "b": 3}, [2], []),  # the second is passed over
        ("a = [1, 2 3]\nb = 3", {"b": 3}, [1], [("a",)]),
        ("[t\nb = x\n[[phases]\nc = 1\nq]]", {"t": {}, "phases": [{"c": 1}], "q": {}}, [1, 2, 3, 5], [("t", "b")]),
        ("a = 1\n[t]]\n[[u]\nb = 3", {"a": 1, "t": {}, "u": {"b": 3}}, [2, 3], []),
        ("a = 1\n[t u\nb = 3", {"a": 1}, [2], [()]),  # of which table b is, nobody knows
        ("a = 1\nb = [1,\nc = 3\nd = 4", {"a": 1}, [3], [()]),  # the list is not closed: no further fault is made up
        ('a = 1\nb = """x\nc = 3', {"a": 1}, [3], [()]),
        ("a 1\nb = 2", None, [1], []),
    ],
)
def test_one_line_that_is_not_toml_does_not_hide_the_others(text, values, lines, unread):
    assert read(text) == (values, lines, unread)


def test_a_fault_of_no_place_is_the_only_one():
    assert read(f"a = 1{'0' * 5_000}\nb = x") == (None, [2], [])


def test_a_long_text_is_read_once():
    found = parse_what_can_be_read("a = x\nb = y\n" + "#" * MOST_LETTERS)
    assert (found.values, [fault.line for fault in found.faults]) == (None, [1])


def test_as_many_faults_are_found_as_are_listed():
    text = "".join(f"k{number} = x\n" for number in range(100))
    values, lines, _ = read(text)
    assert (values, lines) == (None, list(range(1, 21)))


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("deterministic = True", "write deterministic = true"),
        ("flip = None # no", 'write flip = "none"'),
        ("name = pets", 'write name = "pets"'),
        ("epochs = 5x", "expected a number, true, false, a list, or a text in quotes"),
        ("[model", "write [model]"),
        ("[[phases] # first", "write [[phases]]"),
        ("epochs 5", "expected [SECTION], [[phases]] or KEY = VALUE"),
    ],
)
def test_what_is_not_toml_is_answered_with_what_could_stand_there(line, advice):
    (fault,) = parse_what_can_be_read(line).faults
    assert fault.advice == advice
