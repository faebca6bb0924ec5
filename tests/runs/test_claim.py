import errno
import fcntl
import multiprocessing
import os
import platform
import re
import shlex
import shutil
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from tests.tiny import make_socket, start
from zoo.errors import RunError
from zoo.runs.claim import Holder, claim, refuse_claimed
from zoo.system.sealing import parse_document, sealed

HOLD = """
import sys, time
from pathlib import Path
from zoo.runs.claim import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that works on a run."""
    process = start(HOLD, tmp_path)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def kill(process):
    process.kill()
    process.wait()


def test_another_process_is_kept_out_and_told_who_works_there_until_that_is_killed(tmp_path, holder):
    said = re.escape(f"{tmp_path}: process {holder.pid} on {platform.node()} has worked on this run since ") + (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ; wait for it, or choose another --run"
    )
    before = (tmp_path / ".claim").read_bytes()
    for refused in (claim(tmp_path), claim(tmp_path)):  # the error took nothing from the holder
        with pytest.raises(RunError) as raised, refused:
            pass
        assert re.fullmatch(said, str(raised.value))
    with pytest.raises(RunError) as raised:
        refuse_claimed(tmp_path)
    assert re.fullmatch(said, str(raised.value))
    assert (tmp_path / ".claim").read_bytes() == before
    kill(holder)
    refuse_claimed(tmp_path)
    with claim(tmp_path) as notes:
        (note,) = notes
    assert re.fullmatch(
        re.escape(f"{tmp_path}: takes over from process {holder.pid} on {platform.node()}, which worked on this run ")
        + r"since \d{4}-\S+Z and has ended",
        note,
    )
    assert list(tmp_path.iterdir()) == []


def test_a_claim_is_one_sealed_line_that_says_who_and_since_when(tmp_path):
    with claim(tmp_path) as notes:
        content = (tmp_path / ".claim").read_bytes()
    document = parse_document(content[1:])
    assert (notes, content.count(b"\n"), document.is_sealed) == ((), 1, True)
    assert document.values["kind"] == "claim"
    assert (document.values["pid"], document.values["host"]) == (os.getpid(), platform.node())
    if sys.platform == "linux":
        assert document.values["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.parametrize(
    "left", [b"", b"x" * 20_000, b' {"schema": 1, "kind": "claim"}\n', b' {"pid": [], "host": 1}'], ids=len
)
def test_what_an_earlier_zoo_or_a_crash_left_is_taken_over_without_a_word(tmp_path, left):
    (tmp_path / ".claim").write_bytes(left)
    with claim(tmp_path) as notes:
        assert notes == ()
        parse_document((tmp_path / ".claim").read_bytes()[1:])
    assert list(tmp_path.iterdir()) == []


def _link(path, aim):
    path.symlink_to(aim)


def _hard_link(path, aim):
    path.hardlink_to(aim)


def _link_to_nowhere(path, aim):
    path.symlink_to(aim.with_name("new"))


def _pipe(path, _):
    os.mkfifo(path)


def _socket(path, _):
    make_socket(path)


def _folder(path, _):
    path.mkdir()


@pytest.mark.parametrize("make", [_link, _hard_link, _link_to_nowhere, _pipe, _socket, _folder])
def test_what_is_not_a_file_of_its_own_is_refused_at_once_and_nothing_is_written(tmp_path, make):
    run, mine = tmp_path / "run", tmp_path / "mine.txt"
    run.mkdir()
    mine.write_text("precious\n")
    make(run / ".claim", mine)
    for refused in (claim(run).__enter__, partial(refuse_claimed, run)):
        with pytest.raises(RunError) as raised:
            refused()
        assert str(raised.value) == (
            f"{run / '.claim'}: is a link, a folder or a special file; expected a file of its own that only zoo "
            "writes; remove it"
        )
    assert mine.read_text() == "precious\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "run"]


def test_who_only_asks_makes_nothing(tmp_path):
    refuse_claimed(tmp_path)
    refuse_claimed(tmp_path / "not there")
    (tmp_path / "file").touch()
    refuse_claimed(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# A file system without locks


@pytest.fixture
def lockless(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def claimed_by(path, **changes):
    (path / ".claim").write_text(" " + sealed({"schema": 1, "kind": "claim", **asdict(Holder.this()), **changes}))


@pytest.mark.usefixtures("lockless")
def test_without_locks_the_line_tells_who_works_and_the_lack_is_said(tmp_path):
    lacking = (
        f"{tmp_path}: warning: its file system has no locks (No locks available); "
        "a second run at the same moment is not noticed"
    )
    with claim(tmp_path) as notes:
        assert notes == (lacking,)
        with pytest.raises(RunError, match=f"process {os.getpid()} on .* where it has ended, remove "):
            refuse_claimed(tmp_path)
    for changes in ({"pid": dead_process()}, {"boot": "another"}):
        claimed_by(tmp_path, **changes)
        with claim(tmp_path) as (ended, said):
            assert ended.endswith("and has ended")
            assert said == lacking
    claimed_by(tmp_path, host="elsewhere", pid=dead_process())
    with pytest.raises(RunError) as raised, claim(tmp_path):
        pass
    assert f"on elsewhere has worked on this run since {Holder.this().since[:4]}" in str(raised.value)
    assert f"where it has ended, remove {tmp_path / '.claim'}; wait for it" in str(raised.value)


def dead_process():
    process = start("")
    process.communicate()
    return process.pid


# The end of the work


def test_what_becomes_of_the_claim_does_not_hide_what_ended_the_work(tmp_path):
    run = tmp_path / "run"
    for spoil in (shutil.rmtree, lambda path: (path / ".claim").unlink(), lambda path: path.rename(tmp_path / "away")):
        run.mkdir()
        with pytest.raises(ValueError, match="the work itself"), claim(run):
            spoil(run)
            raise ValueError("the work itself")
        shutil.rmtree(run, ignore_errors=True)


def test_a_claim_of_another_in_a_folder_made_anew_stays(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with claim(run):
        shutil.rmtree(run)
        run.mkdir()
        with claim(run):
            pass
        (run / ".claim").write_text("another's")
    assert (run / ".claim").read_text() == "another's"


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
    processes = [context.Process(target=_contend, args=(tmp_path, inside, overlaps, 1000)) for _ in range(3)]
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

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError) as raised, claim(tmp_path):
        pass
    assert str(raised.value) == (
        f"{tmp_path}: cannot be written ({os.strerror(number)}); train it again in a folder of yours: "
        f"zoo finetune {shlex.quote(str(tmp_path))} --run DIR"
    )
