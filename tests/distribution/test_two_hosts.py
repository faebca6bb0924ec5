"""Two hosts: network namespaces with a cable between them, each with a name, temporary folder and cache of its own.

`ZOO_TEST_KILLS=10 pytest -m long tests/distribution/test_two_hosts.py` kills at ten random instants.
"""

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.distribution import commands
from tests.distribution.test_endings import figures

NAMES = ("zoo-a", "zoo-b")
ADDRESSES = ("10.199.77.1", "10.199.77.2")
KILLS = int(os.environ.get("ZOO_TEST_KILLS", "3"))
# 7 epochs of 13 batches: what is summed in another order stays within 1e-5 for so long.
EPOCHS = 7
# What is promised of the other process.
WITHIN = 60


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True)


def cannot():
    """Says why there can be no namespaces here; empty where there can."""
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    if not shutil.which("ip") or not shutil.which("unshare"):
        return "ip and unshare are not installed"
    tried = subprocess.run(["ip", "netns", "add", "zoo-try"], check=False, capture_output=True, text=True)
    if tried.returncode:
        return f"no network namespace can be made: {tried.stderr.strip()}"
    run("ip", "netns", "del", "zoo-try")
    return ""


pytestmark = [pytest.mark.long]


@pytest.fixture(scope="module")
def hosts():
    if why := cannot():
        pytest.skip(why)
    hosts_files = [Path("/etc/netns") / name / "hosts" for name in NAMES]
    try:
        for name, file in zip(NAMES, hosts_files, strict=True):
            run("ip", "netns", "add", name)
            file.parent.mkdir(parents=True)
            file.write_text("127.0.0.1 localhost\n" + "".join(map("{} {}\n".format, ADDRESSES, NAMES)))
        run(
            "ip",
            "link",
            "add",
            "cable-a",
            "netns",
            NAMES[0],
            "type",
            "veth",
            "peer",
            "name",
            "cable-b",
            "netns",
            NAMES[1],
        )
        for name, cable, address in zip(NAMES, ("cable-a", "cable-b"), ADDRESSES, strict=True):
            for words in (
                ("addr", "add", f"{address}/24", "dev", cable),
                ("link", "set", cable, "up"),
                ("link", "set", "lo", "up"),
            ):
                run("ip", "-n", name, *words)
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)


def on(host, *command, folder):
    """Starts a command on a host."""
    words = ["ip", "netns", "exec", host, "unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', host, *command]
    (folder / host / "tmp").mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        **commands.ENVIRONMENT,
        "PYTHONPATH": str(tiny.HERE),
        "XDG_CACHE_HOME": str(folder / host / "cache"),
        "JAX_COMPILATION_CACHE_DIR": str(folder / host / "compiled"),
        "TMPDIR": str(folder / host / "tmp"),
    }
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finetune(place, hosts, run):
    """Starts a run, or goes on with it, on one host or on both."""
    command = ("python3", "-m", "zoo", "finetune", str(place / "tiny.toml"), "--data", str(place / "data.npz"))
    started = []
    for number, host in enumerate(hosts):
        join = ("--coordinator", f"{ADDRESSES[0]}:9911", "--processes", "2", "--process", str(number))
        words = (*command, "--run", str(run), "--resume", *(join if len(hosts) == 2 else ()))
        started.append(on(host, *words, folder=place))
    return started


def all_done(started):
    ends = [commands.ended(process) for process in started]
    assert [code for code, _, _ in ends] == [0] * len(started), ends
    return ends


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    tiny.write_npz(folder / "data.npz", count=99, val=21)
    # Adam parts any two roundings: see test_equality.py.
    phase = tiny.phase("all", "all", epochs=EPOCHS, batchnorm="train", optimizer="sgd", learning_rate=0.005)
    commands.write_recipe(
        folder / "tiny.toml", phases=[phase], checkpoint={"every": "5 steps"}, train={"deterministic": True}
    )
    return folder


@pytest.fixture(scope="module")
def undisturbed(place, hosts):
    """Trains on both hosts; gives the figures of its epochs, and how many seconds it took until the first was there."""
    began = time.monotonic()
    run = place / "both"
    started = finetune(place, hosts, run)
    while not (run / "metrics.jsonl").is_file() and all(process.poll() is None for process in started):
        time.sleep(0.05)
    first = time.monotonic() - began
    ends = all_done(started)
    assert "warning: this host's name" not in ends[0][2]
    assert not list((place / hosts[1] / "tmp").glob("zoo-*"))
    return figures(run), first


def test_two_hosts_train_as_one(place, hosts, undisturbed):
    all_done(finetune(place, hosts[:1], place / "alone"))
    np.testing.assert_allclose(figures(place / "alone"), undisturbed[0], rtol=0, atol=1e-5)


def wait_for_an_instant(number, run, started, first):
    """Waits for a random instant: of each three, one before the first epoch is written, and two in the training."""
    chance = random.Random(number)
    if number % 3 == 0:
        time.sleep(chance.uniform(0, first))
        return
    epochs = chance.randrange(1, EPOCHS - 1)
    while all(process.poll() is None for process in started):
        if (run / "metrics.jsonl").is_file() and len((run / "metrics.jsonl").read_text().splitlines()) >= epochs:
            break
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.3))


@pytest.mark.parametrize("number", range(KILLS))
def test_a_host_that_fails_ends_the_other_and_the_run_goes_on(place, hosts, undisturbed, number, monkeypatch):
    monkeypatch.setenv("ZOO_JOIN_SECONDS", "40")  # of a kill before both have joined
    run, killed = place / f"killed-{number}", number % 2
    started = finetune(place, hosts, run)
    wait_for_an_instant(number, run, started, undisturbed[1])
    assert started[killed].poll() is None, "it was done before it was killed"
    started[killed].kill()
    at = time.monotonic()
    code, stdout, stderr = commands.ended(started[1 - killed], timeout=WITHIN)
    seconds = time.monotonic() - at
    commands.ended(started[killed])
    last = stderr.splitlines()[-1]
    print(f"kill {number}: process {killed}, the other ended after {seconds:.1f} s: {last}")
    assert (code, stdout) == (1, "")
    assert last.startswith("zoo: ") and ("of 2 is gone" in last or "not all of the 2 processes came" in last), stderr
    monkeypatch.delenv("ZOO_JOIN_SECONDS")
    on_one = place / f"killed-{number}-one"
    if run.is_dir():
        shutil.copytree(run, on_one)
    all_done(finetune(place, hosts, run))
    np.testing.assert_array_equal(figures(run), undisturbed[0])
    all_done(finetune(place, hosts[:1], on_one))
    np.testing.assert_allclose(figures(on_one), undisturbed[0], rtol=0, atol=1e-5)
    assert json.loads((on_one / "run.json").read_text())["status"] == "done"
