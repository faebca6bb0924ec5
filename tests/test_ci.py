"""The checks as `.ci/run` makes them: what may hang is bounded."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

CI = Path(__file__).parents[1] / ".ci" / "run"

pytestmark = pytest.mark.skipif(not CI.is_file() or shutil.which("timeout") is None, reason="needs .ci/run and timeout")


def script(path, text):
    path.write_text(f"#!{shutil.which('bash')}\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("apt", "said"), [("sleep 60", "no Chromium could be installed\n"), ("exit 0", "")])
def test_a_browser_that_cannot_be_downloaded_keeps_nobody_waiting(tmp_path, apt, said):
    """Runs the step where apt-get hangs, as without a network; a second stands for its 120."""
    step = CI.read_text().split('step "browser"')[1].split("step ")[0]
    for tool in ("bash", "sleep"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    script(tmp_path / "apt-get", apt)
    script(tmp_path / "timeout", f'[ "$1" = 120 ] && exec {shutil.which("timeout")} 1 "${{@:2}}"')
    ran = subprocess.run(
        [shutil.which("bash"), "-euo", "pipefail", "-c", step],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, said, "")


def test_slow_tests_are_begun_for_seventy_five_minutes():
    """Runs the step when ten minutes have passed, with what is set for pytest printed in its place."""
    step = CI.read_text().split('step "slow tests"\n')[1]
    assert step.count("pytest ") == 1
    shown = f'began=$((SECONDS - 600)); pytest() {{ echo "$ZOO_TESTS_UNTIL $*"; }}; {step}'
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", shown], capture_output=True, text=True, check=True)
    until, words = ran.stdout.split(maxsplit=1)
    assert float(until) - time.time() == pytest.approx(65 * 60, abs=60)
    assert "-m slow" in words and "-rs" in words


@pytest.mark.parametrize(("until", "ended"), [("0", "2 skipped"), ("inf", "2 passed")])
def test_what_is_not_begun_in_time_is_counted_as_skipped(until, ended):
    here = f"{__file__}::{test_a_browser_that_cannot_be_downloaded_keeps_nobody_waiting.__name__}"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-n", "0", "-p", "no:cacheprovider", here],
        env={**os.environ, "ZOO_TESTS_UNTIL": until},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=CI.parents[1],
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(rf"^{ended} in ", ran.stdout, re.MULTILINE)
    assert ("not begun: the time for tests was over" in ran.stdout) == (until == "0")
