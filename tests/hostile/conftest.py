import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.cases import Case, Trials


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest) -> Iterator[Trials]:
    """The child process in which this module's cases are tried."""
    trials = Trials(request.module.__name__)
    yield trials
    trials.stop()


@pytest.fixture
def tried(trials: Trials, tmp_path: Path) -> Iterator[Callable[[Case], list[str]]]:
    """Tries a case, and says what should not have been; nothing where all holds."""
    yield lambda case: trials.outcome(case, tmp_path).faults(case)
    # Files are large here, and folders deeper than shutil.rmtree goes.
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=False)
