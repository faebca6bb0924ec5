"""Whether a run goes on, or is repeated, on what it began with, and what it may claim of its numbers then."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from zoo.backend.keras_internals import native_operations
from zoo.errors import RunError
from zoo.recipe.by_key import ABSENT, value_differences
from zoo.recipe.schema import Recipe
from zoo.recipe.validation import quoted
from zoo.runs.folder import RunFolder
from zoo.runs.packages import deciding
from zoo.runs.record import EnvironmentRecord, ExactnessRecord, RunRecord

NOT_INSTALLED = "not installed"


class MadeOn(Protocol):
    """What says on what a run was made: run.json, and what proves a run elsewhere."""

    @property
    def environment(self) -> EnvironmentRecord:
        """The machine."""
        ...

    @property
    def versions(self) -> Mapping[str, str | None]:
        """Of the packages that decide, by name."""
        ...

    @property
    def precision(self) -> str:
        """The policy that was resolved."""
        ...


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that decides a run's numbers and is not what it was.

    Attributes:
        name: What it is.
        then: What the run began with.
        now: What there is.
        remedy: What to do so that it is as it was.
        is_accepted: Whether `--force` goes on all the same.
    """

    name: str
    then: object
    now: object
    remedy: str = "go on where it began"
    is_accepted: bool = True

    def __str__(self) -> str:
        return f"{self.name} {self.then}, now {self.now}"


def recipe_differences(then: Recipe, now: Recipe) -> Iterator[Difference]:
    """Yields the keys in which a recipe differs from that of a run: `phases.head.epochs`."""
    for one in value_differences(then.to_dict(), now.to_dict()):
        before, after = (str(value) if value is ABSENT else quoted(value) for value in one.values)
        yield Difference(name=one.key, then=before, now=after, is_accepted=False)


def listed(differences: Sequence[Difference], most: int = 3) -> str:
    """Names the first of differences with both values, and how many there are more."""
    more = f"; and {len(differences) - most} more" if len(differences) > most else ""
    return "; ".join(map(str, differences[:most])) + more


def version_differences(before: MadeOn, now: Mapping[str, str | None]) -> Iterator[Difference]:
    """Yields the packages that decide and have another version; those that the run did not record are passed over.

    Args:
        before: Of the run.
        now: The versions that are installed.
    """
    for name, version in deciding(before.versions, before.environment.backend).items():
        if now.get(name) != version:
            remedy = f"pip install {name}=={version}" if version else f"pip uninstall {name}"
            then, here = version or NOT_INSTALLED, now.get(name) or NOT_INSTALLED
            yield Difference(name=name, then=then, now=here, remedy=remedy)


def machine_differences(before: MadeOn, now: MadeOn, *, deterministic: bool) -> Iterator[Difference]:
    """Yields what computes otherwise than it did.

    Args:
        before: Of the run.
        now: Of what goes on with it, or repeats it.
        deterministic: Whether the recipe asks for the same bits, for which CPU and threads count.
    """
    then, here = before.environment, now.environment
    if then.backend != here.backend:
        remedy = f"set KERAS_BACKEND={then.backend}"
        yield Difference(name="backend", then=then.backend, now=here.backend, remedy=remedy, is_accepted=False)
    if before.precision != now.precision:
        yield Difference(name="precision", then=before.precision, now=now.precision, is_accepted=False)
    if then.device != here.device:
        yield Difference(name="device", then=then.device, now=here.device)
    if now.precision == "float32" and None not in (then.tf32, here.tf32) and then.tf32 != here.tf32:
        was, now_is = ("on" if one.tf32 else "off" for one in (then, here))
        yield Difference(name="TF32", then=was, now=now_is)
    if deterministic and then.processor is not None and then.processor != here.processor:
        yield Difference(name="processor", then=then.processor, now=here.processor)
    if deterministic and here.threads is not None and then.threads not in (None, here.threads):
        yield thread_difference(before, here.threads)
    if deterministic and then.backend == here.backend and has_native_operations(then) != has_native_operations(here):
        was, now_is = (on_or_off(one) for one in (then, here))
        remedy = f"set {native_operations.SWITCH}={int(has_native_operations(then))}"
        yield Difference(name="native operations", then=was, now=now_is, remedy=remedy)


def placement_differences(before: RunRecord, now: RunRecord) -> Iterator[Difference]:
    """Yields another number of devices or processes: what they sum, they sum in another order then."""
    then, here = (str(one.placement or "one device") for one in (before, now))
    if then != here:
        yield Difference(name="placement", then=then, now=here)


def has_native_operations(environment: EnvironmentRecord) -> bool:
    """Returns whether TensorFlow's own operations computed; an earlier zoo, which did not note it, had none."""
    return bool(environment.native_operations)


def on_or_off(environment: EnvironmentRecord) -> str:
    """Says whether TensorFlow's own operations computed."""
    return "on" if has_native_operations(environment) else "off"


def thread_difference(before: MadeOn, now: int) -> Difference:
    """Describes another number of threads than a run's; TensorFlow takes a run's over before its first operation."""
    then = before.environment
    remedy = "start Python anew" if then.backend == "tensorflow" else f"give the process {then.threads} CPUs"
    return Difference(name="threads", then=then.threads, now=now, remedy=remedy)


def refusal(run: RunFolder, differences: Sequence[Difference]) -> RunError:
    """Makes the fault of a run that does not find what it began with; names both values of each difference."""
    remedies = " and ".join(dict.fromkeys(one.remedy for one in differences))
    otherwise = (
        "begin a new run"
        if any(not one.is_accepted for one in differences)
        else "go on all the same with --force, which gives up that the numbers are the same to the bit"
    )
    return RunError(f"{run.path}: began with {listed(differences)}; {remedies}, or {otherwise}")


def claim_of(now: RunRecord, *, deterministic: bool, device_kind: str) -> ExactnessRecord:
    """Returns what a run may claim that begins now.

    Args:
        now: What is known of it.
        deterministic: The recipe's `train.deterministic`.
        device_kind: `cpu`, `gpu` or `tpu`.
    """
    if not deterministic:
        return ExactnessRecord(claim="equivalent, not bitwise", why="train.deterministic is false")
    if device_kind != "cpu":
        why = f"it trains on {now.environment.device}; bits are promised on a CPU only"
        return ExactnessRecord(claim="equivalent, not bitwise", why=why)
    return ExactnessRecord(claim="bitwise")


def claim_after(before: RunRecord, now: RunRecord, *, deterministic: bool) -> ExactnessRecord:
    """Returns what a run may claim that goes on from what another process came to.

    Args:
        before: Its record until then.
        now: What is known of it now, with what it could claim if it began now.
        deterministic: The recipe's `train.deterministic`.
    """
    fresh = now.exactness or ExactnessRecord(claim="equivalent, not bitwise")
    if fresh.claim != "bitwise":
        return fresh
    if before.exactness is None:
        return ExactnessRecord(claim="equivalent, not bitwise", why="an earlier zoo began it, which made no such claim")
    if before.exactness.claim != "bitwise":
        return before.exactness
    differences = (
        *placement_differences(before, now),
        *version_differences(before, now.versions),
        *machine_differences(before, now, deterministic=deterministic),
    )
    if differences:
        why = f"it began with {listed(differences)}"
        return ExactnessRecord(claim="equivalent, not bitwise", why=why)
    return fresh


def described(exactness: ExactnessRecord) -> str:
    """Says what a run claims, in a line."""
    if exactness.claim == "bitwise":
        return "bitwise: an undisturbed run on this machine gives the same bytes"
    return f"{exactness.claim}: {exactness.why}"


def data_difference(run: RunFolder, now: str) -> str | None:
    """Says that data is other than what a run was trained on; None where it is the same.

    Args:
        run: The run.
        now: The fingerprint of the data.
    """
    then = run.record().data.fingerprint
    if then == now:
        return None
    return f"the data is not what {run.path} was trained on (fingerprint {then[:12]}..., now {now[:12]}...)"
