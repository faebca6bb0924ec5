import random
import re
import time

import pytest

from zoo.foreign.patterns import PatternError, compile_pattern

LIKE_PYTHON = [
    r"patient(\d+)",
    r"(\w+)-\d+",
    r"^([^_]+)_",
    r"[\w-]+/(\d{3})",
    r"a{,3}b",
    r"(?i)ärger\d",
    r"x\Z",
    r"[]a]+",
    r"[^]a]+",
    r"(?P<id>\d+)",
    r"\s+\S+",
    r"[\d\s.]+",
    r"a|b|",
    r"(a|ab)(c|bcd)",
    r"a*?b",
    r"[\]x]",
    r"\D+",
    r"[{,3}]",
    r"a{,3",
    r"\\w",
    r"(?:x)(y)?",
    r"",
]


@pytest.mark.parametrize("pattern", LIKE_PYTHON)
def test_a_pattern_finds_what_python_finds_in_every_alphabet(pattern):
    ours, pythons = compile_pattern(pattern), re.compile(pattern)
    drawn = random.Random(pattern)
    for _ in range(300):
        text = "".join(drawn.choice("abxyzÄé猫_-/0123٣ \u3000\u00a0.,{]\\w\x1c") for _ in range(drawn.randrange(12)))
        found = pythons.search(text)
        assert ours.matches(text) == (found is not None), text
        assert ours.first_group(text) == (None if found is None else found.group(min(pythons.groups, 1))), text


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?=a)", "look-around is not part of RE2's patterns; match what stands there, and put parentheses"),
        ("(?<!a)b", "look-around is not part"),
        (r"(a)\1", "a back-reference is not part of RE2's patterns; write the part out a second time"),
        ("(?P<n>a)(?P=n)", "a back-reference is not part"),
        ("(a)?(?(1)b|c)", "a condition is not part of RE2's patterns; write both patterns, with | between them"),
        ("a++", "a possessive repeat is not part"),
        ("(?#c)a", "a comment is not part"),
        (r"\u00e9", r"an escape such as \u00e9 is not part of RE2's patterns; write the letter itself"),
        ("(", "missing ): ("),
        ("a" * 1_001, "it has 1,001 characters; expected at most 1,000"),
        ("((a{1000}){1000}){1000}", "invalid repetition size"),
        ("\udcff", "it is not UTF-8 text"),
    ],
)
def test_what_is_not_a_pattern_of_re2_is_refused_with_what_to_write(pattern, said, capfd):
    with pytest.raises(PatternError, match="^" + re.escape(said)):
        compile_pattern(pattern)
    assert capfd.readouterr().err == ""  # where RE2 would log it


def test_a_word_boundary_is_refused_where_letters_are_not_ascii():
    pattern = compile_pattern(r"\bp\d\b")
    assert pattern.first_group("a p1 b") == "p1"
    with pytest.raises(PatternError, match=r"^\\b knows ASCII letters only, and 'ä p1' has others"):
        pattern.first_group("ä p1")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a+)+!", "a" * 4_000),
        (r"^(([a-z_0-9])+.?)+!$", "conv2d_" * 500),
        (r"(?:a?){200}a{200}", "a" * 200),
        (r"(x+x+)+y", "x" * 4_000),
        (r"(.*)(.*)(.*)(.*)(.*)z", "a" * 4_000),
    ],
)
def test_no_pattern_takes_long(pattern, text):
    began = time.process_time()
    assert compile_pattern(pattern).first_group(text) in (None, text)
    assert time.process_time() - began < 1


def test_a_name_that_is_not_utf8_is_searched_too():
    assert compile_pattern(r"p(\d)").first_group("\udcff/p7.png") == "7"
