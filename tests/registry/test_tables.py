"""Open tables: what a row may say, which names are refused, and what loads when."""

import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from zoo.errors import NotFoundError, ZooError
from zoo.registry.tables import Option, Row, Table

GROUP = "zoo.test_shapes"


def square(side):
    return side * side


def table():
    shapes = Table("shape", group=GROUP, row=Row)
    shapes.register(
        Row(
            name="square",
            summary="All sides are equal.",
            options={
                "side": Option(default=1.0, above=0, at_most=9),
                "corners": Option(default="sharp", choices=("sharp", "round")),
                "filled": Option(default=True),
                "dots": Option(default=3, at_least=1),
                "marks": Option(default=(0.5,), at_least=0, below=1),
            },
            build=square,
        )
    )
    return shapes


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("side", 2, None),
        ("side", 0.0, " is 0.0; expected a number > 0 and <= 9"),
        ("side", float("nan"), " is NaN; expected a number > 0 and <= 9"),
        ("side", True, " is true; expected a number > 0 and <= 9"),
        ("side", "2", ' is "2"; expected a number > 0 and <= 9'),
        ("corners", "round", None),
        ("corners", "flat", ' is "flat"; expected "sharp" or "round"'),
        ("filled", False, None),
        ("filled", 1, " is 1; expected true or false"),
        ("dots", 2.0, " is 2.0; expected a whole number >= 1"),
        ("dots", 0, " is 0; expected a whole number >= 1"),
        ("marks", [0, 0.25], None),
        ("marks", [0.25, 1], " is [0.25, 1]; expected a list of numbers, each >= 0 and < 1"),
        ("marks", [], " is []; expected a list of numbers, each >= 0 and < 1"),
        ("marks", 0.25, " is 0.25; expected a list of numbers, each >= 0 and < 1"),
        (
            "sides",
            1,
            ": shape 'square' has no such option. Did you mean 'side'? It has: side, corners, filled, dots, marks.",
        ),
    ],
)
def test_an_option_that_does_not_hold_is_reported_with_what_is_expected(option, value, text):
    assert list(table().option_faults("square", {option: value})) == ([] if text is None else [(option, text)])


def test_options_that_are_left_out_have_their_defaults():
    filled = table().lookup("square").filled({"dots": 7, "side": 2})
    assert type(filled["side"]) is float
    assert filled == {
        "side": 2.0,
        "corners": "sharp",
        "filled": True,
        "dots": 7,
        "marks": (0.5,),
    }


def test_an_unknown_name_offers_the_nearest_and_lists_all():
    with pytest.raises(NotFoundError) as raised:
        table().lookup("squre")
    assert str(raised.value) == "Unknown shape 'squre'. Did you mean 'square'? There are: square."


def test_a_taken_name_is_refused_and_the_same_module_may_register_again():
    shapes = table()
    again = shapes.register(Row(name="square", summary="Mine.", build=square))
    assert shapes.lookup("square") is again
    with pytest.raises(ZooError) as raised:
        shapes.register(Row(name="square", summary="Theirs.", build=dedent))
    assert str(raised.value) == (f"register: shape 'square' is already registered by {__name__}; expected a new name")
    assert shapes.lookup("square") is again
    with pytest.raises(ZooError, match="register: found 'square'; expected a Row for the shape"):
        shapes.register("square")


def install(site, name, source):
    """Leaves a plug-in as pip does: a module, and its dist-info folder with entry points."""
    (site / f"{name}.py").write_text(dedent(source))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {name}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in list(sys.modules):
        if module.startswith("zoo_plug_in_"):
            del sys.modules[module]


def test_a_plug_in_that_fails_is_named_at_every_question_and_stops_nothing_else(site, monkeypatch):
    install(site, "zoo_plug_in_bad", "1 / 0")
    install(site, "zoo_plug_in_good", "import shapes_of_test\nshapes_of_test.add('circle')")
    shapes = table()
    module = type(sys)("shapes_of_test")
    module.add = lambda name: shapes.register(Row(name=name, summary="", build=module.add))
    monkeypatch.setitem(sys.modules, "shapes_of_test", module)
    told = "plug-in 'zoo_plug_in_bad' (zoo_plug_in_bad) is left out: ZeroDivisionError: division by zero"
    for question in (shapes.names, shapes.rows, lambda: shapes.lookup("circle")):
        with pytest.warns(UserWarning) as caught:
            question()
        assert [str(warning.message) for warning in caught] == [told]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert shapes.names() == ["square", "circle"]


def test_a_plug_in_that_fails_half_way_leaves_no_row(site, monkeypatch):
    install(site, "zoo_plug_in_half", "import shapes_of_test\ndef build(): ...\nshapes_of_test.add(build)\n1 / 0")
    shapes = table()
    module = type(sys)("shapes_of_test")
    module.add = lambda build: shapes.register(Row(name="circle", summary="", build=build))
    monkeypatch.setitem(sys.modules, "shapes_of_test", module)
    with pytest.warns(UserWarning, match="plug-in 'zoo_plug_in_half' .* is left out: ZeroDivisionError"):
        assert shapes.names() == ["square"]


def test_a_built_in_module_that_fails_ends_every_question(site):
    (site / "zoo_plug_in_ours.py").write_text("1 / 0")
    shapes = Table("shape", group=GROUP, row=Row, built_in=["zoo_plug_in_ours"])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            shapes.names()


def test_threads_that_ask_while_rows_load_all_see_every_row(site, monkeypatch):
    shapes = Table("shape", group=GROUP, row=Row, built_in=["zoo_plug_in_ours"])
    module = type(sys)("shapes_of_test")
    module.add = lambda name: shapes.register(Row(name=name, summary="", build=square))
    monkeypatch.setitem(sys.modules, "shapes_of_test", module)
    slow = "import time\nimport shapes_of_test\nfor name in 'abcd':\n    time.sleep(0.02)\n    shapes_of_test.add(name)"
    (site / "zoo_plug_in_ours.py").write_text(slow)
    together = threading.Barrier(8)

    def ask(_):
        together.wait()
        return shapes.names()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [["a", "b", "c", "d"]] * 8


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"name": "my shape"}, "'my shape': its name is 'my shape'; expected letters, digits, '_' and '-', a letter"),
        ({"name": "a.b"}, "'a.b': its name is 'a.b'; expected letters"),
        ({"name": 3}, "3: its name is 3; expected letters"),
        ({"build": None}, "'mine': build is None; expected a function"),
        ({"options": {"side": 2.0}}, "'mine': option 'side' is 2.0; expected an Option(default=...)"),
        (
            {"options": {"the side": Option(default=2.0)}},
            "'mine': an option's name is 'the side'; expected the",
        ),
    ],
)
def test_a_row_that_is_wrong_in_itself_is_refused_where_it_is_registered(row, text):
    with pytest.raises(ZooError) as raised:
        table().register(Row(**{"name": "mine", "summary": "", "build": square, **row}))
    assert str(raised.value).startswith(f"register: shape {text}")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"default": None}, "Option: default is None; expected true or false, a number, a text, or a tuple of these"),
        ({"default": [1.0]}, "Option: default is [1.0]; expected true or false, a number, a text, or a tuple of these"),
        ({"default": ()}, "Option: default is (); expected true or false, a number, a text, or a tuple of these"),
        ({"default": 3.0, "at_most": 1}, "Option: default is 3.0; expected a number <= 1, as the option itself says"),
    ],
)
def test_an_option_whose_default_does_not_hold_is_refused(settings, text):
    with pytest.raises(ZooError) as raised:
        Option(**settings)
    assert str(raised.value).startswith(text)


def test_a_builder_that_fails_is_one_line_that_names_the_row():
    def fails(side):
        raise ValueError("two\nlines")

    shapes = table()
    row = shapes.register(Row(name="broken", summary="", build=fails))
    with pytest.raises(ZooError) as raised:
        shapes.built(row, side=1.0)
    assert str(raised.value) == f"shape 'broken' ({__name__}): its builder fails: ValueError: two lines"


def test_a_plug_in_that_fails_or_exits_leaves_no_rows_in_any_table(site, monkeypatch):
    register = "import shapes_of_test\ndef build(): ...\nshapes_of_test.add(build)\n"
    install(site, "zoo_plug_in_half", f"{register}raise ValueError('two\\nlines')")
    install(site, "zoo_plug_in_exit", f"{register}raise SystemExit(1)")
    shapes, others = table(), Table("other", group="zoo.test_others", row=Row)
    module = type(sys)("shapes_of_test")

    def add(build):
        for one in (shapes, others):
            one.register(Row(name=build.__module__, summary="", build=build))

    module.add = add
    monkeypatch.setitem(sys.modules, "shapes_of_test", module)
    with pytest.warns(UserWarning) as caught:
        assert shapes.names() == ["square"]
    assert {str(warning.message).partition(" is left out: ")[2] for warning in caught} == {
        "ValueError: two lines",
        "SystemExit: 1",
    }
    assert others.names() == []
