"""How far a run has come: what its checkpoints keep beside numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best epoch so far.

    Attributes:
        value: The monitored metric.
        step: Optimizer steps of the run until then.
        batch: Batches of the run until then; no other epoch's checkpoint has the same.
        loss: The validation loss, which decides between equals; None in checkpoints of an earlier zoo.
    """

    value: float
    step: int
    batch: int
    loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class PartialEpoch:
    """How far an epoch has come that is not finished.

    Attributes:
        batches: Its finished batches, 1 or more; where they are all, it is not validated yet.
        seconds: What it has taken until then.
        data_wait_seconds: Of these, what training waited for batches.
        applied_steps_before: Steps that the phase's optimizer had taken when the epoch began.
        metrics: Its training metrics by name where all its batches are finished, else empty.
    """

    batches: int
    seconds: float = 0.0
    data_wait_seconds: float = 0.0
    applied_steps_before: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has come.

    Attributes:
        phase: Index of the phase.
        epoch_in_phase: Finished epochs of that phase.
        epoch: Finished epochs of the run.
        step: Finished optimizer steps of the run.
        batch: Finished batches of the run; with `train.accumulate` several make a step.
        best: The run's best epoch; None while nothing is monitored.
        phase_best: The phase's best epoch; None where the phase does not end early.
        stale_epochs: Epochs since then.
        partial_epoch: The epoch that has begun; None between two.
        first_losses: The losses of the run's first batches: see `zoo.runs.record.RunRecord`.
    """

    phase: int = 0
    epoch_in_phase: int = 0
    epoch: int = 0
    step: int = 0
    batch: int = 0
    best: Best | None = None
    phase_best: Best | None = None
    stale_epochs: int = 0
    partial_epoch: PartialEpoch | None = None
    first_losses: tuple[str, ...] = ()

    @property
    def batches_of_epoch(self) -> int:
        """Finished batches of the epoch that has begun; 0 between two."""
        return 0 if self.partial_epoch is None else self.partial_epoch.batches

    @property
    def awaits_validation(self) -> bool:
        """Whether all batches of the epoch are finished, and it is not validated."""
        return self.partial_epoch is not None and bool(self.partial_epoch.metrics)

    @property
    def where(self) -> str:
        """Where a run was left, for a line."""
        if self.awaits_validation:
            return f"before the validation of epoch {self.epoch + 1}"
        if self.partial_epoch is not None:
            return f"in epoch {self.epoch + 1}, after batch {self.batches_of_epoch}"
        return f"after epoch {self.epoch}"

    def next_phase(self, index: int) -> "Progress":
        """Returns the same at the beginning of another phase."""
        return replace(self, phase=index, epoch_in_phase=0, phase_best=None, stale_epochs=0)

    def to_json(self) -> dict[str, Any]:
        """Returns what a checkpoint's manifest keeps."""
        return {
            **{name: getattr(self, name) for name in (*_COUNTS, "batch")},
            **_best_to_json("best", self.best),
            **_best_to_json("phase_best", self.phase_best),
            "stale_epochs": self.stale_epochs,
            **({} if self.partial_epoch is None else {"partial_epoch": asdict(self.partial_epoch)}),
            **({"first_losses": list(self.first_losses)} if self.first_losses else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Progress":
        """Reads what `to_json` returned; for one of zoo 0.1, which has no batch, the step is taken: it counted batches.

        Raises:
            KeyError: A count is missing.
            TypeError: A key of an epoch that has begun is missing, or not known.
        """
        partial = document.get("partial_epoch")
        return cls(
            **{name: document[name] for name in _COUNTS},
            batch=document.get("batch", document["step"]),
            best=_best_from_json("best", document),
            phase_best=_best_from_json("phase_best", document),
            stale_epochs=document.get("stale_epochs", 0),
            partial_epoch=None if partial is None else PartialEpoch(**partial),
            first_losses=tuple(map(str, document.get("first_losses", ()))),
        )


_COUNTS = ("phase", "epoch_in_phase", "epoch", "step")


def _best_to_json(name: str, best: Best | None) -> dict[str, Any]:
    return {f"{name}_{each.name}": None if best is None else getattr(best, each.name) for each in fields(Best)}


def _best_from_json(name: str, document: Mapping[str, Any]) -> Best | None:
    value, step = document.get(f"{name}_value"), document.get(f"{name}_step")
    if value is None or step is None:
        return None
    batch = document.get(f"{name}_batch", step)
    return Best(value=value, step=step, batch=batch, loss=document.get(f"{name}_loss"))
