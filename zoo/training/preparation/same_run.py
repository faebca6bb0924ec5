"""Whether a run that goes on finds what it began with: data, classes, backend, precision, device, versions, threads."""

from collections.abc import Sequence

from zoo.backend import determinism, devices
from zoo.data import Dataset
from zoo.errors import RunError
from zoo.recipe.schema import Recipe
from zoo.report.progress import ProgressDisplay
from zoo.runs.exactness import (
    Difference,
    data_difference,
    machine_differences,
    refusal,
    thread_difference,
    version_differences,
)
from zoo.runs.folder import RunFolder
from zoo.training.preparation.first_record import record_before_reading
from zoo.training.preparation.preparing import Prepared


def check_same_data(run: RunFolder, dataset: Dataset) -> None:
    """Checks that a run goes on with the data and the classes that it began with.

    Raises:
        RunError: They are others.
    """
    if difference := data_difference(run, dataset.fingerprint()):
        raise RunError(f"{difference}; put it back, or begin a new run")
    before = run.record().classes
    if before != tuple(dataset.classes):
        raise RunError(
            f"{run.path}: began with the classes {_listed(before)}; the data has {_listed(dataset.classes)}; "
            "put them back, or begin a new run"
        )


def check_goes_on(run: RunFolder, prepared: Prepared, *, force: bool) -> list[Difference]:
    """Checks that a run goes on with what it began with: data, classes, backend, precision, device, versions, threads.

    Args:
        run: The run.
        prepared: What goes on with it.
        force: Whether other versions, or another device, processor or number of threads, are accepted.

    Returns:
        What differs and is accepted.

    Raises:
        RunError: Something differs that is not accepted; the message names both values.
    """
    check_same_data(run, prepared.source.dataset)
    before, now, deterministic = run.record(), record_before_reading(prepared), prepared.recipe.train.deterministic
    found = [
        *machine_differences(before, now, deterministic=deterministic),
        *version_differences(before, now.versions),
    ]
    firm = [one for one in found if not one.is_accepted]
    if firm or (found and not force):
        raise refusal(run, firm or found)
    return found


def take_over_threads(run: RunFolder, recipe: Recipe, *, force: bool) -> None:
    """Lets as many threads compute as did in a run, where the recipe asks for the same bits.

    Raises:
        RunError: TensorFlow has computed with another number in this process already, or JAX would.
    """
    record = run.record()
    number = record.environment.threads
    if not recipe.train.deterministic or number is None or record.environment.backend != devices.name():
        return
    if not determinism.fix_threads(number) and not force:
        raise refusal(run, [thread_difference(record, determinism.threads())])


def say_where_data_differs(run: RunFolder, dataset: Dataset, display: ProgressDisplay) -> None:
    """Warns where images are not those that a run was trained on."""
    if difference := data_difference(run, dataset.fingerprint()):
        display.line(f"warning: {difference}")


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
