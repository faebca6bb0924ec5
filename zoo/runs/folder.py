"""The run folder: what its files are called, and how they are written so that none looks whole when it is not."""

import contextlib
import errno
import itertools
import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from zoo.errors import NotFoundError, RunError, did_you_mean
from zoo.system.files import append, make_folder, sha256, sync, write_atomic
from zoo.system.integrity.checked_reading import read_checked
from zoo.system.integrity.manifests import MANIFEST_FILE, PUT_BACK, write_manifest
from zoo.system.regular_files import read_regular

if TYPE_CHECKING:
    from zoo.recipe.schema import Recipe
    from zoo.runs.record import RunRecord

SCHEMA = 1
# Of 200,000 epochs.
MAX_METRICS_BYTES = 64_000_000
MAX_RECIPE_BYTES = 1_000_000


def default_path(recipe_name: str) -> Path:
    """Returns `runs/<recipe>-<UTC time>`."""
    return Path("runs") / f"{recipe_name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def reserve_default_path(recipe_name: str) -> Path:
    """Makes the folder of `default_path`, one that no other process has: where it is taken, with `-2`, `-3`, ...

    Raises:
        RunError: It cannot be made.
    """
    first = default_path(recipe_name)
    try:
        make_folder(first.parent)
        for number in itertools.count(1):
            path = first if number == 1 else first.with_name(f"{first.name}-{number}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                sync(path.parent)
                return path
    except OSError as fault:
        raise _cannot_be_written(first, fault.strerror) from fault
    raise AssertionError("numbers do not end")


def resume_command(path: Path) -> str:
    """Returns what to type for a run that is to go on."""
    return f"zoo finetune --run {shlex.quote(str(path))} --resume"


def remove_empty(path: Path, *, up_to: Path) -> None:
    """Removes folders in which nothing was begun, so that the same command can be typed again.

    Args:
        path: The lowest of them.
        up_to: The first folder above them that was there before; it stays.
    """
    with contextlib.suppress(OSError):  # the first that is not empty ends it
        while path != up_to:
            path.rmdir()
            path = path.parent


def first_there(path: Path) -> Path:
    """Returns the nearest folder or file above a path that exists."""
    return next(above for above in path.absolute().parents if above.exists())


def _runs_beside(path: Path) -> list[str]:
    """Lists the names of run folders where a path leads."""
    if not path.parent.is_dir():
        return []
    return sorted(record.parent.name for record in path.parent.glob("*/run.json"))


def runs_within(path: Path) -> list[str]:
    """Lists the names of the run folders in a folder that is not one, numbers in their order."""
    if (path / "run.json").is_file():
        return []
    names = [record.parent.name for record in path.glob("*/run.json")]
    return sorted(names, key=lambda name: [part.zfill(9) if part.isdecimal() else part for part in _PARTS.split(name)])


_PARTS = re.compile(r"(\d+)")
# More are counted.
_NAMED = 5


def holds_runs(path: Path) -> str:
    """Says which runs a folder holds that is not one, and what to type in its place; nothing where it holds none."""
    names = runs_within(path)
    if not names:
        return ""
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    one = "it" if len(names) == 1 else "one"
    runs = "the run" if len(names) == 1 else "runs"
    first = shlex.quote(str(path / names[0]))
    return f"{path}: is not a run folder; it holds {runs} {listed}; name {one}, such as {first}"


@dataclass(frozen=True)
class RunFolder:
    """One run's folder.

    Attributes:
        path: Where it is.
    """

    path: Path

    @classmethod
    def create(cls, path: Path) -> "RunFolder":
        """Makes a new run folder; an empty folder will do, and one with what a killed process began to write.

        Raises:
            RunError: The path is taken, or cannot be written.
        """
        cls.refuse_taken(path)
        try:
            make_folder(path, parents=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as fault:
            raise _cannot_be_written(path, fault.strerror) from fault
        return cls(path)

    @classmethod
    def refuse_taken(cls, path: Path) -> None:
        """Checks that a new run folder can be made here, as far as can be known without making it.

        Raises:
            RunError: The path is taken, or cannot be written.
        """
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is a file; expected a new folder for the run; choose another --run")
        if cls(path).is_begun:
            raise RunError(
                f"{path}: is there already; expected a new folder; choose another --run, "
                f"or go on with it: {resume_command(path)}"
            )
        first = ("run.json", "images.json", ".")  # what is written before recipe.toml, and hidden files
        if path.is_dir() and any(not entry.name.startswith(first) for entry in path.iterdir()):
            raise RunError(f"{path}: is not empty; expected a new folder; choose another --run")
        nearest = path if path.is_dir() else first_there(path)
        if not nearest.is_dir():
            raise _cannot_be_written(path, os.strerror(errno.ENOTDIR))
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise _cannot_be_written(path, os.strerror(errno.EACCES))

    def refuse_read_only(self) -> None:
        """Checks that the run can go on here, as far as can be known without writing.

        Raises:
            RunError: This user may not write in the folder.
        """
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise read_only(self.path, os.strerror(errno.EACCES))

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Opens the folder of an earlier execution.

        Raises:
            NotFoundError: It is not a run folder.
        """
        folder = cls(path)
        if not folder.record_path.is_file():
            if held := holds_runs(path):
                raise NotFoundError(held)
            near = did_you_mean(path.name, _runs_beside(path))
            expected = f"expected one that 'zoo finetune' left{near and '.'}{near}"
            raise NotFoundError(f"{path}: is not a run folder (no run.json in it); {expected}")
        return folder

    @property
    def is_begun(self) -> bool:
        """Whether there is a run to go on with."""
        return self.record_path.is_file() and self.recipe_path.is_file()

    @property
    def has_manifest(self) -> bool:
        """Whether manifest.json is there: the run is done, and nothing was interrupted after that."""
        return os.path.lexists(self.path / MANIFEST_FILE)

    @property
    def record_path(self) -> Path:
        """run.json: what went in, what came out."""
        return self.path / "run.json"

    @property
    def recipe_path(self) -> Path:
        """recipe.toml: the resolved recipe, without machine paths."""
        return self.path / "recipe.toml"

    @property
    def metrics_path(self) -> Path:
        """metrics.jsonl: one line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """Folder of the best model: model.safetensors and card.json."""
        return self.path / "model"

    def record(self) -> "RunRecord":
        """Reads run.json.

        Raises:
            RunError: It is damaged, or a key is missing or of another type.
        """
        from zoo.runs.record import read_record  # here, because most commands read no record

        return read_record(self.record_path)

    def recipe(self, overrides: Sequence[str] | Mapping[str, object] = (), *, against_card: bool = False) -> "Recipe":
        """Reads recipe.toml, as `load_recipe` does.

        Raises:
            RunError: It is damaged, or not there.
            RecipeError: It, or an override, does not hold.
        """
        from zoo.recipe.loading import load_recipe  # here, because most commands read no recipe

        return load_recipe(self.recipe_path, overrides, against_card=against_card, content=self.recipe_content())

    def recipe_content(self) -> bytes:
        """Reads recipe.toml as it is written.

        Raises:
            RunError: It is damaged, or not there.
        """
        try:
            return read_checked(self.path, self.recipe_path.name, limit=MAX_RECIPE_BYTES)
        except FileNotFoundError:
            raise RunError(f"{self.recipe_path}: is missing; {PUT_BACK}") from None

    def write_record(self, record: "RunRecord") -> None:
        """Writes run.json whole."""
        from zoo.runs.record import write_record

        write_record(record, self.record_path)

    def metrics(self) -> list[dict[str, Any]]:
        """Reads metrics.jsonl: one dictionary an epoch; a last line that a crash has cut is left out.

        Raises:
            RunError: Another line is damaged, or the file is not the one whose hash is known.
        """
        try:
            lines = read_checked(self.path, self.metrics_path.name, limit=MAX_METRICS_BYTES).splitlines()
        except FileNotFoundError:
            return []
        rows: list[dict[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(_row(line))
            except ValueError as fault:
                if number < len(lines):
                    from zoo.runs.record import ANEW

                    raise RunError(f"{self.metrics_path}: line {number} cannot be read ({fault}); {ANEW}") from fault
        return rows

    def write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes metrics.jsonl whole."""
        write_atomic(self.metrics_path, "".join(json.dumps(row) + "\n" for row in rows))

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Adds a line to metrics.jsonl, which ends in a whole one.

        Raises:
            OSError: The disk is full, ...; a part of the line may be there.
        """
        append(self.metrics_path, json.dumps(row) + "\n")

    def holds(self, name: str, text: str) -> bool:
        """Returns whether a file of the run is there, and holds a text."""
        content = text.encode()
        try:
            return read_regular(self.path / name, limit=len(content), follow_links=False) == content
        except OSError:
            return False

    def hashes_at_end(self) -> dict[str, str]:
        """Returns the SHA-256 of files that are finished with the run and that no other document has a hash of."""
        names = [path.relative_to(self.path).as_posix() for path in (self.metrics_path, self.model / "card.json")]
        return {name: sha256(self.path / name) for name in (*names, "history.png") if (self.path / name).is_file()}

    def write_manifest(self) -> None:
        """Writes manifest.json: the SHA-256 and the size of every finished file, by path below the folder."""
        write_manifest(self.path)


def _row(line: bytes) -> dict[str, Any]:
    """Reads a line of metrics.jsonl; raises ValueError where it is not an object of JSON."""
    try:
        row = json.loads(line)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("it is not an object")
    return cast("dict[str, Any]", row)


def read_only(path: Path, reason: str | None) -> RunError:
    """Makes the fault of a run that this user may read and not write."""
    return RunError(
        f"{path}: cannot be written ({reason}); train it again in a folder of yours: "
        f"zoo finetune {shlex.quote(str(path))} --run DIR"
    )


def _cannot_be_written(path: Path, reason: str | None) -> RunError:
    return RunError(f"{path}: cannot be written ({reason}); choose another folder with --run DIR")
