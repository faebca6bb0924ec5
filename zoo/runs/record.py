"""run.json: what went into a run and what came out. The only module that knows its keys.

A key is a field's name. One that is not known here, of a newer zoo, is kept in `unknown` and written back as it was.
Fields with a default are those that an earlier zoo did not write.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

from zoo.errors import RunError, shown
from zoo.system.files import write_atomic
from zoo.system.integrity.checked_reading import read_checked
from zoo.system.integrity.unverified import say_unverified
from zoo.system.json_objects import FLAT, LEFT_OUT, JsonObject, JsonObjectError, read_object
from zoo.system.sealing import LIMIT, DamagedDocumentError, parse_document, sealed

SCHEMA = 1

ANEW = "put back the file that zoo wrote, or begin a new run"

Status = Literal["running", "interrupted", "failed", "done"]


@dataclass(frozen=True, kw_only=True)
class InputsRecord(JsonObject):
    """Where the images were.

    Attributes:
        data: The path, absolute; None for a source that ships or downloads, or images given in code.
        in_code: The type of what was given in code.
    """

    data: str | None
    in_code: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class EnvironmentRecord(JsonObject):
    """The machine that a run was made on.

    Attributes:
        cpus: How many it has.
        processor: What the CPU is called, where the system says.
        threads: How many threads computed an operation on the CPU.
        native_operations: Whether TensorFlow's own operations compute what Keras composes of several; they round
            otherwise. None on another backend, and of an earlier zoo, which left all to Keras.
        tf32: Whether a GPU multiplied float32 with 10 of its 23 bits; None on a CPU, and of an earlier zoo.
    """

    python: str
    platform: str
    backend: str
    device: str
    cpus: int | None
    processor: str | None = field(default=None, metadata=LEFT_OUT)
    threads: int | None = field(default=None, metadata=LEFT_OUT)
    native_operations: bool | None = field(default=None, metadata=LEFT_OUT)
    tf32: bool | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class PlacementRecord(JsonObject):
    """Where a run was computed, on more than one device.

    Attributes:
        processes: How many processes trained together.
        devices: How many devices all of them had in it.
        engine: What spread it over them.
        batchnorm: Of which images BatchNorm took its statistics where it trained: `global` is the whole batch, over all
            devices, `device` is each device's part of it.
        launcher: What started the processes, as `Slurm` or `Ray`; None where somebody did.
    """

    processes: int
    devices: int
    engine: str
    batchnorm: str
    launcher: str | None = field(default=None, metadata=LEFT_OUT)

    def __str__(self) -> str:
        devices = f"{self.devices} devices"
        return devices if self.processes == 1 else f"{devices} of {self.processes} processes"


Claim = Literal["bitwise", "equivalent, not bitwise"]


@dataclass(frozen=True, kw_only=True)
class ExactnessRecord(JsonObject):
    """What a run claims of its numbers, beside those of an undisturbed run or of a repetition.

    Attributes:
        claim: Whether they are the same to the bit.
        why: The reasons where they may not be.
    """

    claim: Claim
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class SkippedRecord(JsonObject):
    """A file that could not be read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class DataRecord(JsonObject):
    """What a run learnt from.

    Attributes:
        fingerprint: The SHA-256 of the data's contents and labels.
        train: Images that trained.
        validation: Images that validated; 0 where there were none.
        test: Images of the test split, which the run did not look at.
        skipped: Files that could not be read.
    """

    fingerprint: str
    train: int
    validation: int
    test: int = 0
    skipped: tuple[SkippedRecord, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlanRowRecord(JsonObject):
    """What one stage does in a phase: see `zoo.freezing.plans.PlanRow`."""

    stage: str
    layers: int
    params: int
    trainable_params: int
    state: str
    batchnorm: str
    rate: float | None = None


@dataclass(frozen=True, kw_only=True)
class ContractRecord(JsonObject):
    """How the freezing contract of a phase was kept.

    Attributes:
        frozen_tensors: How many did not move.
        trained_tensors: How many the optimizer had.
        unchanged: Paths of those among them that are as they were.
    """

    frozen_tensors: int
    trained_tensors: int
    unchanged: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PrefixCacheRecord(JsonObject):
    """The frozen prefix of a phase, which was run once.

    Attributes:
        cut: The layer that it ends at.
        views: How many views of each image.
        computed: How many activations were computed, and not found on disk.
        engine: What computed them in place of Keras, as `openvino 2026.4.1`; None where Keras did.
    """

    cut: str
    views: int = 1
    computed: int
    engine: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class PhaseRecord(JsonObject):
    """A finished phase.

    Attributes:
        name: Its name in the recipe.
        train: Its selector.
        batchnorm: The BatchNorm mode that was resolved.
        trainable_params: How many parameters it trained.
        plan: The freeze table.
        contract: How the freezing contract was kept.
        prefix_cache: The prefix that was run once, or None.
    """

    name: str
    train: str
    batchnorm: str
    trainable_params: int
    plan: tuple[PlanRowRecord, ...]
    contract: ContractRecord
    prefix_cache: PrefixCacheRecord | None = None


@dataclass(frozen=True, kw_only=True)
class WeightsRecord(JsonObject):
    """What a run began with in place of its recipe's weights.

    Attributes:
        path: The folder or file, absolute.
        sha256: The hash of the file of numbers.
        licence: Of the weights that they began from in turn, where it is known.
    """

    path: str
    sha256: str
    licence: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class OriginRecord(JsonObject):
    """The version on a shelf, or the bundle, that a run's recipe is from.

    Attributes:
        name: The recipe's name there.
        version: The version's number; None of a bundle that was not made of a version.
        sha256: Of the version's document, or of bundle.json.
        parent: Of such a bundle, the version that it was made from in turn, as `name@sha256:...`.
    """

    name: str
    version: int | None = field(default=None, metadata=LEFT_OUT)
    sha256: str
    parent: str | None = field(default=None, metadata=LEFT_OUT)

    @property
    def published(self) -> str | None:
        """The nearest version on a shelf that it goes back to, as `name@sha256:...`; None where there is none."""
        return self.parent if self.version is None else f"{self.name}@sha256:{self.sha256}"


@dataclass(frozen=True, kw_only=True)
class RecipeFileRecord(JsonObject):
    """A file that a recipe was written in.

    Attributes:
        name: For the recipe's own the file's name, for another what `extends` calls it; without `.toml`, a recipe's
            name.
        sha256: Of its bytes.
        version: The version on a shelf that it was pulled from, as `name@sha256:...`.
        text: All of it.
    """

    name: str
    sha256: str
    version: str | None = field(default=None, metadata=LEFT_OUT)
    text: str


@dataclass(frozen=True, kw_only=True)
class ContinuesRecord(JsonObject):
    """The finished run that was trained on.

    Attributes:
        run: Its folder, absolute.
        epochs: How many epochs it had.
    """

    run: str
    epochs: int


@dataclass(frozen=True, kw_only=True)
class RepeatsRecord(JsonObject):
    """The run that was repeated.

    Attributes:
        run: Its folder, absolute.
        same_data: Whether the data is what it was.
        same_result: Whether the weights are the same, bit for bit; None until both are there.
    """

    run: str
    same_data: bool
    same_result: bool | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class BatchRecord(JsonObject):
    """How many images went through the model at once, and how many batches made a step."""

    batch_size: int
    accumulate: int


@dataclass(frozen=True, kw_only=True)
class BestRecord(JsonObject):
    """The checkpoint whose model was kept.

    Attributes:
        step: Its step.
        figures: The metric that decided, by its name, None where nothing validated; and `val_loss`.
        shortfall: Says where later phases stayed below what they began from.
    """

    step: int
    figures: Mapping[str, float | None] = field(metadata=FLAT)
    shortfall: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class ResultRecord(JsonObject):
    """What the best model was measured at.

    Attributes:
        split: The images: `validation`, or None where there were none.
        metrics: Figures by name; empty where there were no images.
        intervals: 95 % intervals by name of the figure.
        per_class: Figures by class and name.
    """

    split: str | None = None
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    per_class: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, kw_only=True)
class SecondsRecord(JsonObject):
    """What the process that finished a run took its time for, in seconds; what runs beside a step is not counted.

    Attributes:
        total: From the beginning, of a command that of its process, until all files but run.json and the manifest
            were written: the sum of the others.
        imports: To load Python's modules, TensorFlow's above all.
        opening: To list the images and decide which of them validate.
        hashing: To read and hash the images that were not known.
        decoding: To bring them to size, or to find their pack.
        build: To build the model, and to read the weights that it begins with.
        first_pass: To run frozen layers once, or to find what they gave.
        phases: Of each phase, by its name: compiling, training, validating, checkpoints.
        measuring: To measure the model that is kept.
        curves: To draw them.
        writing: To write the model that is kept.
        other: What lies between.
    """

    total: float
    imports: float = 0.0
    opening: float = 0.0
    hashing: float = 0.0
    decoding: float = 0.0
    build: float = 0.0
    first_pass: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict[str, float])
    measuring: float = 0.0
    curves: float = 0.0
    writing: float = 0.0
    other: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RunRecord(JsonObject):
    """run.json.

    Attributes:
        status: How far the run is; `done` when it is finished.
        recipe: The recipe's name.
        model: The model's.
        inputs: Where the images were.
        environment: The machine.
        versions: Of the packages that decide, by name; None where one is not installed.
        seed: The recipe's.
        precision: The policy that was resolved.
        data: What it learnt from.
        classes: Class names, in the order of the probabilities.
        phases: The finished ones.
        weights: What it began with in place of the recipe's weights, or None.
        origin: The version on a shelf, or the bundle, that its recipe is from, or None.
        recipe_files: What its recipe was written in when it began, its own file first, then all that it extends;
            None where it extends nothing, and of an earlier zoo.
        continues: The finished run that it trains on, or None.
        repeats: The run that it repeats, or None.
        exactness: What it claims of its numbers; None of an earlier zoo.
        code: The SHA-256 of the sources that compute, by package; None of an earlier zoo.
        first_losses: The losses of the first batches, at most 20, as hexadecimal floats that lose no digit. Each is
            the mean of its epoch until then, as Keras reports it; None of an earlier zoo.
        batch: Images to a batch and batches to a step, once they are known.
        placement: Where it is computed, as it goes on now; None on one device, and of an earlier zoo.
        engine: What computes what frozen layers give, `keras` or `openvino 2026.4.1`; None before any did, and of an
            earlier zoo.
        stopped_by: The callback that ended it early, or None.
        kept: The checkpoint whose model was kept; None before.
        result: What the best model was measured at; None before.
        seconds: What the process that finished it took its time for; None before, and of an earlier zoo.
        reason: Why it failed or was interrupted, or None.
        sha256: The hashes of files that were written whole before this, by their names: recipe.toml and images.json,
            and at the end those that no other document has the hash of; None where an earlier zoo wrote it.
    """

    status: Status
    recipe: str
    model: str
    inputs: InputsRecord
    environment: EnvironmentRecord
    versions: Mapping[str, str | None]
    seed: int
    precision: str
    data: DataRecord
    classes: tuple[str, ...]
    phases: tuple[PhaseRecord, ...] = ()
    weights: WeightsRecord | None = field(default=None, metadata=LEFT_OUT)
    origin: OriginRecord | None = field(default=None, metadata=LEFT_OUT)
    recipe_files: tuple[RecipeFileRecord, ...] | None = field(default=None, metadata=LEFT_OUT)
    continues: ContinuesRecord | None = field(default=None, metadata=LEFT_OUT)
    repeats: RepeatsRecord | None = field(default=None, metadata=LEFT_OUT)
    exactness: ExactnessRecord | None = field(default=None, metadata=LEFT_OUT)
    code: Mapping[str, str] | None = field(default=None, metadata=LEFT_OUT)
    first_losses: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT)
    batch: BatchRecord | None = field(default=None, metadata=LEFT_OUT)
    placement: PlacementRecord | None = field(default=None, metadata=LEFT_OUT)
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    stopped_by: str | None = field(default=None, metadata=LEFT_OUT)
    kept: BestRecord | None = field(default=None, metadata=LEFT_OUT)
    result: ResultRecord | None = field(default=None, metadata=FLAT)
    seconds: SecondsRecord | None = field(default=None, metadata=LEFT_OUT)
    reason: str | None = field(default=None, metadata=LEFT_OUT)
    sha256: Mapping[str, str] | None = field(default=None, metadata=LEFT_OUT)

    @property
    def summary(self) -> str:
        """Which recipe trained which model on how many images: two lines."""
        validation = f"{self.data.validation:,} to validate" if self.data.validation else "none to validate"
        images = f"{self.data.train:,} images of {len(self.classes):,} classes"
        return f"{self.recipe}\n{self.model} on {images}, {validation}"

    def without_result(self) -> Self:
        """Returns what stays true when the run is trained on: another result will come, and it repeats no run."""
        return replace(self, kept=None, result=None, repeats=None, seconds=None, reason=None, sha256=None)

    def going_on(self, now: "RunRecord", *, phases: int) -> "RunRecord":
        """Returns the record of this run when it goes on.

        Args:
            now: What is known of it at its second beginning.
            phases: How many finished phases are kept.
        """
        return replace(
            now,
            phases=self.phases[:phases],
            weights=self.weights or now.weights,
            origin=self.origin or now.origin,
            recipe_files=self.recipe_files or now.recipe_files,
            continues=self.continues or now.continues,
            repeats=self.repeats or now.repeats,
            first_losses=self.first_losses,
            engine=self.engine,
        )


def read_document(path: Path) -> dict[str, Any]:
    """Reads run.json as plain data.

    Raises:
        RunError: It is damaged, of another schema, or not the one that manifest.json lists.
    """
    try:
        read = parse_document(read_checked(path.parent, path.name, limit=LIMIT))
    except DamagedDocumentError as fault:
        raise RunError(f"{path}: cannot be read ({fault}); {ANEW}") from None
    except OSError as fault:
        raise RunError(f"{path}: {fault.strerror}; {ANEW}") from None
    if not read.is_sealed:
        say_unverified(path.parent)
    document = read.values
    if document.get("schema") != SCHEMA:
        raise RunError(f"{path}: schema is {shown(document.get('schema'))}; expected {SCHEMA}; use a newer zoo")
    return document


def read_record(path: Path) -> RunRecord:
    """Reads run.json.

    Raises:
        RunError: It is damaged, of another schema, or a key is missing or of another type.
    """
    return parse_record(read_document(path), path)


def parse_record(document: Mapping[str, Any], path: Path) -> RunRecord:
    """Reads a record from plain data.

    Args:
        document: As `read_document` gives it.
        path: The file, for messages.

    Raises:
        RunError: A key is missing or of another type.
    """
    try:
        return read_object({key: value for key, value in document.items() if key not in ("schema", "kind")}, RunRecord)
    except JsonObjectError as fault:
        raise RunError(f"{path}: {fault}; {ANEW}") from None


def write_record(record: RunRecord, path: Path) -> None:
    """Writes run.json whole."""
    write_atomic(path, sealed({"schema": SCHEMA, "kind": "run", **record.to_json()}))
