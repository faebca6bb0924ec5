"""A run that repeats another: whether it had the same data, and came to the same numbers."""

from dataclasses import replace

from zoo.errors import ZooError
from zoo.models.arrays import MODEL_FILE
from zoo.recipe.schema import Recipe
from zoo.report.progress import ProgressDisplay
from zoo.runs.exactness import data_difference, described
from zoo.runs.folder import RunFolder
from zoo.runs.record import RepeatsRecord, RunRecord, WeightsRecord
from zoo.system.files import sha256
from zoo.system.integrity.checked_reading import covered


def compare_data(repeated: RunFolder, record: RunRecord, display: ProgressDisplay) -> RepeatsRecord:
    """Warns where the run that is repeated had other data, and returns what run.json keeps of it."""
    difference = data_difference(repeated, record.data.fingerprint)
    if difference:
        display.line(f"warning: {difference}")
    return RepeatsRecord(run=str(repeated.path.resolve()), same_data=not difference)


def compare_result(
    repeated: RunFolder, folder: RunFolder, asked: Recipe, record: RunRecord, display: ProgressDisplay
) -> RepeatsRecord | None:
    """Says whether a run came to the same weights as the one that it repeats, bit for bit, or why not.

    Args:
        repeated: The run that it repeats.
        folder: The run, whose model is written.
        asked: Its recipe, as it was given.
        record: What is known of it.
        display: Shows what was found.

    Returns:
        What run.json keeps of it, as far as there is a model to compare with.
    """
    if record.repeats is None or not (repeated.model / MODEL_FILE).is_file():
        return record.repeats
    try:
        before = repeated.record()
        recipe = repeated.recipe()
        then = sha256(repeated.model / MODEL_FILE)
        covered(repeated.path).check(f"{repeated.model.name}/{MODEL_FILE}", then)
    except ZooError as fault:  # hours of training do not fail for what another folder lost meanwhile
        display.line(f"warning: the result is not compared with {repeated.path}: {fault}")
        return record.repeats
    differing = [
        name
        for name, same in (
            ("other data", record.repeats.same_data),
            ("another recipe", recipe == asked),
            ("other initial weights", _hash_of(before.weights) == _hash_of(record.weights)),
        )
        if not same
    ]
    same_result = sha256(folder.model / MODEL_FILE) == then
    if same_result:
        display.line(f"same result as {repeated.path}, bit for bit")
    elif differing:
        display.line(f"differs from {repeated.path}: {' and '.join(differing)}")
    else:
        claim = record.exactness
        unclaimed = described(claim) if claim is not None and claim.claim != "bitwise" else "no cause is recorded"
        display.line(
            f"not the same result as {repeated.path}, from the same recipe and data: "
            f"{', '.join(_changed_environment(before, record)) or unclaimed}"
        )
    return replace(record.repeats, same_result=same_result)


def _hash_of(weights: WeightsRecord | None) -> str | None:
    return weights.sha256 if weights else None


def _changed_environment(before: RunRecord, now: RunRecord) -> list[str]:
    return [
        f"{name} {then.get(name)}, now {value}"
        for then, current in (
            (before.environment.to_json(), now.environment.to_json()),
            (before.versions, now.versions),
        )
        for name, value in current.items()
        if name in then and then[name] != value
    ]
