import pytest

from zoo.sharing.site.wording import brief, duration, figure, interval, less_is_better, moment, size, toml_lines, whole


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (figure(0.91234), "91.2 %"),
        (figure(0.31271, "val_loss"), "0.3127"),
        (figure(None), "–"),
        (figure(float("nan")), "–"),
        (interval((0.8961, 0.925)), "89.6 % to 92.5 %"),
        (interval(None), "–"),
        (duration(4.21), "4.2 s"),
        (duration(59.6), "1 min 0 s"),
        (duration(754), "12 min 34 s"),
        (duration(3 * 3600 + 20 * 60), "3 h 20 min"),
        (duration(None), "–"),
        (duration(-1), "–"),
        (moment("2026-11-27T09:30:15Z"), "2026-11-27 09:30 UTC"),
        (moment("2026-11-27T09:30:15.25+00:00"), "2026-11-27 09:30 UTC"),
        (moment("yesterday"), "yesterday"),
        (whole(1234567), "1,234,567"),
        (whole(None), "–"),
        (size(999), "999 bytes"),
        (size(13_650_000), "13.7 MB"),
        (brief("abcdef", 4), "abc…"),
        (brief("abcd", 4), "abcd"),
    ],
)
def test_a_value_is_written_as_people_read_it(written, expected):
    assert written == expected


def test_losses_are_better_the_lower_they_are_and_accuracies_the_higher():
    assert [name for name in ("loss", "val_loss", "ece", "brier_score", "error_rate") if not less_is_better(name)] == []
    assert [name for name in ("accuracy", "macro_f1", "glossiness", "top5") if less_is_better(name)] == []


def test_the_lines_of_a_recipe_are_divided_and_lose_nothing():
    text = '# why\n[model]\n[[phases]]\nname = "a = b"\n"x y".z = 1\n  "one",\n]\n\n'
    lines = toml_lines(text)
    assert [one.kind for one in lines] == ["comment", "header", "header", "key", "key", "other", "other"]
    assert [one.name for one in lines if one.name] == ["name ", '"x y".z ']
    assert "\n".join(one.name + one.rest for one in lines) == text.rstrip("\n")
