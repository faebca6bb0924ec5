"""Tries the cases of a module one by one: `python -m tests.hostile.child MODULE`, with their names on stdin.

A module may have a function `warm_up`, which imports what a command needs before the first case is measured.
"""

import importlib
import io
import json
import os
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.hostile.cases import Case, Outcome, Place
from tests.memory import peak, peak_from_now

# Beyond which a case fails at once, so that it does not take the machine's memory.
LARGEST = 2_000_000_000


def main() -> None:
    """Answers each line with an outcome."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a case prints past Python is not an answer
    module = importlib.import_module(sys.argv[1])
    cases = {case.name: case for case in module.CASES}
    getattr(module, "warm_up", lambda: None)()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        outcome = tried(cases[asked["case"]], Path(asked["folder"]))
        print(json.dumps(asdict(outcome)), file=answers, flush=True)


def tried(case: Case, folder: Path) -> Outcome:
    """Tries a case in an empty folder."""
    place = Place(folder / "inside", folder / "outside")
    place.inside.mkdir()
    place.outside.mkdir()
    (place.outside / "precious").write_text("precious")
    os.environ.update(HOME=str(folder / "home"), XDG_CACHE_HOME=str(folder / "home" / ".cache"))
    before_all, streams = os.getcwd(), (sys.stdout, sys.stderr)  # noqa: PTH109 -- not a path that is used as one
    more = case.make(place) or ()
    seen = _outside(folder)
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace") for _ in range(2))
    os.chdir(place.inside)
    memory, began = peak_from_now(), time.process_time()
    _limit(memory + LARGEST)
    try:
        code = _ended(case, place, more)
        seconds, most = time.process_time() - began, peak()
        out, err = (_written(stream) for stream in (sys.stdout, sys.stderr))
    finally:
        _limit(resource.RLIM_INFINITY)
        sys.stdout, sys.stderr = streams
        os.chdir(before_all)
    after = _outside(folder)
    changed = sorted(name for name in {*seen, *after} if seen.get(name) != after.get(name))
    megabytes = max(0, most - memory) / 1e6
    return Outcome(code=code, out=out, err=err, seconds=seconds, megabytes=megabytes, outside=changed)


def _ended(case: Case, place: Place, more: object) -> int:
    """Runs the command or the call, and returns its exit code."""
    import traceback

    from zoo.cli import main as zoo
    from zoo.errors import ZooError

    try:
        if case.call is not None:
            case.call(place)
            return 0
        words = [*case.words, *more] if isinstance(more, (list, tuple)) else [*case.words]
        zoo([os.fspath(word) if isinstance(word, os.PathLike) else str(word) for word in words])
    except SystemExit as left:
        return int(left.code or 0)
    except ZooError as fault:
        print(fault, file=sys.stderr)
        return fault.exit_code
    except BaseException:  # what a caller would not expect either
        print("Traceback:", " ".join(traceback.format_exc().split())[-900:], file=sys.stderr)
        return 1
    return 0


def _written(stream: object) -> str:
    assert isinstance(stream, io.TextIOWrapper)
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()[:1_000_000].decode("utf-8", "backslashreplace")


def _outside(folder: Path) -> dict[str, str]:
    """Describes all that no command may change: what is outside and beside."""
    found = {path.name: "" for path in folder.iterdir() if path.name not in ("inside", "home")}
    for path in (folder / "outside").rglob("*"):
        held = path.read_text(errors="replace") if path.is_file() and path.stat().st_size < 10_000 else ""
        status = path.lstat()
        found[str(path.relative_to(folder))] = f"{status.st_mode} {status.st_size} {status.st_mtime_ns} {held}"
    return found


def _limit(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (size if size > 0 else hard, hard))


if __name__ == "__main__":
    main()
