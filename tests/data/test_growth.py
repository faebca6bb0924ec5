"""No step before training does more for each image among many than among few."""

import cProfile

import numpy as np
import pytest
from PIL import Image

from zoo.data import Packing, Settings, open_dataset, pack
from zoo.data.check.inspection import inspect
from zoo.data.inputs import choose_splits, pack_source
from zoo.recipe.schema import DataSection
from zoo.report.progress import SilentDisplay
from zoo.training.preparation.kept_images import images_of

pytestmark = pytest.mark.usefixtures("fresh_cache")
FEW, SETTINGS, HOW = 150, Settings(height=8, width=8, channels=3), Packing(keep=True)


def write(folder, count):
    drawn = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colours = drawn.integers(0, 256, (4, 4, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(colours).save(path, compress_level=0)


def split_and_listed(folder):
    dataset = open_dataset("folder", folder)
    source = choose_splits(dataset, DataSection(validation=0.1), seed=0)
    inputs = pack_source(source, SETTINGS, HOW, bar=SilentDisplay().bar)
    images_of(dataset, inputs, validation=0.1)


JOBS = {
    "open": lambda folder: open_dataset("folder", folder),
    "fingerprint": lambda folder: open_dataset("folder", folder).fingerprint(),
    "pack": lambda folder: pack(open_dataset("folder", folder).train, SETTINGS, HOW),
    "split, pack and list": split_and_listed,
    "check": lambda folder: inspect(open_dataset("folder", folder), on_progress=lambda *_: None),
}


def calls(job, folder):
    """Counts the calls of Python and C functions in this thread."""
    profile = cProfile.Profile()
    profile.runcall(job, folder)
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("name", JOBS)
def test_twice_as_many_images_take_at_most_twice_as_many_calls(tmp_path, name):
    write(tmp_path / "warm", 4)
    JOBS[name](tmp_path / "warm")  # what is done once is done
    counts = []
    for images in (FEW, 2 * FEW):
        write(tmp_path / str(images), images)
        counts.append(calls(JOBS[name], tmp_path / str(images)))
    assert counts[0] > FEW
    assert counts[1] <= 2.1 * counts[0]
