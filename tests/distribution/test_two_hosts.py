"""Two hosts: network namespaces with a cable between them, each with a name, temporary folder and cache of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tests.distribution import commands
from tests.distribution.test_endings import figures

NAMES = ("zoo-a", "zoo-b")
ADDRESSES = ("10.199.77.1", "10.199.77.2")


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


@pytest.fixture
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
        "TMPDIR": str(folder / host / "tmp"),
    }
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_hosts_train_as_one(tmp_path, hosts):
    tiny.write_npz(tmp_path / "data.npz", count=99, val=21)
    recipe = commands.write_recipe(tmp_path / "tiny.toml")
    python = ("python3", "-m", "zoo", "finetune", str(recipe), "--data", str(tmp_path / "data.npz"))
    join = ("--coordinator", f"{ADDRESSES[0]}:9911", "--processes", "2", "--process")
    both = tmp_path / "both"
    started = [
        on(host, *python, "--run", str(both), *join, str(number), folder=tmp_path) for number, host in enumerate(hosts)
    ]
    ends = [commands.ended(process) for process in started]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert "warning: this host's name" not in ends[0][2]
    alone = commands.start(*python[2:], "--run", tmp_path / "alone", cache=tmp_path / "compiled")
    code, _, stderr = commands.ended(alone)
    assert code == 0, stderr
    np.testing.assert_allclose(figures(both), figures(tmp_path / "alone"), rtol=0, atol=1e-5)
    assert not list((tmp_path / hosts[1] / "tmp").glob("zoo-*"))
