"""receipt.json: what a finished run came to, and how it got there. Only this module knows its keys.

It names no place on a machine, no user and no host. Whoever has the files beside it compares their hashes with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from zoo import __version__
from zoo.runs.record import (
    BatchRecord,
    BestRecord,
    EnvironmentRecord,
    ExactnessRecord,
    PhaseRecord,
    ResultRecord,
)
from zoo.sharing.documents import parse_proof, proof_text, read_proof
from zoo.sharing.finished_run import CARD, NUMBERS, FinishedRun
from zoo.sharing.locks.lock import FILE as LOCK_FILE
from zoo.system.files import sha256_of
from zoo.system.json_objects import LEFT_OUT, JsonObject

KIND = "receipt"
FILE = "receipt.json"
RECIPE, CURVES = "recipe.toml", "metrics.jsonl"
# Beside them in a version: the folder of the recipe as it was written, and of what it extends.
SOURCE = "source"


@dataclass(frozen=True, kw_only=True)
class DataCounts(JsonObject):
    """How many images a run had in each split, and what they are known by.

    Attributes:
        fingerprint: As run.json has it.
        train: Images that trained.
        validation: Images that validated.
        test: Images of the test split, which the run did not look at.
        skipped: Files that could not be read.
    """

    fingerprint: str
    train: int
    validation: int
    test: int
    skipped: int


@dataclass(frozen=True, kw_only=True)
class SecondsRecord(JsonObject):
    """How long the epochs took.

    Attributes:
        training: All of them together, validation included.
        data_wait: The share of it that waited for images.
        epochs: How many there were.
    """

    training: float
    data_wait: float
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Receipt(JsonObject):
    """A receipt.

    Attributes:
        zoo: The version of zoo that wrote it.
        time: When it was written, in UTC: `2026-03-01T12:00:00Z`.
        recipe: The recipe's name.
        model: The model's.
        classes: Class names, in the order of the probabilities.
        data: How many images there were.
        result: What the best model was measured at: metrics, intervals, classes.
        seconds: How long it took.
        environment: The machine.
        versions: Of the packages that decide, by name.
        seed: The recipe's.
        precision: The policy that was resolved.
        batch: Images to a batch and batches to a step; None of an earlier zoo.
        exactness: What the run claims of its numbers; None of an earlier zoo.
        engine: What computed what frozen layers give: see `zoo.runs.record.RunRecord`.
        code: The SHA-256 of the sources that computed, by package; None of an earlier zoo.
        first_losses: Of the first batches: see `zoo.runs.record.RunRecord`; None of an earlier zoo.
        phases: What each phase froze and trained, and how the freezing contract was kept.
        kept: The epoch whose model was kept, by its step; None of an earlier zoo.
        sha256: The hashes of recipe.toml, lock.json, metrics.jsonl (the curves) and of the model's files, by name.
    """

    zoo: str
    time: str
    recipe: str
    model: str
    classes: tuple[str, ...]
    data: DataCounts
    result: ResultRecord
    seconds: SecondsRecord
    environment: EnvironmentRecord
    versions: Mapping[str, str | None]
    seed: int
    precision: str
    batch: BatchRecord | None = field(default=None, metadata=LEFT_OUT)
    exactness: ExactnessRecord | None = field(default=None, metadata=LEFT_OUT)
    engine: str | None = field(default=None, metadata=LEFT_OUT)
    code: Mapping[str, str] | None = field(default=None, metadata=LEFT_OUT)
    first_losses: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT)
    phases: tuple[PhaseRecord, ...]
    kept: BestRecord | None = field(default=None, metadata=LEFT_OUT)
    sha256: Mapping[str, str]

    def to_text(self) -> str:
        """Returns the sealed document."""
        return proof_text(KIND, self)


def read_receipt(path: Path) -> Receipt:
    """Reads a receipt.

    Raises:
        NotFoundError: There is no such file.
        ContractError: It is damaged or was changed.
    """
    return read_proof(path, KIND, Receipt)


def parse_receipt(content: bytes, place: str) -> Receipt:
    """Reads a receipt from its bytes; raises as `read_receipt` does, and names `place`."""
    return parse_proof(content, place, KIND, Receipt)


def receipt_of(run: FinishedRun, lock: str, *, time: datetime | None = None) -> Receipt:
    """Makes the receipt of a run.

    Args:
        run: The run, which was verified.
        lock: Its lock, as text.
        time: What it says of when it was written; None for now.
    """
    record, rows = run.record, run.folder.metrics()
    return Receipt(
        zoo=__version__,
        time=f"{time or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        recipe=record.recipe,
        model=record.model,
        classes=record.classes,
        data=DataCounts(
            fingerprint=record.data.fingerprint,
            train=record.data.train,
            validation=record.data.validation,
            test=record.data.test,
            skipped=len(record.data.skipped),
        ),
        result=run.result,
        seconds=SecondsRecord(
            training=round(sum(row.get("seconds") or 0.0 for row in rows), 3),
            data_wait=round(sum(row.get("data_wait_seconds") or 0.0 for row in rows), 3),
            epochs=len(rows),
        ),
        environment=record.environment,
        versions=record.versions,
        seed=record.seed,
        precision=record.precision,
        batch=record.batch,
        exactness=record.exactness,
        engine=record.engine,
        code=record.code,
        first_losses=record.first_losses,
        phases=record.phases,
        kept=record.kept,
        sha256={LOCK_FILE: sha256_of(lock), **{name: run.sha256[name] for name in (RECIPE, CURVES, CARD, NUMBERS)}},
    )
