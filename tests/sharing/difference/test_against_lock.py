"""A recipe beside its lock: what `zoo recipe check` compares."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recipe.conftest import VALID
from tests.sharing.made import make_lock, recipe_lock, sha256
from zoo.recipe.loading import load_by_key, load_recipe
from zoo.sharing.difference.against_lock import lock_faults
from zoo.sharing.locks.lock import ParentLock, WeightsLock
from zoo.sharing.locks.making import weights_of

BASE = VALID.replace("pets", "base")
CHILD = 'extends = "base.toml"\nname = "pets"\n[train]\nbatch_size = 16\n'


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A recipe, what it extends, and a lock of both."""
    monkeypatch.chdir(tmp_path)
    Path("base.toml").write_text(BASE)
    Path("pets.toml").write_text(CHILD)
    write_lock()


def write_lock(name="pets.lock", **changes):
    recipe = load_recipe("pets.toml")
    parents = (ParentLock(name="base.toml", sha256=sha256(BASE)),)
    lock = make_lock(recipe=recipe_lock(recipe.to_toml(), parents), weights=weights_of(recipe))
    Path(name).write_text(replace(lock, **changes).to_text())


def said(reference="pets.toml"):
    recipe, keys = load_by_key(reference)
    return [str(fault) for fault in lock_faults(Path(reference), recipe, keys)]


def test_a_recipe_that_is_what_its_lock_says_has_no_fault(locked):
    assert said() == []
    assert said("base.toml") == []  # which has no lock


def test_a_key_that_is_not_what_was_locked_is_named_with_its_line(locked):
    Path("pets.toml").write_text(CHILD.replace("16", "8") + "[expect]\nvalue = 0.9\n")
    advice = "write what it says, or lock the recipe anew"
    assert said() == [
        f"pets.toml:4: train.batch_size is 8, and 16 in pets.lock; {advice}",
        f"pets.toml:6: expect.value is 0.9, and not there in pets.lock; {advice}",
    ]


def test_a_parent_with_another_hash_is_named_even_where_its_values_are_the_same(locked):
    Path("base.toml").write_text(BASE + "# a comment\n")
    (fault,) = said()
    before, after = (sha256(text)[:12] for text in (BASE, BASE + "# a comment\n"))
    assert fault == (
        f'pets.toml:1: extends "base.toml": its SHA-256 is {after}..., and not the {before}... of pets.lock; '
        "write what it says, or lock the recipe anew"
    )


def test_weights_with_another_hash_are_named(locked):
    known = weights_of(load_recipe("pets.toml"))
    assert known.sha256
    write_lock(weights=WeightsLock(model="mnist_conv", set=known.set, sha256="e" * 64))
    (fault,) = said()
    assert f'weights "mnist" have the SHA-256 {known.sha256[:12]}..., and not the eeeeeeeeeeee... of pets.lock' in fault


def test_a_damaged_lock_is_a_fault(locked):
    text = Path("pets.lock").read_text()
    Path("pets.lock").write_text(text.replace('"mnist_conv"', '"mnist_comv"'))
    (fault,) = said()
    assert fault.startswith("pets.lock: is damaged or was changed (")
    assert "expected a lock as zoo wrote it" in fault


def test_a_key_that_the_locking_zoo_did_not_know_is_not_a_difference(locked):
    resolved = load_recipe("pets.toml").to_toml().replace("ema = 0.0\n", "")
    assert "\nema =" not in resolved
    write_lock(recipe=recipe_lock(resolved, ()))
    assert said() == []


def test_a_version_of_a_shelf_has_its_lock_beside_it_by_another_name(locked):
    Path("recipe.toml").write_text(load_recipe("pets.toml", ["train.seed=3"]).to_toml())
    write_lock("lock.json")
    (fault,) = said("recipe.toml")
    assert "train.seed is 3, and 0 in lock.json" in fault
