"""The private names that zoo uses hold in the oldest releases that it supports and in the newest that there are."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from zoo.backend.keras_internals.guard import TESTED

REPOSITORY = Path(__file__).parents[2]


def test_the_tested_releases_are_those_that_the_project_asks_for():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    asked = " ".join(
        [*project["dependencies"], *(row for name in ("hf", "jax") for row in project["optional-dependencies"][name])]
    )
    constraints = (REPOSITORY / "constraints.txt").read_text()
    for package, (oldest, newest) in TESTED.items():
        floor = re.search(rf"(?:^|\s){package}>=([\d.]+)", asked).group(1)
        assert f"{oldest}.".startswith(f"{floor}."), package
        assert f"\n{package}=={newest}\n" in constraints
    assert "keras>=3.13,<4" in asked


def releases():
    """What is installed: the oldest, and whatever is the newest on the day."""
    # TensorFlow 2.20 is the first for Python 3.13.
    tensorflow = TESTED["tensorflow"][0] if sys.version_info < (3, 13) else "2.20.0"
    return {
        "oldest": [f"keras=={TESTED['keras'][0]}", f"tensorflow=={tensorflow}"],
        "newest": ["keras<4", "tensorflow"],
    }


def require_registry():
    asked = subprocess.run([sys.executable, "-m", "pip", "index", "versions", "keras"], capture_output=True, text=True)
    if asked.returncode:
        reason = f"no package registry can be reached: {asked.stderr.strip().splitlines()[-1:]}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_what_zoo_relies_on_inside_keras_holds(which, tmp_path):
    require_registry()
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *releases()[which]], check=True)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    checked = subprocess.run(
        [python, "-m", "tests.backend.internals_hold"], env=environment, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    assert re.search(r"^keras [\d.]+, tensorflow [\d.]+: \d+ checks hold$", checked.stdout, re.MULTILINE)
