"""What differs between a lock and what there is now, one by one, each of a kind, and whether it can be put back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zoo.inference import engines
from zoo.recipe.by_key import ABSENT, value_differences, values_of_text
from zoo.recipe.validation import quoted
from zoo.runs.exactness import NOT_INSTALLED, Difference, has_native_operations, on_or_off
from zoo.runs.packages import OF_BACKENDS
from zoo.sharing.locks.lock import Lock
from zoo.sharing.reproduction.image_changes import ImageChange

Kind = Literal[
    "data",
    "weights",
    "recipe",
    "seed",
    "precision",
    "backend",
    "threads",
    "operations",
    "engine",
    "batch",
    "preprocessing",
    "code",
    "package",
    "processor",
    "device",
]
# Keys of a recipe that have a kind of their own.
_OF_KEYS: dict[str, Kind] = {"train.seed": "seed", "train.precision": "precision"}
# Another team's lock may ask for more than any machine has.
MOST_THREADS = 512
# Their phases differ by name or order: they are put back together.
PHASES = "phases"


def is_number_of_threads(number: int | None) -> bool:
    """Returns whether so many threads can compute."""
    return number is not None and 1 <= number <= MOST_THREADS


@dataclass(frozen=True, kw_only=True)
class Cause(Difference):
    """Something that is not as it was, and may explain another result.

    Attributes:
        kind: Of what kind it is.
        is_revertible: Whether a trial can put it back.
        image: The image, of the kind `data`; None where it is about all of them.
        value: What a trial puts back in its place.
    """

    kind: Kind
    is_revertible: bool = False
    image: ImageChange | None = None
    value: Any = None

    def __str__(self) -> str:
        if self.image is None:
            return f"{self.name}: {self.then}, now {self.now}"
        return self.name

    def to_json(self) -> dict[str, Any]:
        """Returns it as `--json` prints it."""
        change = self.image
        of_image = {} if change is None else {"change": change.what, "file": change.name, "split": change.split}
        then, now = (None if one is None else str(one) for one in (self.then, self.now))
        return {"kind": self.kind, "name": self.name, "then": then, "now": now, **of_image}


def causes_between(
    then: Lock, now: Lock, images: Sequence[ImageChange], *, is_folder: bool, engine: str | None = None
) -> list[Cause]:
    """Lists all that differs between two locks and may decide what a run comes to.

    Args:
        then: The lock.
        now: What there is, which was not trained.
        images: The images that differ.
        is_folder: Whether the data is a folder, of which a copy can be made in which images are put back.
        engine: What computed what frozen layers give, in training now; None where nothing was computed once.
    """
    of_recipe = list(_of_recipe(then, now))
    keys = {one.name.removeprefix("recipe ") for one in of_recipe}
    return [
        *of_recipe,
        *_of_seed_and_precision(then, now, keys),
        *_of_weights(then, now, keys),
        *_of_images(then, now, images, is_folder=is_folder),
        *_of_what_follows(then, now, keys),
        *_of_environment(then, now),
        *_of_engine(then, engine),
        *_of_packages(then, now),
    ]


def _of_recipe(then: Lock, now: Lock) -> Iterator[Cause]:
    before, after = (values_of_text(one.recipe.resolved) for one in (then, now))
    names = [[phase["name"] for phase in one.get("phases", ())] for one in (before, after)]
    if names[0] != names[1]:
        said = [", ".join(one) for one in names]
        yield Cause(
            kind="recipe",
            name="recipe phases",
            then=said[0],
            now=said[1],
            is_revertible=True,
            value=before.get("phases", []),
        )
    for one in value_differences(before, after):
        if names[0] != names[1] and one.key.startswith(f"{PHASES}."):
            continue
        said = [str(value) if value is ABSENT else quoted(value) for value in one.values]
        kind = _OF_KEYS.get(one.key, "recipe")
        yield Cause(
            kind=kind, name=f"recipe {one.key}", then=said[0], now=said[1], is_revertible=True, value=one.values[0]
        )


def _of_seed_and_precision(then: Lock, now: Lock, keys: set[str]) -> Iterator[Cause]:
    if then.precision != now.precision and "train.precision" not in keys:
        # "auto" came to something else.
        value = then.precision
        yield Cause(kind="precision", name="precision", then=value, now=now.precision, is_revertible=True, value=value)


def _of_weights(then: Lock, now: Lock, keys: set[str]) -> Iterator[Cause]:
    before, after = then.weights, now.weights
    is_other = before.set != after.set or (before.sha256 and after.sha256 and before.sha256 != after.sha256)
    if is_other and not keys & {"model.weights", "model.name", "model.handle"}:
        said = [f"{one.set} {one.sha256[:12] if one.sha256 else ''}".strip() for one in (before, after)]
        yield Cause(kind="weights", name="weights", then=said[0], now=said[1])


def _of_images(then: Lock, now: Lock, images: Sequence[ImageChange], *, is_folder: bool) -> Iterator[Cause]:
    for one in images:
        of_class = one.then.label if one.then else one.now.label if one.now else ""
        where = f"{one.name} in {one.split}"
        said = {
            "changed": f"data: {where} has changed",
            "added": f"data: {where} was added",
            "removed": f"data: {where} was removed, of class {of_class}",
            "relabelled": f"data: {where} is of another class, and was {of_class}",
            "renamed": f"data: {where} has another name",
        }[one.what]
        yield Cause(
            kind="data",
            name=said,
            then=None if one.then is None else one.then.label,
            now=None if one.now is None else one.now.label,
            is_revertible=is_folder and one.is_revertible,
            image=one,
        )
    if images:
        return
    if then.data.sha256 != now.data.sha256:  # more images than a lock has keys of
        yield Cause(kind="data", name="data", then=then.data.sha256[:12], now=now.data.sha256[:12])
    elif then.data.fingerprint != now.data.fingerprint:
        before, after = then.data.fingerprint[:12], now.data.fingerprint[:12]
        yield Cause(kind="data", name="data order, names, weights or groups", then=before, now=after)


def _of_what_follows(then: Lock, now: Lock, keys: set[str]) -> Iterator[Cause]:
    """Yields what a run makes of recipe, data and model, where nothing of the recipe explains it."""
    if then.batch != now.batch and then.batch and now.batch and not keys & {"train.batch_size", "train.accumulate"}:
        said = [f"{one.batch_size} x {one.accumulate}" for one in (then.batch, now.batch)]
        value = {"train.batch_size": then.batch.batch_size, "train.accumulate": then.batch.accumulate}
        yield Cause(kind="batch", name="batch", then=said[0], now=said[1], is_revertible=True, value=value)
    if then.preprocessing != now.preprocessing and not any(one.startswith(("model.", "data.")) for one in keys):
        yield Cause(kind="preprocessing", name="preprocessing", then=then.preprocessing, now=now.preprocessing)


def _of_environment(then: Lock, now: Lock) -> Iterator[Cause]:
    before, after = then.environment, now.environment
    if before.backend != after.backend:
        value = before.backend
        is_known = value in OF_BACKENDS
        yield Cause(kind="backend", name="backend", then=value, now=after.backend, is_revertible=is_known, value=value)
    if None not in (before.threads, after.threads) and before.threads != after.threads:
        value, is_possible = before.threads, is_number_of_threads(before.threads)
        yield Cause(
            kind="threads", name="threads", then=value, now=after.threads, is_revertible=is_possible, value=value
        )
    if before.backend == after.backend and has_native_operations(before) != has_native_operations(after):
        was, now_is, value = on_or_off(before), on_or_off(after), has_native_operations(before)
        yield Cause(kind="operations", name="native operations", then=was, now=now_is, is_revertible=True, value=value)
    if before.device != after.device:
        yield Cause(kind="device", name="device", then=before.device, now=after.device)
    if None not in (before.tf32, after.tf32) and before.tf32 != after.tf32 and now.precision == "float32":
        was, now_is = ("on" if one.tf32 else "off" for one in (before, after))
        yield Cause(kind="device", name="TF32", then=was, now=now_is)
    if before.processor and after.processor and before.processor != after.processor:
        yield Cause(kind="processor", name="processor", then=before.processor, now=after.processor)


def _of_engine(then: Lock, now: str | None) -> Iterator[Cause]:
    """Yields what computed in place of Keras, or Keras in its place; another version of it is not there to be tried."""
    before = then.expected.engine if then.expected else None
    if before is None or now is None or before == now:
        return
    row = engines.by_version(before)
    value = row.name if row else engines.KERAS
    is_here = row is not None or before == engines.KERAS
    yield Cause(kind="engine", name="engine", then=before, now=now, is_revertible=is_here, value=value)


def _of_packages(then: Lock, now: Lock) -> Iterator[Cause]:
    for name, one, other in _differing(then.code or {}, now.code or {}):
        if then.code and now.code:
            before, after = (value[:12] if value else "not there" for value in (one, other))
            yield Cause(kind="code", name=f"code of {name}", then=before, now=after)
    is_same_backend = then.environment.backend == now.environment.backend
    for name, one, other in _differing(then.versions, now.versions):
        if is_same_backend or (name in then.versions and name in now.versions):
            before, after = (value or NOT_INSTALLED for value in (one, other))
            yield Cause(kind="package", name=f"package {name}", then=before, now=after)
    if then.environment.python != now.environment.python:
        before, after = then.environment.python, now.environment.python
        yield Cause(kind="package", name="python", then=before, now=after)


def _differing(
    before: Mapping[str, str | None], after: Mapping[str, str | None]
) -> Iterator[tuple[str, str | None, str | None]]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)
