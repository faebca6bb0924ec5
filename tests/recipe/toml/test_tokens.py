import tomllib

import pytest

from zoo.recipe.toml.tokens import TooMuchError, refuse_too_much


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
