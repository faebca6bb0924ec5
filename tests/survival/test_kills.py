"""Runs are killed, go on, and come to the bytes of one that nobody disturbed; more: `python -m tests.survival`."""

import pytest

from tests.survival.driver import outcome_of
from tests.survival.matrix import Bench, Plan
from tests.survival.starting import FreshProcess
from tests.survival.trainings import BATCHES_OF_AN_EPOCH

# An epoch is saved at its end whatever the recipe says, and the one before is on disk by then.
MOST_BATCHES_LOST = 2 * BATCHES_OF_AN_EPOCH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_forty_kills_change_no_byte_and_cost_little(bench):
    result = bench.work_off(Plan(kills=40, saves=8, cached=6))
    assert result.faults == []
    assert len(result.kills) >= 40
    assert result.most_batches_lost <= MOST_BATCHES_LOST, result.rows()


def test_kills_change_no_byte_on_jax(tmp_path):
    with Bench(tmp_path, backend="jax") as on_jax:
        result = on_jax.work_off(Plan(kills=8, saves=2, cached=1, trainings=["mixed", "cached"]))
    assert result.faults == []
    assert result.most_batches_lost <= MOST_BATCHES_LOST, result.rows()


def test_a_process_of_its_own_gives_what_a_copy_gives(bench):
    job = bench.job("cached", "fresh")
    job.folder.mkdir()
    assert FreshProcess().start(job.command(0)).wait(600) == 0
    assert outcome_of(job, FreshProcess()) == bench.expected("cached")[0]
