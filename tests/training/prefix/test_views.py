"""What a fixed view is known by, where a plug-in's code draws it."""

import importlib
import sys

import pytest

from zoo.recipe.schema import AugmentSection
from zoo.registry.augmentations import AUGMENTATIONS
from zoo.training.prefix.views import fixed_views

ROWS = """
from zoo.registry.augmentations import AUGMENTATIONS, AugmentationRow


def build(*, channels, name):
    from keras import layers

    return layers.Identity(name=name)


AUGMENTATIONS.register(AugmentationRow(name="veil", summary="veils", build=build))
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package outside of zoo, with a row in one of its files."""
    folder = tmp_path / "veiled_by_tests"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "rows.py").write_text(ROWS)
    (folder / "drawing.py").write_text("DEPTH = 1\n")
    AUGMENTATIONS.names()
    monkeypatch.setattr(AUGMENTATIONS, "_rows", dict(AUGMENTATIONS._rows))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("veiled_by_tests.rows")
    yield folder
    for name in [name for name in sys.modules if name.startswith("veiled_by_tests")]:
        del sys.modules[name]


def described(**keys):
    return [view.described() for view in fixed_views(AugmentSection(views=2, **keys), seed=0)]


def test_a_view_of_a_plug_in_is_another_when_a_file_of_its_package_changes(package):
    before = described(layers={"veil": {}})
    assert described(layers={"veil": {}}) == before
    (package / "drawing.py").write_text("DEPTH = 2\n")
    assert described(layers={"veil": {}}) != before


def test_the_code_of_zoo_is_not_part_of_what_a_view_is_known_by():
    assert all("plug_ins" not in view for view in described(rotation=5.0, policy="trivial", layers={"blur": {}}))
