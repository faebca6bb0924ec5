"""The same photos by several libraries: who trains what, and how runs are summed up."""

import math

import numpy as np
import pytest

from zoo.recipe.loading import load_recipe


@pytest.fixture
def data(tmp_path):
    """Forty cats and twenty dogs that train, six that validate."""
    counts = {"train/cat": 40, "train/dog": 20, "validation/cat": 4, "validation/dog": 2}
    for folder, count in counts.items():
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "data" / folder / f"{number}.jpg").write_text(f"{folder} {number}")
    return tmp_path / "data"


def photos_of(folder):
    return {path.read_text(): path.parent.name for path in folder.glob("*/*")}


def test_the_epochs_are_those_of_the_recipes(script):
    peers = script("peers")
    for way, recipe in peers.RECIPES.items():
        phases = {phase.name: phase.epochs for phase in load_recipe(recipe).phases}
        assert peers.EPOCHS[way] == phases


def test_no_photo_is_in_two_splits_and_classes_are_in_proportion(script, data, tmp_path):
    folder = script("split_photos").prepare(data, tmp_path / "photos", 30)
    parts = {name: photos_of(folder / name) for name in ("train", "validation", "test")}
    assert {name: len(part) for name, part in parts.items()} == {"train": 27, "validation": 3, "test": 6 + 30}
    assert len({photo for part in parts.values() for photo in part}) == 66
    learned = [*parts["train"].values(), *parts["validation"].values()]
    assert (learned.count("cat"), learned.count("dog")) == (20, 10)
    assert parts["train"].keys() <= photos_of(data / "train").keys()


def test_a_test_split_is_taken_as_it_is(script, data, tmp_path):
    (data / "test" / "cat").mkdir(parents=True)
    (data / "test" / "cat" / "0.jpg").write_text("test/cat 0")
    folder = script("split_photos").prepare(data, tmp_path / "photos", 100)
    for split in ("train", "validation", "test"):
        assert photos_of(folder / split) == photos_of(data / split)


def test_an_interval_is_that_of_the_binomial_where_seeds_agree(script):
    right = np.arange(400) % 2 == 0
    mean, low, high = script("accuracy_of_seeds").mean_and_interval([right, right, right])
    half = 1.96 * math.sqrt(0.25 / 400)
    assert mean == 0.5
    assert (mean - low, high - mean) == (pytest.approx(half, rel=0.1), pytest.approx(half, rel=0.1))


def test_a_difference_is_of_the_same_photos(script):
    right = np.arange(400) % 2 == 0
    difference = script("accuracy_of_seeds").difference
    assert difference([right, right], [right, right]) == (0.0, 0.0, 0.0)
    better = right.copy()
    better[:40] = True
    more, low, high = difference([better], [right])
    half = 1.96 * math.sqrt(0.05 * 0.95 / 400)
    assert more == pytest.approx(0.05)
    assert (more - low, high - more) == (pytest.approx(half, rel=0.15), pytest.approx(half, rel=0.15))


def run_of(seconds, *labels):
    predicted = {f"{label}/{number}.jpg": "cat" for number, label in enumerate(labels)}
    return {"seconds": seconds, "cpu_seconds": 2 * seconds, "peak_bytes": 10**9, "predicted": predicted}


def test_a_row_is_beside_the_toolkit_and_a_failure_has_its_reason(script):
    table = script("peer_table")
    trials = [
        table.Trial(photos=30, way="probe", side=side, seed=seed)
        for seed in range(3)
        for side in ("keras", "zoo", "fastai")
    ]
    found = {}
    for trial in trials:
        if trial.side != "fastai":
            seconds = {"zoo": 10.0, "keras": 25.0}[trial.side] + trial.seed
            found[trial] = run_of(seconds, "cat", "cat", "cat", "dog")
    failed = {trial: "pip: no such release" for trial in trials if trial not in found}
    ours, *others = table.rows_of(trials, found, failed)
    assert (ours["side"], ours["seconds"], ours["accuracy"], ours["seeds"]) == ("zoo", 11.0, 0.75, 3)
    assert ours["points above the toolkit"] is None
    fastai, keras = others
    assert (fastai["side"], fastai["note"], fastai["seconds"]) == ("fastai", "pip: no such release", None)
    assert (keras["times the toolkit's"], keras["CPU seconds"], keras["peak GB"]) == (2.36, 52.0, 1.0)
    assert keras["points above the toolkit"] == "+0.0 (+0.0 to +0.0)"


def test_sides_take_turns(script):
    trials = script("peers").trials([30], ["probe"], ["zoo", "keras", "pytorch"], 2)
    assert [(trial.seed, trial.side) for trial in trials] == [
        (0, "zoo"),
        (0, "keras"),
        (0, "pytorch"),
        (1, "keras"),
        (1, "pytorch"),
        (1, "zoo"),
    ]
