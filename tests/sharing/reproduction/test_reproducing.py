"""A recipe is run again as it was, or with one thing changed by hand: the verdict, and the one that is named."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

import zoo
from tests.tiny import environment, tiny_recipe, write_photos
from zoo.errors import ContractError, NotFoundError
from zoo.sharing.locks.lock import read_lock
from zoo.sharing.locks.making import lock_runs
from zoo.sharing.reproduction.trying import PREFIX

NAME = "tiny"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A recipe with its lock, its images, its run, and the weights that the run began with."""
    folder = tmp_path_factory.mktemp("made")
    write_photos(folder / "photos", count=8)
    (folder / f"{NAME}.toml").write_text(tiny_recipe().to_toml())
    first = zoo.finetune(folder / f"{NAME}.toml", folder / "photos", run=folder / "first", verbose=0)
    shutil.copyfile(first.path / "model" / "model.safetensors", folder / "begun.safetensors")
    run = zoo.finetune(
        folder / f"{NAME}.toml",
        folder / "photos",
        run=folder / "run",
        weights=folder / "begun.safetensors",
        verbose=0,
    )
    (folder / f"{NAME}.lock").write_text(lock_runs(run.path).to_text())
    return folder


@pytest.fixture
def team(made, tmp_path):
    """A copy of all of it, as another team has it."""
    return shutil.copytree(made, tmp_path / "team")


def again(team, **options):
    options = {"quick": True, "weights": team / "begun.safetensors", **options}
    return zoo.reproduce(team / f"{NAME}.toml", team / "photos", verbose=0, **options)


def change(team, old, new):
    path = team / f"{NAME}.toml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def spoil(path):
    """Changes a pixel of an image."""
    from PIL import Image

    with Image.open(path) as image:
        changed = image.copy()
    changed.putpixel((3, 3), 255 - changed.getpixel((3, 3)))
    changed.save(path)


def flip_a_bit(path):
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    kernel = arrays[next(name for name in sorted(arrays) if arrays[name].ndim == 2)]
    kernel.view("u4")[0, 0] ^= 1 << 22
    save_file(arrays, path)


def relock(team, **changes):
    path = team / f"{NAME}.lock"
    path.write_text(replace(read_lock(path), **changes).to_text())


def named(found):
    return [(one.kind, one.image.name if one.image else one.name) for one in found.explanation.named]


def litter():
    return sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def test_an_unchanged_recipe_is_bitwise_equal_and_no_cause_is_named(team):
    found = again(team)
    assert (found.verdict, found.holds, found.differences, named(found)) == ("bitwise equal", True, (), [])
    assert found.images == (12, 12)
    assert found.losses.equal == found.losses.batches == 4


def test_a_run_is_repeated_whole_and_compared_with_what_it_came_to(team, tmp_path):
    found = zoo.reproduce(team / "first", team / "photos", run=tmp_path / "again", verbose=0)
    assert (found.verdict, found.run, named(found)) == ("bitwise equal", tmp_path / "again", [])
    assert all(one.then == one.now for one in found.metrics)
    files = [path / "model" / "model.safetensors" for path in (found.run, team / "first")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_package_that_changes_nothing_is_listed_as_without_effect(team):
    versions = {**read_lock(team / f"{NAME}.lock").versions, "pillow": "1.0"}
    relock(team, versions=versions)
    found = again(team)
    assert (found.verdict, named(found)) == ("bitwise equal", [])
    assert [one.name for one in found.explanation.without_effect] == ["package pillow"]


@pytest.mark.slow
def test_of_three_differences_the_two_that_decide_are_named(team):
    before = litter()
    change(team, "seed = 0", "seed = 3")
    change(team, 'description = ""', 'description = "another"')
    spoil(team / "photos" / "cat" / "000.png")
    shutil.copyfile(team / "photos" / "cat" / "002.png", team / "photos" / "cat" / "more.png")
    found = again(team)
    assert not found.holds
    # The images of then are still where the first team has them.
    assert {kind for kind, _ in named(found)} <= {"seed", "data"}
    assert ("seed", "recipe train.seed") in named(found)
    assert [one.name for one in found.explanation.without_effect][:1] == ["recipe description"]
    assert found.explanation.is_explained
    assert litter() == before


CHANGES = {
    "a seed": (lambda team: change(team, "seed = 0", "seed = 1"), [("seed", "recipe train.seed")]),
    "a key": (
        lambda team: change(team, "learning_rate = 0.001", "learning_rate = 0.01"),
        [("recipe", "recipe phases.head.learning_rate")],
    ),
    "precision": (
        lambda team: change(team, 'precision = "auto"', 'precision = "mixed_bfloat16"'),
        [("precision", "recipe train.precision")],
    ),
    "an image": (lambda team: spoil(team / "photos" / "cat" / "000.png"), [("data", "cat/000.png")]),
    "an image more": (
        lambda team: shutil.copyfile(team / "photos" / "cat" / "002.png", team / "photos" / "cat" / "x.png"),
        [("data", "cat/x.png")],
    ),
    "an image less": (lambda team: (team / "photos" / "cat" / "004.png").unlink(), [("data", "cat/004.png")]),
    "another class": (
        lambda team: (team / "photos" / "cat" / "000.png").rename(team / "photos" / "dog" / "000.png"),
        [("data", "dog/000.png")],
    ),
    "a bit of the weights": (lambda team: flip_a_bit(team / "begun.safetensors"), [("weights", "weights")]),
    "code": (
        lambda team: [relock(team, code={"zoo": "0" * 64}), flip_a_bit(team / "begun.safetensors")],
        [("weights", "weights"), ("code", "code of zoo")],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_the_one_that_was_changed_is_named(team, name):
    make, expected = CHANGES[name]
    make(team)
    found = again(team)
    assert found.verdict != "bitwise equal"
    assert named(found) == expected


@pytest.mark.slow
def test_a_whole_run_confirms_what_was_found_and_one_more_key_of_a_later_epoch(team, tmp_path):
    change(team, "seed = 0", "seed = 1")
    found = again(team, quick=False, run=tmp_path / "again")
    assert (named(found), found.is_confirmed) == ([("seed", "recipe train.seed")], True)
    assert found.run == tmp_path / "again"


@pytest.mark.slow
def test_a_key_that_acts_after_the_first_batches_is_found_by_whole_runs(tmp_path):
    photos = write_photos(tmp_path / "photos", count=16)
    recipe = tmp_path / "long.toml"
    text = tiny_recipe(batch_size=1).to_toml()
    recipe.write_text(text)
    run = zoo.finetune(recipe, photos, run=tmp_path / "run", verbose=0)
    (tmp_path / "long.lock").write_text(lock_runs(run.path).to_text())
    # 24 batches an epoch: the first 20 know nothing of it.
    recipe.write_text(text.replace("ema = 0.0", "ema = 0.5").replace('description = ""', 'description = "x"'))
    assert zoo.reproduce(recipe, photos, quick=True, verbose=0).verdict == "bitwise equal"
    found = zoo.reproduce(recipe, photos, run=tmp_path / "again", verbose=0)
    assert (named(found), found.is_confirmed) == ([("recipe", "recipe train.ema")], True)


REPRODUCE = (
    "import json, sys, zoo; print(json.dumps(zoo.reproduce(*sys.argv[1:3], quick=True, weights=sys.argv[3]).to_json()))"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({"TF_NUM_INTRAOP_THREADS": "5", "TF_NUM_INTEROP_THREADS": "5"}, "threads"),
        ({"KERAS_BACKEND": "jax"}, "backend"),
    ],
)
def test_another_number_of_threads_or_another_backend_is_put_back_in_a_process_of_its_own(team, variables, kind):
    printed = subprocess.run(
        [sys.executable, "-c", REPRODUCE, team / f"{NAME}.toml", team / "photos", team / "begun.safetensors"],
        env=environment(**variables, XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"]),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(printed)
    assert kind in [one["kind"] for one in found["differences"]]
    if found["verdict"] == "bitwise equal":  # so few images may come to the same bits
        assert kind == "threads"
    else:
        assert [one["kind"] for one in found["causes"]] == [kind]


def test_a_recipe_without_a_lock_and_one_that_was_never_run_are_refused(team):
    (team / f"{NAME}.lock").rename(team / "away.lock")
    with pytest.raises(NotFoundError, match=r"tiny\.lock: there is no lock of '.*tiny\.toml'; lock what"):
        again(team)
    (team / "away.lock").rename(team / f"{NAME}.lock")
    relock(team, expected=None)
    with pytest.raises(ContractError, match="does not say what the recipe came to"):
        again(team)


def test_a_lock_of_an_earlier_zoo_has_nothing_to_compare_quickly(team):
    relock(team, expected=replace(read_lock(team / f"{NAME}.lock").expected, first_losses=None))
    with pytest.raises(ContractError, match="leave out --quick"):
        again(team)


@pytest.mark.slow
def test_a_version_on_a_shelf_is_reproduced_by_another_team(team, tmp_path, monkeypatch):
    from zoo.sharing.publishing import compose
    from zoo.shelves.configured import add_shelf
    from zoo.shelves.shelf import open_shelf

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    made = compose(team / "first")
    open_shelf("vision").publish("tiny", made.files, made.metadata)
    quick = zoo.reproduce("vision/tiny", team / "photos", quick=True, verbose=0)
    whole = zoo.reproduce("vision/tiny", team / "photos", run=tmp_path / "again", verbose=0)
    assert (quick.verdict, whole.verdict) == ("bitwise equal", "bitwise equal")
    assert (quick.differences, whole.differences) == ((), ())


@pytest.mark.slow
def test_ctrl_c_while_a_child_computes_ends_both_and_leaves_nothing(team, tmp_path):
    started = subprocess.Popen(
        [sys.executable, "-c", REPRODUCE, team / f"{NAME}.toml", team / "photos", team / "begun.safetensors"],
        env=environment(KERAS_BACKEND="jax", TMPDIR=str(tmp_path), XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in started.stderr:
        if "trial 1" in line:
            break
    time.sleep(2)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode != 0
    assert "KeyboardInterrupt" in said
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


def test_ctrl_c_in_a_trial_ends_it_and_leaves_nothing(team, monkeypatch):
    before = litter()
    change(team, "seed = 0", "seed = 1")

    def interrupt(self, number, *_):
        if "trial" in str(number):
            raise KeyboardInterrupt

    from zoo.report.progress import SilentDisplay

    monkeypatch.setattr(SilentDisplay, "line", interrupt)
    with pytest.raises(KeyboardInterrupt):
        again(team)
    assert litter() == before
