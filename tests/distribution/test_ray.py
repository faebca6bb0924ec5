"""Two workers of a Ray cluster train as two processes do that somebody starts."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import tiny
from tests.distribution import commands
from tests.distribution.test_endings import figures

pytest.importorskip("ray", reason="pip install 'zoo[ray]'")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    tiny.write_npz(folder / "data.npz", count=99, val=21)
    commands.write_recipe(folder / "tiny.toml", train={"deterministic": True})
    return folder


@pytest.fixture(scope="module")
def cluster(place):
    """Starts a cluster of two hosts with a core each; gives its address."""
    environment = {
        **os.environ,
        **commands.ENVIRONMENT,
        "PYTHONPATH": str(tiny.HERE),
        "JAX_COMPILATION_CACHE_DIR": str(place / "compiled"),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [sys.executable, "-m", "tests.distribution.ray_cluster"]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tiny.HERE
    ) as started:
        yield started.stdout.readline().strip()
        started.stdin.close()
        started.wait(timeout=120)


def on_ray(place, cluster, run, *options, recipe="tiny.toml", data="data.npz"):
    command = ("zoo", "finetune", recipe, "--data", data, "--run", run, "--launcher", "ray", "--processes", 2)
    variables = {"RAY_ADDRESS": cluster, "RAY_USAGE_STATS_ENABLED": "0"}
    # The workers find recipe and data in the folder in which the command is typed.
    return commands.start(*command, *options, cache=place / "compiled", cwd=place, **variables)


def test_two_workers_train_as_two_processes(place, cluster):
    code, stdout, stderr = commands.ended(on_ray(place, cluster, place / "ray"))
    assert code == 0, stderr
    assert stdout.splitlines()[-1] == str(place / "ray")
    typed = ("zoo", "finetune", place / "tiny.toml", "--data", place / "data.npz", "--run", place / "typed")
    for process in commands.together(2, *typed, cache=place / "compiled"):
        code, _, stderr = commands.ended(process)
        assert code == 0, stderr
    np.testing.assert_array_equal(figures(place / "ray"), figures(place / "typed"))
    records = [json.loads((place / name / "run.json").read_text()) for name in ("ray", "typed")]
    placements = [record["placement"] for record in records]
    assert placements[0] == {**placements[1], "launcher": "Ray"}
    assert (placements[1]["processes"], placements[1]["devices"]) == (2, 2)


def test_a_fault_of_a_worker_ends_all_with_one_line(place, cluster):
    code, stdout, stderr = commands.ended(on_ray(place, cluster, place / "fault", data="nowhere.npz"), timeout=300)
    assert (code, stdout) == (1, "")
    last = stderr.splitlines()[-1]
    assert last.startswith("zoo: process ") and " of 2, on " in last and "nowhere.npz" in last
    assert "Traceback" not in last and not (place / "fault").exists()


def test_ctrl_c_saves_and_ends_all(place, cluster):
    run = place / "interrupted"
    process = on_ray(place, cluster, run, "--set", "phases.all.epochs=2000")
    deadline = time.monotonic() + 400
    while not (run / "metrics.jsonl").is_file():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no epoch was trained"
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    code, stdout, stderr = commands.ended(process, timeout=180)
    assert (code, stdout) == (130, ""), stderr
    assert "zoo: interrupted" in stderr
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"


def test_no_cluster_is_said_with_what_to_type(place):
    address = f"127.0.0.1:{commands.free_port()}"
    code, stdout, stderr = commands.ended(on_ray(place, address, place / "none"), timeout=100)
    assert (code, stdout) == (1, "")
    last = stderr.splitlines()[-1]
    assert last.startswith("zoo: --launcher ray: no Ray cluster can be reached")
    assert last.endswith("start one by 'ray start --head', or set RAY_ADDRESS to that of yours")
