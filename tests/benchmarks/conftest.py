"""The scripts of benchmarks/, which are no package: imported as they import one another."""

import importlib
import sys

import pytest

from tests.tiny import HERE

BENCHMARKS = HERE / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Gives a module of benchmarks/ by its name, for one test."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and file.startswith(str(BENCHMARKS)):
            del sys.modules[name]
