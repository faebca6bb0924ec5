"""A command starts Keras without other libraries that Keras imports wherever they are installed."""

import json
import os
import subprocess
import sys

import pytest

LEFT_OUT = ["jax", "matplotlib.pyplot", "pandas", "sklearn"]
SAYS = f"import json, sys; print(json.dumps([name for name in {LEFT_OUT} if name in sys.modules]))"


def imported(program, backend="tensorflow"):
    """Runs a program in a process of its own, and gives what it prints."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300, env=environment
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_command_imports_none_of_them_and_finds_them_afterwards():
    start = "from zoo.cli.shell.start import start_backend; start_backend()"
    later = "import pandas, sklearn.base, matplotlib.pyplot; pandas.DataFrame; sklearn.base.BaseEstimator"
    collecting = "import gc; print(json.dumps([gc.isenabled(), gc.get_freeze_count() > 100_000]))"
    assert imported(f"{start}\n{SAYS}\n{later}\n{SAYS}\n{collecting}") == [[], LEFT_OUT[1:], [True, True]]


@pytest.mark.slow
def test_keras_imports_all_of_them_by_itself():
    """When it does not any more, `zoo.backend.lean_start` can go."""
    assert imported(f"import keras\n{SAYS}") == [LEFT_OUT]


@pytest.mark.slow
def test_the_backend_itself_is_never_left_out():
    start = "from zoo.cli.shell.start import start_backend; start_backend()"
    assert imported(f"{start}\n{SAYS}", backend="jax") == [["jax"]]
