import re
import tomllib
from pathlib import Path

import pytest

import zoo
from zoo.foreign.toml_documents import TooMuchError, read_toml, refuse_too_much


def dots(depth):
    return ".".join(f"a{level}" for level in range(depth))


@pytest.mark.parametrize("frame", ["[{}]\nb = 1", "{} = 1", "a = \".\"\n# [[[\n{} = '...'", "x = 1\n[ {} ]"])
def test_a_key_has_at_most_32_parts_and_a_bracket_counts_as_one(frame):
    brackets = frame.count("[{}]") + frame.count("[ {}")
    held = frame.format(dots(32 - brackets))
    tomllib.loads(held)
    refuse_too_much(held)
    with pytest.raises(TooMuchError, match="nests more than 32 keys and values in one another") as caught:
        refuse_too_much(frame.format(dots(33 - brackets)))
    assert caught.value.line == frame[: frame.index("{}")].count("\n") + 1


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ("{a = ", "}")])
def test_values_nest_as_deep_as_keys_and_the_keys_around_them_count(opens, closes):
    held = "key = " + opens * 31 + "1" + closes * 31
    refuse_too_much(held)
    for text in (held.replace("key", "my.key"), "key = " + opens * 32 + "1" + closes * 32):
        with pytest.raises(TooMuchError):
            refuse_too_much(text)


def test_what_ends_does_not_count_for_what_follows():
    refuse_too_much("[a.b.c]\nd = [[1.5, 2.5], {e = 1}]\n" * 1_000)
    with pytest.raises(TooMuchError, match="holds more than 20,000 keys and values"):
        refuse_too_much("[a.b.c]\nd = [[1.5, 2.5], {e = 1}]\n" * 2_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{dots(5_000)} = 1", "nests more than 32"),
        ("\n" * 1_000_001, "has 1,000,001 letters; expected at most 1,000,000"),
        (f"a = {'9' * 5_000}", "4300 digits"),
        ("a = ", "Invalid value"),
    ],
)
def test_a_document_of_others_is_refused_before_it_takes_memory_or_time(text, said):
    assert read_toml('a.b = 1\n"c d" = [2]') == {"a": {"b": 1}, "c d": [2]}
    with pytest.raises(ValueError, match=said):
        read_toml(text)


# Where tomllib reads what others cannot have written at that length, and why.
READ_WITHOUT_LIMITS = {
    "foreign/toml_documents.py": "after it has looked",
    "recipe/finding.py": "recipes that ship",
    "recipe/toml/line_numbers.py": "one part of a key",
    "recipe/toml/parsing.py": "what read_recipe_file has looked at",
    "shelves/configured.py": "the user's own settings",
}


def test_nothing_else_reads_toml_without_limits():
    house = Path(zoo.__file__).parent
    reading = [path for path in house.rglob("*.py") if re.search(r"tom(llib|lkit)\.(load|parse)", path.read_text())]
    assert {path.relative_to(house).as_posix() for path in reading} == set(READ_WITHOUT_LIMITS)
