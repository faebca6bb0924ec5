"""What a whole command takes, children included."""

import os
import sys

import pytest

CHILD = "import sys; held = b'1' * 80_000_000; print(flush=True); sys.stdin.read()"
# Both hold their bytes for a while.
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", {CHILD!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
held = b"1" * 80_000_000
child.stdout.readline()
time.sleep(0.5)
child.communicate()
sys.exit(3)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of other processes")
def test_memory_is_that_of_all_processes_at_once(script, tmp_path, monkeypatch):
    module = script("whole_command")
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.02)
    ours = b"1" * 400_000_000  # is none of theirs
    cost = module.run([sys.executable, "-S", "-c", PARENT], log=tmp_path / "log", variables=os.environ)
    assert cost.code == 3
    assert 160e6 < cost.peak_bytes < 300e6 < len(ours)
    assert cost.seconds >= 0.5


def test_cpu_seconds_are_those_of_children_too(script, tmp_path):
    count = "import os; began = os.times()\nwhile os.times().user - began.user < 0.3: pass"
    command = [sys.executable, "-S", "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {count!r}])"]
    cost = script("whole_command").run(command, log=tmp_path / "log", variables=os.environ)
    assert cost.code == 0
    assert cost.cpu_seconds >= 0.3


def test_what_a_command_says_is_kept(script, tmp_path):
    command = [sys.executable, "-S", "-c", "import sys; print('one'); print('two', file=sys.stderr)"]
    script("whole_command").run(command, log=tmp_path / "log", variables=os.environ)
    assert set((tmp_path / "log").read_text().split()) == {"one", "two"}
