"""docs/api.md has every public name, as its signature and docstring are."""

import importlib.util
import re
from pathlib import Path

import pytest

import zoo

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def make_api():
    spec = importlib.util.spec_from_file_location("make_api", DOCS / "make_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_docstrings_say(make_api):
    """After a change of either: python docs/make_api.py > docs/api.md."""
    assert (DOCS / "api.md").read_text(encoding="utf-8") == make_api.page(), "python docs/make_api.py > docs/api.md"


def test_every_public_name_is_on_the_page_once():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    named = re.findall(r"^(?:### |- )`zoo\.(\w+)`", page, flags=re.MULTILINE)
    assert sorted(named) == sorted(zoo.__all__)


def test_every_public_name_has_an_example_of_names_that_exist(make_api):
    shown = [name for _, names in make_api.sections() for name in names]
    assert len(shown) > 20
    for name in shown:
        code = make_api.example(name)
        compile(code, name, "exec")
        used = re.findall(r"\bzoo\.(\w+)", code)
        assert code and set(used) <= set(zoo.__all__), name


@pytest.mark.parametrize("name", ["list_models", "info", "Card", "Stage", "WeightSet", "Protocol", "Recipe"])
def test_an_example_that_needs_nothing_runs(make_api, name, capsys):
    exec(compile(make_api.example(name), name, "exec"), {"zoo": zoo})
    assert capsys.readouterr().out or name == "list_models"
