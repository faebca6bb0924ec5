import errno
import sys
import types

import pytest

from tests.tiny import start
from zoo.system import locks


def test_a_second_lock_waits_for_none_and_says_so(tmp_path):
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        assert locks.lock(first, wait=False)
        assert not locks.lock(second, wait=False)
        first.close()
        assert locks.lock(second)


class Windows(types.SimpleNamespace):
    """Stands in for msvcrt: fails as often as asked, as `locking` does while another process holds the byte."""

    LK_LOCK, LK_NBLCK = 1, 2

    def locking(self, handle, mode, count):
        self.asked.append((mode, count))
        if self.faults:
            raise OSError(self.faults.pop(0), "held")


@pytest.mark.parametrize(
    ("faults", "wait", "held"),
    [([], False, True), ([errno.EACCES], False, False), ([errno.EDEADLK, errno.EDEADLK], True, True)],
)
def test_where_there_is_no_fcntl_windows_own_way_is_taken(tmp_path, monkeypatch, faults, wait, held):
    windows = Windows(asked=[], faults=list(faults))
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    with (tmp_path / "lock").open("w") as file:
        assert locks.lock(file, wait=wait) == held
    assert windows.asked == [(1 if wait else 2, 1)] * (len(faults) + (1 if held else 0))


def test_a_fault_that_is_not_waiting_is_not_swallowed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", Windows(asked=[], faults=[errno.EBADF]))
    with (tmp_path / "lock").open("w") as file, pytest.raises(OSError, match="held"):
        locks.lock(file)


def test_zoo_imports_without_fcntl(tmp_path):
    code = """
import sys
sys.modules["fcntl"] = None
import zoo.data, zoo.jobs.finetuning, zoo.inference.classifier, zoo.runs.claim, zoo.data.packs.storing
from pathlib import Path
with zoo.runs.claim.claim(Path(sys.argv[1])):
    print("held")
"""
    process = start(code, tmp_path)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "held\n"), err
