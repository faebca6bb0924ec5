from dataclasses import replace
from pathlib import Path

import pytest

from tests.recipe.conftest import VALID
from tests.sharing.made import ENVIRONMENT, VERSIONS, make_lock, make_receipt, sha256
from tests.tiny import phase, recipe, record, result, write_run
from zoo.errors import ContractError, NotFoundError
from zoo.recipe.by_key import ABSENT
from zoo.recipe.loading import load_recipe
from zoo.runs.record import BatchRecord, DataRecord, WeightsRecord
from zoo.sharing.difference import Figure, compare, compared
from zoo.sharing.locks.lock import ExpectedMetric
from zoo.shelves.configured import add_shelf
from zoo.shelves.places.opening import checked_url
from zoo.shelves.shelf import open_shelf


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def differing(first, second):
    return compare(compared(first), compared(second))


def keys_of(comparison):
    return {one.key: one.values for one in comparison.keys}


def test_a_recipe_written_out_is_the_same_as_one_that_leaves_out_the_defaults(here):
    Path("short.toml").write_text(VALID)
    written = load_recipe("short.toml").to_toml()
    assert "learning_rate" in written and "learning_rate" not in VALID
    Path("long.toml").write_text(written)
    found = differing("short.toml", "long.toml")
    assert (found.is_same, found.are_runs, found.figures) == (True, False, {})


def test_keys_differ_with_the_default_of_one_that_says_nothing(here):
    Path("child.toml").write_text(
        'extends = "quickstart"\nmodel.options = {alpha = 0.5}\n[expect]\nvalue = 0.9\n[set]\n"train.ema" = 0.5\n'
    )
    assert keys_of(differing("quickstart", "child.toml")) == {
        "model.options.alpha": (ABSENT, 0.5),
        "train.ema": (0.0, 0.5),
        "expect.metric": (ABSENT, "val_accuracy"),
        "expect.value": (ABSENT, 0.9),
        "expect.tolerance": (ABSENT, 0.02),
    }


def test_phases_are_compared_by_name(here):
    one = write_run("one", recipe(phase("warm", "head"), phase("head", "head"), phase("all", "all")))
    other = write_run("other", recipe(phase("all", "all", epochs=3), phase("head", "head"), phase("cool", "head")))
    found = differing(one, other)
    assert keys_of(found) == {"phases.all.epochs": (2, 3)}
    assert found.phases.only == (("warm",), ("cool",))
    assert found.phases.order == (("warm", "head", "all"), ("all", "head", "cool"))
    assert not found.is_same


def test_a_phase_put_between_does_not_reorder_the_others(here):
    one = write_run("one", recipe(phase("head", "head"), phase("all", "all")))
    other = write_run("other", recipe(phase("head", "head"), phase("top", "last:2"), phase("all", "all")))
    found = differing(one, other)
    assert (found.phases.only, found.phases.order) == (((), ("top",)), None)


def test_runs_differ_in_what_they_ran_on_too(here):
    environment = replace(record().environment, threads=2, processor="Xeon")
    then = {
        "environment": environment,
        "versions": {"keras": "3.14.0", "jax": "0.5"},
        "batch": BatchRecord(batch_size=8, accumulate=1),
        "engine": "keras",
    }
    now = {
        "environment": replace(environment, threads=4, python="3.12.1", device="H100", processor="EPYC"),
        "versions": {"keras": "3.15.1", "jax": "0.6"},  # which a run on TensorFlow does not use
        "precision": "mixed_float16",
        "data": DataRecord(fingerprint="ab" * 32, train=3069, validation=341),
        "classes": ("cat", "dog", "newt"),
        "weights": WeightsRecord(path="/w", sha256="cd" * 32),
        "batch": BatchRecord(batch_size=4, accumulate=2),
        "engine": "openvino 2026.4.1",
    }
    found = differing(write_run("one", recipe(), **then), write_run("other", recipe(), **now))
    assert not found.keys
    assert {one.name: (one.then, one.now) for one in found.circumstances} == {
        "data": ("3f0c3f0c3f0c (3,068 + 341 images)", "abababababab (3,069 + 341 images)"),
        "classes": ("2", "3, only here: newt"),
        "initial weights": ("the recipe's", "cdcdcdcdcdcd"),
        "batch": ("8 images", "4 images x 2"),
        "engine": ("keras", "openvino 2026.4.1"),
        "precision": ("float32", "mixed_float16"),
        "device": ("2 CPU cores", "H100"),
        "processor": ("Xeon", "EPYC"),
        "threads": (2, 4),
        "python": ("3.11.7", "3.12.1"),
        "keras": ("3.14.0", "3.15.1"),
    }
    assert (found.is_same, found.is_of_other_data) == (False, True)


def test_classes_in_another_order_are_another_run(here):
    found = differing(write_run("one", recipe()), write_run("other", recipe(), classes=("dog", "cat")))
    assert [(one.name, one.then, one.now) for one in found.circumstances] == [("classes", "cat, dog", "dog, cat")]


def test_the_metrics_of_finished_runs_stand_side_by_side_with_their_intervals(here):
    one = write_run("one", recipe(), result=result(accuracy=0.5))
    other = write_run("other", recipe(), result=result(accuracy=0.75, macro_f1=0.7))
    found = differing(one, other)
    assert found.is_same
    (first, second), (none, f1) = found.figures["accuracy"], found.figures["macro_f1"]
    assert (first.value, first.interval, second.value) == (0.5, (0.4, 0.6), 0.75)
    assert (none, f1.value) == (None, 0.7)


def test_a_run_that_is_not_finished_has_no_metrics(here):
    one = write_run("one", recipe(), "interrupted", result=result(accuracy=0.5))
    assert compared(one).figures == {}


def test_the_runs_of_several_seeds_are_compared_by_mean_and_spread(here):
    for seed, accuracy in ((0, 0.5), (1, 0.6), (2, 0.7)):
        seeded = recipe(train={"seed": seed})
        write_run(f"seeds/seed-{seed}", seeded, seed=seed, result=result(accuracy=accuracy))
    one = write_run("one", recipe(), result=result(accuracy=0.5))
    found = differing("seeds", one)
    assert keys_of(found) == {"train.seed": ([0, 1, 2], 0)}
    figure = found.figures["accuracy"][0]
    assert (figure.runs, figure.interval) == (3, None)
    assert (figure.value, figure.deviation) == (pytest.approx(0.6), pytest.approx(0.1))


def test_what_leads_nowhere_is_refused(here):
    write_run("runs/one", recipe())
    with pytest.raises(NotFoundError, match="it holds the run one; name it, such as runs/one"):
        compared("runs")
    with pytest.raises(NotFoundError, match=r"Did you mean 'quickstart'\?"):
        compared("quickstrat")


def test_a_version_with_a_receipt_is_compared_with_a_run(here):
    written = recipe().to_toml()
    Path("version").mkdir()
    Path("version/recipe.toml").write_text(written)
    receipt = make_receipt(sha256={"recipe.toml": sha256(written)})
    Path("version/receipt.json").write_text(receipt.to_text())
    run = write_run(
        "run", recipe(), environment=replace(ENVIRONMENT, threads=4), versions=VERSIONS, result=result(accuracy=0.5)
    )
    found = differing("version/recipe.toml", run)
    assert not found.keys
    assert found.sides[0].states == ("receipt",)
    assert {one.name: (one.then, one.now) for one in found.circumstances} == {
        "data": ("cccccccccccc (3 + 2 images)", "3f0c3f0c3f0c (3,068 + 341 images)"),
        "threads": (2, 4),
    }
    first, second = found.figures["accuracy"]
    assert (first.value, first.interval, second.value) == (0.75, (0.3, 0.95), 0.5)


def test_versions_on_a_shelf_are_compared(here, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache").absolute()))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path("config").absolute()))
    Path("shelf").mkdir()
    add_shelf("vision", checked_url("shelf"))
    for epochs, accuracy in ((2, 0.5), (3, 0.75)):
        written = recipe(phase("head", "head", epochs=epochs)).to_toml()
        came_to = make_receipt(sha256={"recipe.toml": sha256(written)}, result=result(accuracy=accuracy))
        files = {"recipe.toml": written.encode(), "receipt.json": came_to.to_text().encode()}
        open_shelf("vision").publish("pets", files, {})
    found = differing("vision/pets@1", "vision/pets")
    assert keys_of(found) == {"phases.head.epochs": (2, 3)}
    assert [figure.value for figure in found.figures["accuracy"]] == [0.5, 0.75]


def test_the_spread_over_seeds_that_a_version_was_locked_with_is_compared(here):
    written = recipe().to_toml()
    Path("recipe.toml").write_text(written)
    Path("receipt.json").write_text(make_receipt(sha256={"recipe.toml": sha256(written)}).to_text())
    known = make_lock().expected
    metrics = {"accuracy": ExpectedMetric(value=0.75, interval=(0.3, 0.95), mean=0.7, deviation=0.02)}
    Path("lock.json").write_text(make_lock(expected=replace(known, runs=3, metrics=metrics)).to_text())
    assert compared("recipe.toml").figures == {"accuracy": Figure(value=0.7, deviation=0.02, runs=3)}


def test_a_receipt_of_another_recipe_is_refused(here):
    Path("recipe.toml").write_text(recipe().to_toml())
    Path("receipt.json").write_text(make_receipt().to_text())
    with pytest.raises(ContractError, match=r"receipt\.json: is not of the recipe\.toml beside it"):
        compared("recipe.toml")
