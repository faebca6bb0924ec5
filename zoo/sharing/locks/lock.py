"""lock.json, or NAME.lock beside a recipe: all that decides what a recipe comes to. Only this module knows its keys.

A lock of a recipe says what is known without training; that of a run says also what the recipe came to.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from zoo.errors import ContractError, printable, shown
from zoo.recipe.by_key import value_differences, values_of_text
from zoo.runs.exactness import NOT_INSTALLED, Difference
from zoo.runs.record import BatchRecord, EnvironmentRecord, ExactnessRecord
from zoo.sharing.documents import parse_proof, proof_text, read_proof
from zoo.sharing.locks.data import DataLock, FileNames, class_differences
from zoo.system.json_objects import LEFT_OUT, JsonObject
from zoo.system.text_tables import counted

KIND = "lock"
SUFFIX = ".lock"
# In a version on a shelf.
FILE = "lock.json"
# As `float.hex` writes a loss.
_HEXADECIMAL = re.compile(r"-?0x[01]\.[0-9a-f]{1,13}p[+-][0-9]{1,3}")


@dataclass(frozen=True, kw_only=True)
class ParentLock(JsonObject):
    """A file that the recipe extends.

    Attributes:
        name: As `extends` has it.
        sha256: Of its bytes.
    """

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RecipeLock(JsonObject):
    """The recipe.

    Attributes:
        name: Its name.
        sha256: Of `resolved`, which are the bytes of recipe.toml in a run and in a version.
        resolved: The recipe with every key, as TOML.
        parents: The files that it extends.
    """

    name: str
    sha256: str
    resolved: str
    parents: tuple[ParentLock, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WeightsLock(JsonObject):
    """What the model begins with.

    Attributes:
        model: The model's name.
        set: The name of a set; `none` for random ones, `given` for a run or a file, `module` for a SavedModel's.
        sha256: Of the file, in hex, where it is known.
        licence: Where it is known.
    """

    model: str
    set: str
    sha256: str | None = None
    licence: str | None = None


@dataclass(frozen=True, kw_only=True)
class PreprocessingLock(JsonObject):
    """How an image becomes what the model takes.

    Attributes:
        height: Of the input, in pixels.
        width: The same.
        channels: 1 for grey, 3 for RGB.
        resize: How a photo of another shape is brought to it: `crop`, `pad` or `stretch`.
        crop_share: See `zoo.registry.fitting.ImageFit`.
        interpolation: The same.
        white: The same.
        pixels: What the model does to pixels in [0, 255] first, in words.
    """

    height: int
    width: int
    channels: int
    resize: str
    crop_share: float
    interpolation: str
    white: int
    pixels: str


@dataclass(frozen=True, kw_only=True)
class ExpectedMetric(JsonObject):
    """A figure of the best model.

    Attributes:
        value: Of the run that is locked, the first where there are several.
        interval: Its 95 % interval; None where there is none.
        mean: Over the runs, which differ by their seed; None where there is one.
        deviation: Their sample standard deviation; None where there is one.
    """

    value: float
    interval: tuple[float, ...] | None = field(default=None, metadata=LEFT_OUT)
    mean: float | None = field(default=None, metadata=LEFT_OUT)
    deviation: float | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class ExpectedLock(JsonObject):
    """What the recipe came to.

    Attributes:
        split: The images that were measured; None where there were none.
        runs: How many runs there were.
        metrics: The figures by name.
        model_sha256: Of the best model's numbers, in the run that is locked.
        first_losses: Of its first batches: see `zoo.runs.record.RunRecord`; None of an earlier zoo.
        exactness: What the run claims of its numbers; None of an earlier zoo.
        engine: What computed what frozen layers give, in the run that is locked; None where nothing was computed once,
            and of an earlier zoo.
    """

    split: str | None
    runs: int
    metrics: Mapping[str, ExpectedMetric]
    model_sha256: str
    first_losses: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT)
    exactness: ExactnessRecord | None = field(default=None, metadata=LEFT_OUT)
    engine: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class Lock(JsonObject):
    """A lock.

    Attributes:
        recipe: The recipe, resolved, and what it extends.
        weights: What the model begins with.
        data: The images of each split.
        classes: Their names, in the order of the probabilities.
        preprocessing: How an image becomes what the model takes.
        seeds: Of the runs, or the recipe's.
        precision: The policy that was resolved.
        batch: Images to a batch and batches to a step; None where it is known only in training.
        versions: Of the packages that decide, by name; None where one is not installed.
        code: The SHA-256 of the sources that compute, by package; None of an earlier zoo.
        environment: The machine: backend, device, processor, threads.
        expected: What the recipe came to; None before it was trained.
    """

    recipe: RecipeLock
    weights: WeightsLock
    data: DataLock
    classes: tuple[str, ...]
    preprocessing: PreprocessingLock
    seeds: tuple[int, ...]
    precision: str
    batch: BatchRecord | None = None
    versions: Mapping[str, str | None]
    code: Mapping[str, str] | None = field(default=None, metadata=LEFT_OUT)
    environment: EnvironmentRecord
    expected: ExpectedLock | None = None

    def to_text(self) -> str:
        """Returns the sealed document; equal locks give equal bytes."""
        return proof_text(KIND, self)


def read_lock(path: Path) -> Lock:
    """Reads a lock.

    Raises:
        NotFoundError: There is no such file.
        ContractError: It is damaged or was changed.
    """
    return _checked(read_proof(path, KIND, Lock), str(path))


def parse_lock(content: bytes, place: str) -> Lock:
    """Reads a lock from its bytes; raises as `read_lock` does, and names `place`."""
    return _checked(parse_proof(content, place, KIND, Lock), place)


def _checked(lock: Lock, place: str) -> Lock:
    """Refuses a lock that contradicts itself, as one that was changed and sealed anew may."""
    fault = lock.data.fault()
    if hashlib.sha256(lock.recipe.resolved.encode("utf-8", "surrogatepass")).hexdigest() != lock.recipe.sha256:
        fault = "recipe.sha256 is not that of recipe.resolved"
    try:
        values_of_text(lock.recipe.resolved)
    except ValueError as unread:
        fault = f"recipe.resolved cannot be read: {printable(unread, at_most=100)}"
    for loss in (lock.expected and lock.expected.first_losses) or ():
        if not _HEXADECIMAL.fullmatch(loss):
            fault = f"expected.first_losses has {shown(loss)}; expected hexadecimal floats"
    if fault is not None:
        raise ContractError(f"{place}: is damaged or was changed ({fault}); expected a lock as zoo wrote it")
    return lock


def lock_differences(then: Lock, now: Lock, names: FileNames | None = None) -> Iterator[Difference]:
    """Yields in what two locks differ, what decides most first.

    Args:
        then: The first.
        now: The second.
        names: Of the files of the second by their keys, where they are known: see `zoo.sharing.locks.image_files`.
    """
    yield from _recipe_differences(then, now)
    yield from _field_differences("weights", then.weights, now.weights)
    yield from _data_differences(then, now, names or {})
    if then.classes != now.classes:
        yield _difference("classes", ", ".join(then.classes), ", ".join(now.classes))
    yield from _field_differences("preprocessing", then.preprocessing, now.preprocessing)
    if then.seeds != now.seeds:
        yield _difference("seeds", list(then.seeds), list(now.seeds))
    if then.precision != now.precision:
        yield _difference("precision", then.precision, now.precision)
    if then.batch != now.batch:
        yield from _field_differences("batch", then.batch, now.batch)
    for name in dict.fromkeys((*then.versions, *now.versions)):
        if then.versions.get(name) != now.versions.get(name):
            yield _difference(name, then.versions.get(name) or NOT_INSTALLED, now.versions.get(name) or NOT_INSTALLED)
    before, after = then.code or {}, now.code or {}
    for name in dict.fromkeys((*before, *after)):
        if before and after and before.get(name) != after.get(name):
            yield _difference(f"code of {name}", *(one.get(name, "not there")[:12] for one in (before, after)))
    yield from _field_differences("environment", then.environment, now.environment)
    yield from _field_differences("expected", then.expected, now.expected)


def _difference(name: str, then: object, now: object) -> Difference:
    return Difference(name=name, then=then, now=now)


def _recipe_differences(then: Lock, now: Lock) -> Iterator[Difference]:
    if then.recipe.sha256 != now.recipe.sha256:
        changed = list(value_differences(*(values_of_text(one.recipe.resolved) for one in (then, now))))
        for one in changed:
            yield _difference(f"recipe {one.key}", *one.values)
        if not changed:
            yield _difference("recipe", then.recipe.sha256[:12], now.recipe.sha256[:12])
    before, after = ({one.name: one.sha256 for one in lock.recipe.parents} for lock in (then, now))
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield _difference(f"parent {name}", before.get(name, "none")[:12], after.get(name, "none")[:12])


def _data_differences(then: Lock, now: Lock, names: FileNames) -> Iterator[Difference]:
    changed = class_differences(then.data, now.data)
    for one in changed:
        yield _difference(one.place, counted(one.then, "image"), one.now_with(names))
    if not changed and then.data.fingerprint != now.data.fingerprint:
        # The same images: their order, names, weights or groups.
        yield _difference("data order or names", then.data.fingerprint[:12], now.data.fingerprint[:12])


def _field_differences(place: str, then: JsonObject | None, now: JsonObject | None) -> Iterator[Difference]:
    """Yields the fields in which two objects of one kind differ."""
    if then is None or now is None:
        if then is not now:
            yield _difference(place, *("none" if one is None else "known" for one in (then, now)))
        return
    for one in fields(then):
        before, after = getattr(then, one.name), getattr(now, one.name)
        if before == after or one.name == "unknown":
            continue
        if isinstance(before, JsonObject) and isinstance(after, JsonObject):
            yield from _field_differences(f"{place}.{one.name}", before, after)
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            for name in dict.fromkeys((*before, *after)):
                if before.get(name) != after.get(name):
                    yield from _field_differences(f"{place}.{name}", before.get(name), after.get(name))
        else:
            yield _difference(f"{place}.{one.name}", before, after)
