"""Two processes on one run folder: the second is refused before it loads TensorFlow, the first does not notice."""

import random
import time

import pytest

from tests.survival.driver import outcome_of
from tests.survival.starting import FreshProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("number", range(10))
def test_a_second_run_on_a_folder_is_refused_and_the_first_is_unaffected(bench, number):
    expected, seconds = bench.expected("cached")
    job = bench.job("cached", f"two-{number}")
    job.folder.mkdir()
    first = bench.starters[number % 2].start(job.command(0))
    while not (job.run / ".claim").exists():
        assert first.wait(0.01) is None
    assert first.wait(random.Random(number).uniform(0, seconds / 3)) is None
    began = time.monotonic()
    second = FreshProcess(options=["-X", "importtime"]).start(job.command(1))
    assert second.wait(60) == 1
    seconds_of_second = time.monotonic() - began
    said = (job.folder / "output-1").read_text(encoding="utf-8").splitlines()
    imported = [line.split("|")[-1].strip() for line in said if line.startswith("import time:")]
    assert "zoo.cli" in imported
    assert not {"tensorflow", "keras", "jax"} & set(imported), f"{seconds_of_second:.1f} s"
    (line,) = [line for line in said if not line.startswith("import time:")]
    assert line.startswith(f"zoo: {job.run}: process ")
    assert line.endswith("wait for it, or choose another --run")
    assert first.wait(600) == 0
    assert outcome_of(job, bench.starters[number % 2]) == expected
