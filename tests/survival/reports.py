"""Where a process was when it ended, and what that cost: read from its report and from the files that it left."""

import json
from dataclasses import dataclass
from pathlib import Path

from zoo.runs.checkpoint import FOLDER_NAME
from zoo.system.cache import UNFINISHED

# Places at which work is done that a kill may cost; compiling has to be done by each process anyway.
WORK = ("step", "validation", "epoch's end")
# What a kill inside the cache leaves, by the folder of the cache.
CACHED = {"packs": "packing", "activations": "first pass"}


@dataclass(frozen=True)
class Report:
    """What a process wrote while it trained.

    Attributes:
        lines: Seconds since 1970, place from then on, and batches trained until then.
    """

    lines: tuple[tuple[float, str, int], ...]

    @classmethod
    def read(cls, path: Path) -> "Report":
        """Reads it; a process that was killed early has written none."""
        if not path.is_file():
            return cls(())
        words = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        return cls(tuple((float(each[0]), " ".join(each[1:-1]), int(each[-1])) for each in words))

    @property
    def place(self) -> str:
        return self.lines[-1][1] if self.lines else "start-up"

    @property
    def batches(self) -> int:
        return self.lines[-1][2] if self.lines else 0


@dataclass(frozen=True, order=True)
class Taken:
    """When a checkpoint was taken: after so many batches, and whether their epoch was validated by then."""

    batches: int = 0
    validated: bool = True


def when_taken(checkpoint: Path) -> Taken:
    """Reads it from a checkpoint."""
    progress = json.loads((checkpoint / "manifest.json").read_text(encoding="utf-8"))["progress"]
    return Taken(progress["batch"], not checkpoint.name.endswith("-before-validation"))


def newest_checkpoint(run: Path) -> Taken:
    """Returns when the newest whole checkpoint was taken."""
    return max(map(when_taken, whole_checkpoints(run)), default=Taken())


def whole_checkpoints(run: Path) -> list[Path]:
    """Lists those that have a manifest."""
    found = (run / "checkpoints").glob("step-*")
    return [path for path in found if FOLDER_NAME.fullmatch(path.name) and (path / "manifest.json").is_file()]


def place_of(run: Path, cache: Path, report: Report, *, since: float, code: int | None) -> str:
    """Returns where a process was.

    Args:
        run: The run's folder.
        cache: The cache's.
        report: The process's own.
        since: When it began: what is older it has not written.
        code: Its exit code. Where it ended in order, what it left tells nothing.
    """
    if code is not None and code < 0:
        if any(_changed(path) >= since for path in run.glob("checkpoints/.step-*")):
            return "save"
        for name, place in CACHED.items():
            if any(_changed(path) >= since for path in cache.glob(f"zoo/{name}/{UNFINISHED}*")):
                return place
    if report.place in ("phase change", "compiling") and (run / "model").is_dir():
        return "end"
    return report.place


def _changed(path: Path) -> float:
    """Returns when something was last written below a path."""
    return max((each.lstat().st_mtime for each in (path, *path.rglob("*"))), default=0.0)


def work_lost(report: Report, durable: Taken, killed: float) -> float:
    """Returns seconds of training that no checkpoint holds.

    Args:
        report: The process's own.
        durable: Batches of this process that its newest checkpoint holds.
        killed: When, in seconds since 1970.
    """
    lost = 0.0
    ends = [line[0] for line in (*report.lines[1:], (killed,))]
    for (began, place, batches), ended in zip(report.lines, ends, strict=False):
        is_held = place == "validation" and batches == durable.batches and durable.validated
        if place in WORK and batches >= durable.batches and not is_held:
            lost += max(0.0, ended - began)
    return lost


def cache_lost(cache: Path, place: str, killed: float) -> float:
    """Returns the seconds since a first pass or a pack last noted what is done."""
    (name,) = (name for name, of in CACHED.items() if of == place)
    journals = cache.glob(f"zoo/{name}/{UNFINISHED}*/*.jsonl")
    return max(0.0, killed - max((path.stat().st_mtime for path in journals), default=killed))


def end_of(output: Path) -> str:
    """Returns the last of what was printed."""
    return output.read_text(encoding="utf-8")[-600:] if output.is_file() else "nothing was printed"
