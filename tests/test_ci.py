"""The checks as `.ci/run` makes them: what may hang is bounded."""

import shutil
import subprocess
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
