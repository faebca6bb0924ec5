"""How a training of two processes ends and goes on: by a kill, a signal, a difference, or a process too few."""

import json
import random
import signal
import subprocess
import time

import numpy as np
import pytest

from tests import tiny
from tests.distribution import commands

pytestmark = pytest.mark.long
# What is promised of the others where a process dies; this host may be busy.
WITHIN = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endings")
    tiny.write_npz(folder / "data.npz", count=99, val=21)
    phase = tiny.phase("all", "all", epochs=30, batchnorm="train")
    commands.write_recipe(
        folder / "tiny.toml", phases=[phase], checkpoint={"every": "20 steps"}, train={"deterministic": True}
    )
    return folder


def finetune(place, count, run, *options, **how):
    command = ("zoo", "finetune", place / "tiny.toml", "--data", place / "data.npz", "--run", run, *options)
    return commands.together(count, *command, cache=place / "compiled", **how)


def resume(place, count, run):
    command = ("zoo", "finetune", "--run", run, "--resume")
    if count == 1:
        return [commands.start(*command, cache=place / "compiled")]
    return commands.together(count, *command, cache=place / "compiled")


def wait_for_epoch(run, number, processes):
    """Waits until some epochs of a run are written."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), [process.communicate() for process in processes]
        if (run / "metrics.jsonl").is_file() and len((run / "metrics.jsonl").read_text().splitlines()) >= number:
            return
        time.sleep(0.2)
    pytest.fail("no epoch was trained")


def figures(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return np.array([[row["loss"], row["val_loss"]] for row in rows])


@pytest.fixture(scope="module")
def undisturbed(place):
    run = place / "undisturbed"
    for process in finetune(place, 2, run):
        code, _, stderr = commands.ended(process)
        assert code == 0, stderr
    return figures(run)


@pytest.mark.parametrize(("killed", "goes_on_in"), [(1, 2), (0, 2), (1, 1)])
def test_a_killed_process_ends_all_and_the_run_goes_on(place, undisturbed, killed, goes_on_in):
    run = place / f"killed-{killed}-{goes_on_in}"
    processes = finetune(place, 2, run)
    wait_for_epoch(run, 2, processes)
    time.sleep(random.Random(killed).random())
    processes[killed].send_signal(signal.SIGKILL)
    began = time.monotonic()
    code, stdout, stderr = commands.ended(processes[1 - killed], timeout=WITHIN)
    assert time.monotonic() - began < WITHIN
    assert (code, stdout) == (1, "")
    last = stderr.splitlines()[-1]
    assert last.startswith(f"zoo: process {killed} of 2 is gone")
    assert last.endswith(f"go on with it: zoo finetune --run {run} --resume")
    commands.ended(processes[killed])
    for process in resume(place, goes_on_in, run):
        code, _, stderr = commands.ended(process)
        assert code == 0, stderr
    if goes_on_in == 2:
        np.testing.assert_array_equal(figures(run), undisturbed)
    else:
        # What is summed in another order rounds otherwise, and that grows: here it passes 1e-5 after some 200 steps.
        np.testing.assert_allclose(figures(run)[:10], undisturbed[:10], rtol=0, atol=1e-5)
        record = json.loads((run / "run.json").read_text())
        assert "began with placement 2 devices of 2 processes, now one device" in record["exactness"]["why"]


def test_a_signal_to_one_ends_both_after_the_same_batch(place, undisturbed):
    run = place / "signal"
    processes = finetune(place, 2, run)
    wait_for_epoch(run, 2, processes)
    processes[1].send_signal(signal.SIGTERM)
    ended = [commands.ended(process, timeout=120) for process in processes]
    assert [code for code, _, _ in ended] == [143, 143], ended
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    for process in resume(place, 2, run):
        code, _, stderr = commands.ended(process)
        assert code == 0, stderr
    np.testing.assert_array_equal(figures(run), undisturbed)


def test_other_images_are_refused_on_both(place):
    port = commands.free_port()
    tiny.write_npz(place / "other.npz", count=98, val=21)
    started = []
    for process, data in enumerate(("data.npz", "other.npz")):
        command = ("zoo", "finetune", place / "tiny.toml", "--data", place / data, "--run", place / "refused")
        join = ("--coordinator", f"127.0.0.1:{port}", "--processes", 2, "--process", process)
        started.append(commands.start(*command, *join, cache=place / "compiled"))
    for process in started:
        code, _, stderr = commands.ended(process, timeout=300)
        assert code == 1
        assert "zoo: process 1 of 2, on " in stderr and "differs from process 0" in stderr
        assert "the images (fingerprint)" in stderr
    assert not (place / "refused").exists()


def test_a_process_too_few_is_refused(place):
    process, other = finetune(place, 2, place / "few", ZOO_JOIN_SECONDS="15")
    other.kill()
    try:
        code, _, stderr = commands.ended(process, timeout=200)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert code == 1
    assert "not all of the 2 processes came within 15 s" in stderr
    assert not (place / "few").exists()
    commands.ended(other)
