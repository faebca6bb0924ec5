"""Each reader of our own for a while; longer by hand: `python -m tests.hostile.fuzzing NAME --seconds 600`."""

import subprocess
import sys

import pytest

from tests.hostile.fuzzing import TARGETS, at_random
from tests.tiny import HERE, environment


# By pickletools, which decodes escapes of texts that are not used.
@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")
@pytest.mark.parametrize("name", TARGETS)
def test_no_reader_raises_what_nobody_expects(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert at_random(TARGETS[name], 0.05) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_finds_nothing_in_20_seconds(name, tmp_path):
    command = [sys.executable, "-m", "tests.hostile.fuzzing", name, "--seconds", "20"]
    settings = {**environment(), "PYTHONPATH": str(HERE), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(tmp_path.glob("crash-*"))
