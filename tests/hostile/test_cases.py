"""The frame notices what it is there for."""

import sys
import time
from pathlib import Path

import pytest

from tests.hostile.cases import Case, name_of
from zoo.errors import DataError


def nothing(place):
    return None


def fails(error):
    def call(place):
        raise error

    return call


def says(text):
    """Refuses in words that no error of zoo would let through."""

    def call(place):
        print(text, file=sys.stderr)
        raise DataError("no")

    return call


CASES = (
    Case(name="a refusal", make=nothing, call=fails(DataError("a.csv: is empty"))),
    Case(name="a rightful success", make=nothing, call=nothing, is_refused=False),
    Case(name="a command", make=lambda place: ["no-recipe"], words=("recipe", "check"), says="Unknown recipe"),
    Case(name="an unforeseen fault", make=nothing, call=fails(KeyError("x"))),
    Case(name="a wrong success", make=nothing, call=nothing),
    Case(name="a wrong refusal", make=nothing, call=fails(DataError("no")), is_refused=False),
    Case(name="other words", make=nothing, call=fails(DataError("no")), says="a.csv"),
    Case(name="many lines", make=nothing, call=says("no\n" * 7)),
    Case(name="a long line", make=nothing, call=says("no" * 2_000)),
    Case(name="an escape", make=nothing, call=says("\x1b[2J")),
    Case(name="a marker", make=nothing, call=lambda place: place.marker.touch(), is_refused=None),
    Case(
        name="a change", make=nothing, call=lambda place: (place.outside / "precious").write_text(""), is_refused=None
    ),
    Case(name="a file beside", make=nothing, call=lambda place: Path("../x").touch(), is_refused=None),
    Case(name="much memory", make=nothing, call=lambda place: len(b"x" * 700_000_000), is_refused=None),
    Case(name="an end of the process", make=nothing, call=lambda place: __import__("os")._exit(7)),
)
EXPECTED = {
    "an unforeseen fault": "was not foreseen",
    "a wrong success": "was taken",
    "a wrong refusal": "was refused",
    "other words": "does not say 'a.csv'",
    "many lines": "says 9 lines",
    "a long line": "says a line of 4000",
    "an escape": "prints what a terminal obeys",
    "a marker": "changed outside: ['outside/marker']",
    "a change": "changed outside: ['outside/precious']",
    "a file beside": "changed outside: ['x']",
    "much memory": "took 70",
    "an end of the process": "did not end: the process ended with 7",
}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_each_kind_of_harm_is_noticed_and_nothing_else(case, tried):
    if case.name == "much memory" and sys.platform != "linux":
        pytest.skip("the peak of memory cannot be set back here")
    found = tried(case)
    assert len(found) == (1 if case.name in EXPECTED else 0), found
    assert EXPECTED.get(case.name, "") in "".join(found)


def test_a_case_that_hangs_is_stopped_and_the_next_one_is_tried(trials, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.hostile.cases.PATIENCE", 0.2)
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    assert trials.outcome(HANGS, tmp_path / "first").err == "stopped after 0.2 s"
    monkeypatch.undo()
    assert trials.outcome(CASES[1], tmp_path / "second").faults(CASES[1]) == []


HANGS = Case(name="a hang", make=nothing, call=lambda place: time.sleep(99))
CASES += (HANGS,)
