import tomllib

import pytest

from zoo.recipe.toml.line_numbers import key_lines

DOCUMENT = '''\
# a comment with = and [brackets]
top.dotted = 1 # trailing
"quoted.key" = 'text'
[table]
several = """
lines = 3
[not.a.table]
"""
listed = [ {inner = 1},
  # [[phases]]
  2 ]
after = true
[[phases]]
epochs = 1
[[phases]]
epochs = {a = 1, b = [1, 2]}
[phases.sub]
deep = 1979-05-27T07:32:00Z
[[phases.views]]
[ phases . views . last ]
end = 1.5
'''

EXPECTED = {
    (): 1,
    ("top",): 2,
    ("top", "dotted"): 2,
    ("quoted.key",): 3,
    ("table",): 4,
    ("table", "several"): 5,
    ("table", "listed"): 9,
    ("table", "after"): 12,
    ("phases",): 13,
    ("phases", 0): 13,
    ("phases", 0, "epochs"): 14,
    ("phases", 1): 15,
    ("phases", 1, "epochs"): 16,
    ("phases", 1, "sub"): 17,
    ("phases", 1, "sub", "deep"): 18,
    ("phases", 1, "views"): 19,
    ("phases", 1, "views", 0): 19,
    ("phases", 1, "views", 0, "last"): 20,
    ("phases", 1, "views", 0, "last", "end"): 21,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_key_has_the_line_it_stands_on(newline):
    text = DOCUMENT.replace("\n", newline)
    assert key_lines(text) == EXPECTED


def test_the_paths_are_those_of_tomllib():
    values = tomllib.loads(DOCUMENT)
    for path in EXPECTED:
        value = values
        for key in path:
            value = value[key]


@pytest.mark.parametrize(
    "value",
    ['"a\\"#"', "'#['", '"""a"""""', "''''a'''", '""""""', '"""\\\n  x"""', "[[1, 2],\n[3]]", "'''\n]\n'''"],
)
def test_the_key_after_any_value_is_found(value):
    text = f"first = {value}\nsecond = 2\n"
    assert tomllib.loads(text)["second"] == 2
    assert key_lines(text)["second",] == 2 + value.count("\n")
