"""What differs between two locks, each of its kind, and what another team's lock cannot make a trial do."""

from dataclasses import replace

import pytest

from tests.sharing.made import ENVIRONMENT, RESOLVED, VERSIONS, make_lock, recipe_lock
from zoo.errors import ContractError
from zoo.inference.engines import ENGINES
from zoo.sharing.locks.lock import parse_lock
from zoo.sharing.reproduction.attempts import Attempt, reverted
from zoo.sharing.reproduction.causes import causes_between
from zoo.sharing.reproduction.image_changes import Image, ImageChange

THEN = make_lock()
NOW = replace(THEN, expected=None)


def between(then, now, images=()):
    return causes_between(then, now, images, is_folder=True)


def on(**changes):
    return replace(THEN, environment=replace(ENVIRONMENT, **changes))


def test_nothing_differs_between_a_run_and_the_same_recipe_before_training():
    assert between(THEN, NOW) == []


@pytest.mark.parametrize(
    ("then", "kind", "name", "is_revertible"),
    [
        (
            replace(THEN, recipe=recipe_lock(RESOLVED.replace("seed = 0", "seed = 1"))),
            "seed",
            "recipe train.seed",
            True,
        ),
        (
            replace(THEN, recipe=recipe_lock(RESOLVED.replace("epochs = 2", "epochs = 5"))),
            "recipe",
            "recipe phases.head.epochs",
            True,
        ),
        (
            replace(THEN, recipe=recipe_lock(RESOLVED.replace('name = "head"', 'name = "other"'))),
            "recipe",
            "recipe phases",
            True,
        ),
        (replace(THEN, precision="mixed_bfloat16"), "precision", "precision", True),
        (replace(THEN, weights=replace(THEN.weights, sha256="c" * 64)), "weights", "weights", False),
        (on(threads=5), "threads", "threads", True),
        (on(threads=10**9), "threads", "threads", False),
        (on(threads=-1), "threads", "threads", False),
        (on(backend="evil.module"), "backend", "backend", False),
        (on(processor="another"), "processor", "processor", False),
        (on(device="a GPU"), "device", "device", False),
        (on(python="3.9.0"), "package", "python", False),
        (replace(THEN, versions={**VERSIONS, "numpy": "1.0"}), "package", "package numpy", False),
        (replace(THEN, code={"zoo": "0" * 64}), "code", "code of zoo", False),
        (replace(THEN, data=replace(THEN.data, fingerprint="0" * 64)), "data", None, False),
    ],
)
def test_each_difference_is_of_its_kind(then, kind, name, is_revertible):
    (found,) = between(then, NOW)
    assert (found.kind, found.name, found.is_revertible) == (kind, name or found.name, is_revertible)
    assert str(found).startswith(found.name)


def test_other_bits_of_float32_are_a_cause_where_they_are_multiplied():
    now = replace(NOW, environment=replace(ENVIRONMENT, tf32=False))
    (found,) = between(on(tf32=True), now)
    assert (found.kind, found.name, found.then, found.now) == ("device", "TF32", "on", "off")
    half = [replace(one, precision="mixed_bfloat16") for one in (on(tf32=True), now)]
    assert between(*half) == []


@pytest.mark.parametrize(
    ("then", "now", "value"),
    [
        (str(ENGINES["openvino"]), "keras", "openvino"),
        ("keras", str(ENGINES["openvino"]), "keras"),
        # Another version of it is not there to be tried.
        ("openvino 2020.1", str(ENGINES["openvino"]), None),
        ("keras", "keras", ""),
        # Nothing was computed once, or an earlier zoo made the lock.
        ("keras", None, ""),
        (None, "keras", ""),
    ],
)
def test_another_engine_is_a_cause_that_a_trial_puts_back_where_it_is_installed(tmp_path, then, now, value):
    locked = replace(THEN, expected=replace(THEN.expected, engine=then))
    found = causes_between(locked, NOW, (), is_folder=True, engine=now)
    if value == "":
        assert found == []
        return
    (cause,) = found
    assert str(cause) == f"engine: {then}, now {now}"
    assert (cause.kind, cause.is_revertible) == ("engine", value is not None)
    if value:
        with reverted(Attempt(recipe={}, data=None), found, (), tmp_path) as trial:
            assert (trial.engine, trial.needs_a_process) == (value, True)


def test_a_lock_of_an_earlier_zoo_says_nothing_of_code():
    assert between(replace(THEN, code=None), NOW) == []


def test_another_backend_does_not_make_packages_differ_that_one_of_them_does_not_need():
    jax = {name: version for name, version in VERSIONS.items() if name != "tensorflow"} | {"jax": "0.10.2"}
    found = between(replace(on(backend="jax"), versions=jax), NOW)
    assert [one.name for one in found] == ["backend"]


def test_what_is_put_back_is_in_the_trial_and_nothing_else_is_changed(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    for name in ("cat/1.png", "cat/2.png", "cat/more.png"):
        (tmp_path / "photos" / name).write_text(name)
    then = replace(on(threads=5), recipe=recipe_lock(RESOLVED.replace("seed = 0", "seed = 1")))
    images = [
        ImageChange(what="added", split="train", now=Image(key="m", label="cat", name="cat/more.png")),
        ImageChange(
            what="relabelled",
            split="train",
            then=Image(key="2", label="dog"),
            now=Image(key="2", label="cat", name="cat/2.png"),
            name_then="dog/2.png",
        ),
    ]
    causes = between(then, NOW, images)
    now = Attempt(recipe={"train": {"seed": 0, "batch_size": 8}}, data=str(tmp_path / "photos"))
    files = ("cat/1.png", "cat/2.png", "cat/more.png")
    with reverted(now, causes, files, tmp_path / "work") as trial:
        assert trial.recipe == {"train": {"seed": 1, "batch_size": 8}}
        assert (trial.threads, trial.backend, trial.needs_a_process) == (5, None, True)
        there = {file.relative_to(trial.data).as_posix() for file in (tmp_path / "work").rglob("*.png")}
        assert there == {"cat/1.png", "dog/2.png"}
        assert (tmp_path / "work" / "images" / "dog" / "2.png").read_text() == "cat/2.png"
    assert not (tmp_path / "work" / "images").exists()
    assert now.recipe == {"train": {"seed": 0, "batch_size": 8}}
    assert Attempt.from_text(trial.to_text()) == trial


@pytest.mark.parametrize("loss", ["nan", "0x1.0p+9999", "1.5", "0x1.zp+0", ""])
def test_a_lock_whose_losses_are_no_numbers_is_refused(loss):
    hostile = replace(THEN, expected=replace(THEN.expected, first_losses=("0x1.8p+0", loss)))
    with pytest.raises(ContractError, match=r"first_losses has '.*'; expected hexadecimal floats"):
        parse_lock(hostile.to_text().encode(), "it")
