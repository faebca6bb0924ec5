import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from tests.tiny import start
from zoo.errors import RunError
from zoo.runs.claim import claim

HOLD = """
import sys, time
from pathlib import Path
from zoo.runs.claim import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_another_process_is_kept_out_until_the_first_is_killed(tmp_path):
    process = start(HOLD, tmp_path)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunError) as raised, claim(tmp_path):
            pass
        assert str(raised.value) == (
            f"{tmp_path}: another process works on this run; wait for it, or choose another --run"
        )
        with pytest.raises(RunError), claim(tmp_path):  # the error took nothing from the holder
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with claim(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_it_is_released_when_the_work_fails(tmp_path):
    with pytest.raises(ValueError, match="work"), claim(tmp_path):
        raise ValueError("work")
    with claim(tmp_path):
        pass


def _contend(path, inside, overlaps, rounds):
    for _ in range(rounds):
        try:
            with claim(path):
                with inside.get_lock():
                    inside.value += 1
                    overlaps.value += inside.value > 1
                with inside.get_lock():
                    inside.value -= 1
        except RunError:
            pass


def test_no_two_of_many_processes_hold_it_at_once(tmp_path):
    # A lock file that is removed on release: who opened it before must not lock the removed one.
    context = multiprocessing.get_context("spawn")
    inside, overlaps = context.Value("i", 0), context.Value("i", 0)
    processes = [context.Process(target=_contend, args=(tmp_path, inside, overlaps, 3000)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert overlaps.value == 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_of_another_user_is_said_to_be_read_only_and_what_to_type(tmp_path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path / ".claim"))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RunError) as raised, claim(tmp_path):
        pass
    assert str(raised.value) == (
        f"{tmp_path}: cannot be written ({os.strerror(number)}); train it again in a folder of yours: "
        f"zoo finetune {tmp_path} --run DIR"
    )
