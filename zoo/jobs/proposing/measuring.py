"""What a proposed recipe costs on this machine: a short run of it, in a folder that goes again, taken apart.

The short run is a run: the same preparation, prefix cache, phases, checkpoints, curves and end, on fewer images and for
two epochs a phase, or a few more where they are short. So what it takes for is what a run takes time for.
"""

import math
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zoo.backend.callers_state import alone
from zoo.data import Dataset, Split
from zoo.data.images import index
from zoo.data.inputs import Source, pack_split
from zoo.data.packs.packing import Packing
from zoo.jobs.proposing.facts import ModelFacts, sampled, spread
from zoo.jobs.proposing.forecast import Costs, Work
from zoo.jobs.proposing.timeline import Timeline, ValidationClock, costs_of
from zoo.recipe.schema import Recipe
from zoo.report.progress import ProgressDisplay
from zoo.runs.claim import claim
from zoo.runs.folder import RunFolder
from zoo.system import cache
from zoo.training.batch_size import batch_size_of
from zoo.training.prefix.policy import COMPUTING_SPEED, TRAINING_COST
from zoo.training.prefix.storing import KIND, find_entry
from zoo.training.preparation.preparing import Prepared, prepare
from zoo.training.run import train

# Epochs of a phase: the first also compiles, another tells the rest apart; more of them where they are short, since a
# machine is now faster and now slower.
FEWEST_EPOCHS, MOST_EPOCHS = 2, 6
# An epoch of the short run should take so long, in seconds, within these numbers of batches.
EPOCH_SECONDS = 4.0
FEWEST_BATCHES, MOST_BATCHES = 4, 64
# And all epochs of a phase so long.
PHASE_SECONDS = 12.0
# Batches that validate, at most.
VALIDATION_BATCHES = 3


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        costs: Of the recipe; `start` is 0.
        work: How much the recipe has to do.
    """

    costs: Costs
    work: Work


def measure(recipe: Recipe, data: Path, model: ModelFacts, display: ProgressDisplay) -> Measured:
    """Runs a recipe for some seconds.

    Args:
        recipe: The whole recipe.
        data: Its images.
        model: Says about how much a batch costs.
        display: Shows that it works.

    Raises:
        ZooError: What a run would raise: weights that are missing, images that cannot be read, too little memory.
    """
    prepared = prepare(recipe, data)
    source = prepared.source
    batch = batch_size_of(prepared.recipe)
    batches, epochs = _batches_and_epochs(prepared, model, batch)
    small, read_image = _small_source(prepared, images=batches * batch, validating=VALIDATION_BATCHES * batch)
    phases = tuple(phase.model_copy(update={"epochs": epochs}) for phase in prepared.recipe.phases)
    short = replace(
        prepared,
        asked=prepared.asked.model_copy(update={"phases": phases}),
        recipe=prepared.recipe.model_copy(update={"phases": phases}),
        data=None,
        source=small,
    )
    timeline = Timeline()
    names = [phase.name for phase in recipe.phases]
    display.line(f"times {epochs} epochs of {', '.join(names)} on {len(small.train):,} images ...")
    with tempfile.TemporaryDirectory(prefix="zoo-timing-") as place, _entries_removed(small), alone(display.line):
        folder = RunFolder.create(Path(place) / "run")
        with claim(folder.path):
            began = time.perf_counter()
            train(short, folder=folder, callbacks=[ValidationClock(timeline)], display=timeline)
            ended = time.perf_counter()
            taken = folder.record().batch
    batch = taken.batch_size if taken is not None else batch  # of "auto", what was found to fit
    work = Work(
        train=len(small.train),
        validation=len(small.validation) if small.validation is not None else 0,
        batch_size=batch,
        epochs=dict.fromkeys(names, epochs),
    )
    costs = replace(costs_of(timeline.events, began=began, ended=ended, work=work), read_image=read_image)
    return Measured(
        costs,
        Work(
            train=len(source.train),
            validation=len(source.validation) if source.validation is not None else 0,
            batch_size=batch,
            epochs={phase.name: phase.epochs for phase in recipe.phases},
        ),
    )


def _batches_and_epochs(prepared: Prepared, model: ModelFacts, batch: int) -> tuple[int, int]:
    """Chooses how many batches an epoch of the short run has, and how many epochs a phase."""
    pixels = (prepared.settings.height / model.size) ** 2
    seconds = TRAINING_COST * batch * pixels * (model.madds or 1e9) / COMPUTING_SPEED
    wanted = min(max(int(EPOCH_SECONDS / seconds), FEWEST_BATCHES), MOST_BATCHES)
    batches = min(wanted, math.ceil(len(prepared.source.train) / batch))
    epochs = math.ceil(PHASE_SECONDS / (batches * seconds))
    return batches, min(max(epochs, FEWEST_EPOCHS), MOST_EPOCHS)


def _small_source(prepared: Prepared, *, images: int, validating: int) -> tuple[Source, float]:
    """Reads some of the images, as pixels; the first is changed, so that the prefix cache does not know them.

    Returns:
        Them as a source of their own, and the seconds that an image took to read.
    """
    source = prepared.source
    began = time.perf_counter()
    read = _read(prepared, source.train, images)
    few = None if source.validation is None else _read(prepared, source.validation, validating)
    count = len(read) + (0 if few is None else len(few))
    seconds = time.perf_counter() - began
    dataset = Dataset(classes=source.dataset.classes, train=read, validation=few, test=None)
    small = Source(dataset=dataset, train=read, validation=few, shares=None, warnings=())
    return small, seconds / count


def _read(prepared: Prepared, split: Split, count: int) -> Split:
    some = sampled(split, spread(len(split), count))
    if isinstance(some.images, list):
        index.contents(some.images)  # a run hashes files too
    how = Packing(on_bad="leave_out", check=prepared.source.check)
    found = pack_split(some, prepared.settings, how, bar=_no_bar, description="")
    pixels = np.array(found.images[:])
    pixels.flat[0] ^= np.uint8(1 + time.perf_counter_ns() % 255)
    return Split(images=pixels, labels=found.labels, weights=found.weights)


@contextmanager
def _no_bar(description: str, total: int) -> Generator[Callable[[int, str], None]]:
    yield lambda done, detail: None


@contextmanager
def _entries_removed(small: Source) -> Generator[None]:
    """Removes from the prefix cache what the short run leaves there: its images come never again.

    What another process puts there meanwhile stays: it has as many images by chance only.
    """
    counts = {len(split) for split in (small.train, small.validation) if split is not None}
    before = {entry.path for entry in cache.entries(KIND)}
    try:
        yield
    finally:
        for entry in cache.entries(KIND):
            array = None if entry.path in before else find_entry(entry.path)
            if array is not None and len(array) in counts:
                cache.remove(entry.path)
