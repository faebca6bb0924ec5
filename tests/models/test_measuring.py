"""The figures of the cards that ship are those of the built models."""

import json
import shutil

import pytest
from click.testing import CliRunner

import zoo
from zoo.models.measuring import main
from zoo.registry import Card, figures, register


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the figures that ship, which the command writes in their place."""
    path = tmp_path / "figures.json"
    shutil.copyfile(figures.PATH, path)
    monkeypatch.setattr(figures, "PATH", path)
    figures.read.cache_clear()
    yield path
    figures.read.cache_clear()


def measure(*arguments):
    ended = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.mark.parametrize("pattern", ["mnist*", "conv?d_small", pytest.param("*", marks=pytest.mark.slow)])
def test_measuring_what_is_written_changes_nothing(copy, pattern):
    shipped = copy.read_bytes()
    said = measure("--write", pattern)
    assert copy.read_bytes() == shipped
    assert [line for line in said.splitlines() if not line.startswith("tfhub: left out")] == []


def test_every_variant_that_ships_has_figures_and_no_other():
    ours = {name for name in zoo.list_models() if not zoo.info(name).own_weights}
    assert figures.read().keys() == ours
    assert list(figures.read()) == sorted(ours)


def test_what_changed_or_is_new_is_measured_again(copy):
    shipped = copy.read_bytes()
    document = json.loads(shipped)
    document["figures"]["mnist_simple"]["params"] += 1
    del document["figures"]["mnist_bigger"]
    document["figures"]["gone"] = {"params": 1, "madds": 1, "by_stage": {}}
    copy.write_text(json.dumps(document))
    figures.read.cache_clear()
    assert measure("--write", "mnist_[bs]*e*").splitlines() == [
        "mnist_bigger: is new",
        "mnist_simple: has changed",
    ]
    assert copy.read_bytes() == shipped


def test_a_variant_without_figures_has_a_card(copy):
    stages = figures.measured("not_measured_yet").stages(["stem_conv", "stage1_add"])
    assert [(stage.name, stage.last_layer, stage.layers, stage.params) for stage in stages] == [
        ("stem", "stem_conv", 0, None),
        ("stage1", "stage1_add", 0, None),
        ("head", "", 0, None),
    ]


def test_what_has_no_figures_of_its_own_is_left_out():
    said = "tfhub: left out; its figures are those of the module that its options name\n"
    assert measure("tfhub") == said


def test_the_figures_of_a_plug_in_stay_on_its_card(copy, monkeypatch):
    monkeypatch.setattr("zoo.registry.entries._entries", dict(zoo.registry.entries._entries))
    shipped = copy.read_bytes()
    given = {"classes": 2, "params": 34, "madds": 32, "stages": (), "preprocessing": "none", "description": ""}

    @register(Card(name="plugged_net", family="plugged", input_shape=(4, 4, 1), **given))
    def build(inputs, **settings): ...

    assert measure("--write", "plugged*") == (
        "plugged_net: left out; the card of a plug-in has its figures as literals\n"
    )
    assert copy.read_bytes() == shipped
