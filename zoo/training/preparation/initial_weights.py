"""A run's model, or a file of weights, that training begins with in place of the recipe's weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import WeightsError
from zoo.models.arrays import MODEL_FILE, MOST_BYTES
from zoo.models.saved_card import SavedCard
from zoo.models.saving import CARD_FILE, MODEL_FOLDER, read_card
from zoo.runs.folder import holds_runs
from zoo.runs.record import WeightsRecord
from zoo.system.regular_files import open_regular


@dataclass(frozen=True, kw_only=True)
class InitialWeights:
    """A run's model or a file of weights that training begins with, as run.json keeps it.

    Attributes:
        path: The folder or file, absolute.
        sha256: The hash of the file of numbers.
        licence: Of the weights that they began from in turn, where it is known.
    """

    path: str
    sha256: str
    licence: str | None = None

    @classmethod
    def at(cls, path: Path) -> "InitialWeights":
        """Finds the weights of a finished run, of its `model` folder, or of a file.

        Raises:
            WeightsError: There are none.
        """
        path = path.absolute()
        # Beside its card a file's class names are known.
        if path.name == MODEL_FILE and (path.parent / CARD_FILE).is_file():
            path = path.parent
        file = _numbers_in(path)
        if not path.exists():
            raise WeightsError(
                f"{path}: there is no such run or file of weights; check --weights "
                f"(a set goes by its name: --set model.weights={path.name})"
            )
        if not file.is_file():
            if held := holds_runs(path):
                raise WeightsError(held)
            raise WeightsError(f"{path}: holds no finished model; expected a finished run, or a file of weights")
        return cls(
            path=str(path),
            sha256=_hash(file),
            licence=card.blueprint.own_licence if (card := _card_of(path)) else None,
        )

    @classmethod
    def of_record(cls, entry: WeightsRecord) -> "InitialWeights":
        """Returns what a run notes, whether it is still there or not."""
        return cls(path=entry.path, sha256=entry.sha256, licence=entry.licence)

    @property
    def record(self) -> WeightsRecord:
        """What a run notes."""
        return WeightsRecord(path=self.path, sha256=self.sha256, licence=self.licence)

    @classmethod
    def recorded(cls, entry: WeightsRecord, run: Path) -> "InitialWeights":
        """Finds the weights that a run began with again.

        Raises:
            WeightsError: They are gone, or others are there.
        """
        known = cls.of_record(entry)
        file = _numbers_in(Path(known.path))
        if not file.is_file() or _hash(file) != known.sha256:
            what = "are no longer there" if not file.is_file() else "are no longer the same"
            raise WeightsError(
                f"{run}: began with the weights {known.path} (SHA-256 {known.sha256[:12]}...), which {what}; "
                "put them back, or say which to begin with: --weights RUN|FILE"
            )
        return known

    def verify(self, run: Path) -> None:
        """Checks that they are what they were when the run began; raises WeightsError."""
        InitialWeights.recorded(self.record, run)

    def summary(self, classes: Sequence[str]) -> str:
        """Says what begins with them and what is new, for the data's class names."""
        card = _card_of(Path(self.path))
        if card is None:
            return (
                f"begins with {self.path}; the file names no classes: its classifier is kept where it has "
                f"{len(classes)} outputs, else new"
            )
        own = card.blueprint.classes
        if own == tuple(classes):
            return f"begins with {self.path}, its classifier too"
        from zoo.data.dataset import quoted  # imports NumPy

        return f"begins with {self.path}; its classes are {quoted(own)}: the classifier is new"


def _hash(file: Path) -> str:
    """Returns the SHA-256 of a file of weights; raises WeightsError where it cannot be one."""
    import hashlib

    try:
        with open_regular(file, limit=MOST_BYTES) as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as fault:
        raise WeightsError(f"{file}: {fault.strerror}; expected a file of weights") from fault


def _numbers_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    return path / MODEL_FILE if (path / CARD_FILE).is_file() else path / MODEL_FOLDER / MODEL_FILE


def _card_of(path: Path) -> SavedCard | None:
    """Reads the card of a run, or of its `model` folder; None for a bare file, which has none."""
    for folder in (path, path / MODEL_FOLDER):
        if (folder / CARD_FILE).is_file():
            return read_card(folder)
    return None
