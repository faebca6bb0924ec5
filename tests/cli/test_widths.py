"""No line is wider than the screen, and nothing is cut where no screen is."""

import re

import click
import pytest

from tests.tiny import phase, recipe, write_photos
from zoo.cli import VERBS, main

LOOKING = [
    "list",
    "list mnist*",
    "show efficientnet_lite0",
    "show mobilenet_v3_small",
    "weights ls",
    "weights verify mnist_conv",
    "recipe ls",
    "recipe keys",
    "recipe check quickstart finetune/default",
    "cache ls",
]


def every_help():
    """Yields the words that show the help of each verb, and of each verb below one."""
    yield ["--help"]
    for name in VERBS:
        yield [name, "--help"]
        command = main.get_command(click.Context(main), name)
        if isinstance(command, click.Group):
            yield from ([name, below, "--help"] for below in command.commands)


def too_wide(text, columns):
    """Returns the lines that wrap, but single words: a path is never broken."""
    return [line for line in text.splitlines() if len(line) > columns and len(line.split()) > 1]


@pytest.mark.parametrize("columns", [80, 60, 40])
@pytest.mark.parametrize("words", LOOKING)
def test_what_is_listed_fits(typed, monkeypatch, words, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, err = typed(*words.split())
    assert code == 0
    assert too_wide(out + err, columns) == []
    assert out


@pytest.mark.parametrize("columns", [80, 60, 40])
@pytest.mark.parametrize("words", list(every_help()), ids=" ".join)
def test_help_fits(typed, monkeypatch, words, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = typed(*words)
    assert code == 0
    assert too_wide(out, columns) == []


def test_no_summary_is_broken_off(typed):
    for words in (["--help"], ["recipe", "--help"], ["data", "--help"], ["weights", "--help"], ["cache", "--help"]):
        assert "..." not in typed(*words)[1].split("Commands:")[1]


def test_every_verb_shows_examples_that_begin_with_its_name(typed):
    for words in every_help():
        command = main
        for word in words[:-1]:
            command = command.get_command(click.Context(command), word)
        if not isinstance(command, click.Group):
            assert re.search(rf"Examples?:\n\s+zoo {' '.join(words[:-1])}\b", typed(*words)[1]), words


def test_nothing_is_cut_where_no_screen_is(typed, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "licence" in typed("list")[1].splitlines()[0]
    assert "to get it" in typed("weights", "ls")[1].splitlines()[0]
    assert len(typed("recipe", "ls")[1].splitlines()) == len(typed("recipe", "ls", "--json")[1].split('"name"')) - 1


def test_a_dropped_column_is_named_with_the_way_to_see_it(typed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert typed("list")[1].splitlines()[-1].endswith("on a wider screen, or with --json)")


def test_the_names_stay_whole_however_narrow_the_screen_is(typed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert any(line.startswith("mnist_striding_batchnorm") for line in typed("list")[1].splitlines())


def test_training_and_what_follows_fits(typed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", count=8)
    phases = (phase("head", "head", epochs=1), phase("everything", "all", epochs=10))
    (tmp_path / "tiny.toml").write_text(recipe(*phases).to_toml())
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "my run")
    assert code == 0, err
    assert too_wide(out + err, 80) == []
    assert "next     zoo predict 'my run' IMAGE\n" in out
    assert out.splitlines()[-1] == "my run"
    epochs = [line for line in err.splitlines() if re.match(r"everything +\d+/10 ", line)]
    assert len(epochs) == 10
    assert len({line.index("val_loss") for line in epochs}) == 1
    for words in (["finetune", "tiny.toml", "--data", "photos", "--dry-run"], ["evaluate", "my run"]):
        code, out, err = typed(*words)
        assert (code, too_wide(out + err, 80)) == (0, [])
    code, out, err = typed("predict", "my run", "photos/cat")
    assert (code, too_wide(out, 80), len(out.splitlines())) == (0, [], 8)
