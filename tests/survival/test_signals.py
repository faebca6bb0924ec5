"""SIGTERM and Ctrl-C at any instant: a run ends in order, says how to go on, and loses at most a step."""

import random
import re
import signal

import pytest

from tests.survival.driver import Aim, chain
from tests.survival.trainings import BATCHES_OF_A_STEP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("training", ["mixed", "cached"])
def test_a_signal_ends_a_run_in_order_at_any_instant(bench, training):
    expected, seconds = bench.expected(training)
    chances = random.Random(training)
    killed = []
    for number in range(2):
        aims = [
            Aim(
                number=chances.choice([signal.SIGTERM, signal.SIGINT]),
                trains=position > 0,
                delay=chances.uniform(0.1, seconds / 4),
            )
            for position in range(5)
        ]
        job = bench.job(training, f"{training}-signals-{number}")
        found = chain(job, bench.starters[0], aims, expected, verifies=True)
        assert found.faults == []
        killed += found.kills
    assert killed
    for kill in killed:
        if kill.code == -kill.number:  # all was done and said: the interpreter was about to end
            assert kill.output.splitlines()[-1].endswith("/run")
            continue
        assert kill.code == 128 + kill.number, kill.output
        assert kill.batches_lost <= BATCHES_OF_A_STEP, kill.place
        # What is begun of a pack or a first pass stays in the cache, and is taken up.
        assert [path for path in kill.litter if path.startswith("run/")] == [], kill.place
        said = kill.output.split("zoo: interrupted\n")
        assert len(said) == 2, kill.output
        assert re.fullmatch(r"(go on with it: zoo finetune --run \S+ --resume\n)?", said[1]), kill.output
        assert "Traceback" not in kill.output
