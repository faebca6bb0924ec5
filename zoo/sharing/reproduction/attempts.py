"""A trial: the recipe, the images and the machine of now, with some of the differences put back."""

import contextlib
import json
import shutil
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import RecipeError, in_one_line
from zoo.jobs.resolving import Job
from zoo.recipe.by_key import ABSENT
from zoo.recipe.schema import Recipe
from zoo.sharing.reproduction.causes import PHASES, Cause
from zoo.training.preparation.initial_weights import InitialWeights


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What a trial trains; plain data, so that another process can carry it out.

    Attributes:
        recipe: The resolved recipe, without what is expected of it.
        data: The images; None for a source that ships or downloads.
        weights: What the model begins with in place of the recipe's weights, or None.
        threads: How many threads compute; None for as many as do in this process.
        backend: Keras' backend; None for that of this process.
        native_operations: Whether TensorFlow's own operations compute; None for as it is in this process.
        engine: What computes what frozen layers give, as `ZOO_ENGINE` has it; None for as it is in this process.
        run: The folder of a whole run; None for the first batches only.
    """

    recipe: Mapping[str, Any]
    data: str | None
    weights: str | None = None
    threads: int | None = None
    backend: str | None = None
    native_operations: bool | None = None
    engine: str | None = None
    run: str | None = None

    @classmethod
    def of_job(cls, job: Job) -> "Attempt":
        """Makes it of what there is now."""
        return cls(
            recipe={key: value for key, value in job.recipe.to_dict().items() if key != "expect"},
            data=None if job.data is None else str(job.data),
            weights=None if job.weights is None else job.weights.path,
        )

    @classmethod
    def from_text(cls, text: str) -> "Attempt":
        """Reads what `to_text` returned."""
        return cls(**json.loads(text))

    def to_text(self) -> str:
        """Returns it as JSON."""
        return json.dumps(asdict(self))

    def job(self) -> Job:
        """Returns what is to be trained.

        Raises:
            ZooError: The recipe does not hold as it is put back, or the weights are not there.
        """
        try:
            recipe = Recipe.model_validate(dict(self.recipe))
        except ValueError as fault:
            raise RecipeError(f"the recipe does not hold as it is put back: {in_one_line(fault)}") from None
        return Job(
            recipe=recipe,
            data=None if self.data is None else Path(self.data),
            weights=None if self.weights is None else InitialWeights.at(Path(self.weights)),
        )

    @property
    def needs_a_process(self) -> bool:
        """Whether it needs a process of its own."""
        return any(one is not None for one in (self.threads, self.backend, self.native_operations, self.engine))


@contextlib.contextmanager
def reverted(now: Attempt, causes: Sequence[Cause], files: Sequence[str], work: Path) -> Generator[Attempt]:
    """Puts some of the differences back.

    Args:
        now: What there is.
        causes: What is put back.
        files: The names of all files of now below the data's folder.
        work: An empty folder, for a copy of the images by links.
    """
    recipe = json.loads(json.dumps(now.recipe))
    changes: dict[str, Any] = {}
    for one in causes:
        if one.kind in ("recipe", "seed", "precision", "batch"):
            _put_back(recipe, one)
        elif one.kind in ("threads", "backend", "engine"):
            changes[one.kind] = one.value
        elif one.kind == "operations":
            changes["native_operations"] = one.value
    images = [one.image for one in causes if one.image is not None]
    folder = work / "images"
    if images and now.data is not None:
        places: dict[str, Path] = {name: Path(now.data) / name for name in files}
        for one in images:
            there = places.pop(one.now.name, one.content) if one.now is not None else one.content
            if one.what != "added":
                places[one.name_then] = one.content or there or Path()
        _link(places, folder)
        changes["data"] = str(folder)
    try:
        yield replace(now, recipe=recipe, **changes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put_back(recipe: dict[str, Any], cause: Cause) -> None:
    if cause.kind == "batch":
        for key, value in cause.value.items():
            _set(recipe, key, value)
    elif cause.name == "precision":
        _set(recipe, "train.precision", cause.value)
    elif cause.name == f"recipe {PHASES}":
        recipe[PHASES] = cause.value
    else:
        _set(recipe, cause.name.removeprefix("recipe "), cause.value)


def _set(recipe: dict[str, Any], key: str, value: Any) -> None:
    *tables, last = key.split(".")
    place: Any = recipe
    for name in tables:
        if isinstance(place, list):
            place = next(phase for phase in place if phase["name"] == name)
        else:
            place = place.setdefault(name, {})
    if value is ABSENT:
        place.pop(last, None)
    else:
        place[last] = value


def _link(places: Mapping[str, Path], folder: Path) -> None:
    """Makes a folder of links to files; where the system makes none, of copies."""
    for name, file in places.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.symlink_to(file.absolute())
        except OSError:
            shutil.copyfile(file, path)
