"""What a killed process left of a trial goes with the next start, and nothing else does."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from zoo.sharing.reproduction.workplaces import PREFIX, remove_dead_workplaces, workplace

WORKS = """
from zoo.sharing.reproduction.workplaces import workplace
with workplace() as work:
    (work / "half").write_text("done")
    print(work, flush=True)
    input()
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def made_long_ago(folder):
    os.utime(folder, (1_000_000_000, 1_000_000_000))


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_holds_stays(temporary):
    child = subprocess.Popen([sys.executable, "-c", WORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        left = Path(child.stdout.readline().strip()).parent
        made_long_ago(left)
        remove_dead_workplaces()
        assert (left / "work" / "half").read_text() == "done"
        child.kill()
        child.wait()
    remove_dead_workplaces()
    assert not left.exists()


def test_what_is_new_without_a_lock_or_a_link_stays(temporary):
    (temporary / "elsewhere").mkdir()
    for name in ("new", "unlocked"):
        (temporary / f"{PREFIX}{name}").mkdir()
    for folder in (temporary / f"{PREFIX}new", temporary / "elsewhere"):
        (folder / "lock").touch()
    (temporary / f"{PREFIX}link").symlink_to(temporary / "elsewhere")
    for name in (f"{PREFIX}unlocked", "elsewhere"):
        made_long_ago(temporary / name)
    before = sorted(temporary.rglob("*"))
    remove_dead_workplaces()
    assert sorted(temporary.rglob("*")) == before


def test_a_workplace_is_empty_and_gone_at_the_end(temporary):
    with workplace() as work:
        assert list(work.iterdir()) == []
    assert list(temporary.iterdir()) == []
