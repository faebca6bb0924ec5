"""A recipe is run again as it was, or with one thing changed by hand: the verdict, and the one that is named."""

import json
import os
import re
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
from tests.tiny import environment, phase, recipe, tiny_recipe, write_photos
from zoo.data.images.index import contents as contents_of
from zoo.errors import NotFoundError, RunError
from zoo.sharing.locks.lock import read_lock
from zoo.sharing.locks.making import lock_runs
from zoo.sharing.reproduction.workplaces import PREFIX

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


@pytest.fixture
def litter(tmp_path, monkeypatch):
    """Lists what is left in a folder for temporary files that nobody else uses."""
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "own"))
    return lambda: [path.name for path in (tmp_path / "own").iterdir() if path.name.startswith(PREFIX)]


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
def test_of_three_differences_the_two_that_decide_are_named(team, litter):
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
    assert litter() == []


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


@pytest.mark.slow
def test_another_engine_is_put_back_in_a_process_of_its_own(tmp_path, monkeypatch):
    photos = write_photos(tmp_path / "photos", count=20)
    # Steps so large that losses show the last digits of activations.
    head = phase("head", "head", learning_rate=3, batchnorm="frozen")
    plan = recipe(head, model="mnist_conv", train={"prefix_cache": "required"})
    monkeypatch.setenv("ZOO_ENGINE", "openvino")
    run = zoo.finetune(plan, photos, run=tmp_path / "run", verbose=0)
    monkeypatch.setenv("ZOO_ENGINE", "keras")
    found = zoo.reproduce(run.path, photos, quick=True, verbose=0)
    assert [(one.kind, one.then, one.now) for one in found.differences] == [("engine", run.record["engine"], "keras")]
    assert (found.verdict, named(found)) == ("within tolerance", [("engine", "engine")])


def test_a_recipe_without_a_lock_and_one_that_was_never_run_are_refused(team):
    (team / f"{NAME}.lock").rename(team / "away.lock")
    with pytest.raises(NotFoundError, match=r"tiny\.lock: there is no lock of '.*tiny\.toml'; lock what"):
        again(team)
    (team / "away.lock").rename(team / f"{NAME}.lock")
    relock(team, expected=None)
    with pytest.raises(RunError, match="does not say what the recipe came to"):
        again(team)


def test_nobody_is_told_to_write_a_lock_into_the_package_or_the_cache():
    with pytest.raises(NotFoundError, match=r"^quickstart: has no lock; expected a RUN, or what was pushed or bundled"):
        zoo.reproduce("quickstart")


def test_a_lock_of_an_earlier_zoo_has_nothing_to_compare_quickly(team):
    relock(team, expected=replace(read_lock(team / f"{NAME}.lock").expected, first_losses=None))
    with pytest.raises(RunError, match="leave out --quick"):
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


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(what, process):
    for _ in range(1_200):
        if found := what():
            return found
        assert process.poll() is None, "it ended"
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


@pytest.fixture
def own_packs(made, fresh_cache):
    """The packs of a cache that knows the files of the first team, and nothing else."""
    for kind in ("files", "packs", "activations"):
        (fresh_cache / kind).mkdir(parents=True)
    contents_of(sorted((made / "photos").rglob("*.png")))
    return fresh_cache / "packs"


@pytest.fixture
def reproducing(team, tmp_path):
    """Begins the command in a process, with a folder for what is temporary; tells what it says, and ends it."""
    temporary, said = tmp_path / "temporary", tmp_path / "said.txt"
    temporary.mkdir()
    typed = [team / f"{NAME}.toml", "--data", team / "photos", "--weights", team / "begun.safetensors"]
    begun = []

    def begin(*options, **variables):
        with said.open("w") as file:
            begun.append(
                subprocess.Popen(
                    [sys.executable, "-c", "import zoo.cli; zoo.cli.main()", "reproduce", *typed, *options],
                    env=environment(TMPDIR=str(temporary), XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"], **variables),
                    stdout=subprocess.DEVNULL,
                    stderr=file,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                )
            )
        return begun[-1], said, temporary

    yield begin
    for one in begun:
        one.kill()
        one.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code", "options"),
    [(signal.SIGTERM, 143, ["--quick"]), (signal.SIGINT, 130, ["--run", "again"])],
    ids=["quick", "whole"],
)
def test_a_signal_while_it_trains_ends_it_with_one_line(team, tmp_path, reproducing, monkeypatch, options, sent, code):
    monkeypatch.chdir(tmp_path)
    before = contents(team)
    process, said, temporary = reproducing(*options)
    wait_for(lambda: re.search("trains the first batches|tiny: ", said.read_text()), process)
    process.send_signal(sent)
    assert process.wait(60) == code
    lines = said.read_text().splitlines()
    then = lines[lines.index("zoo: interrupted") + 1 :]
    # As it is also of a run that has just begun.
    assert then in ([], *([] if "--quick" in options else [["go on with it: zoo finetune --run again --resume"]]))
    assert "Traceback" not in said.read_text()
    assert list(temporary.iterdir()) == []
    assert contents(team) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["Ctrl-C", "SIGTERM", "kill"],
)
def test_a_signal_while_a_child_computes_ends_both_and_leaves_nothing(team, reproducing, own_packs, sent, code):
    spoil(team / "photos" / "cat" / "000.png")  # put back, its images are another pack
    before = contents(team)
    process, said, temporary = reproducing("--quick", TF_NUM_INTRAOP_THREADS="5", TF_NUM_INTEROP_THREADS="5")
    (child,) = wait_for(lambda: "trial 1 " in said.read_text() and children(process.pid), process)
    known = {path.name for path in own_packs.iterdir()}
    wait_for(lambda: {path.name for path in own_packs.iterdir()} - known, process)
    process.send_signal(sent)
    assert process.wait(60) == code
    wait_for_end(child)
    assert {path.name for path in own_packs.iterdir()} == known
    if sent != signal.SIGKILL:
        lines = said.read_text().splitlines()
        then = lines[lines.index("zoo: interrupted") + 1 :]
        assert re.fullmatch(r"so far: .+; differs: data: cat/000\.png in train .+; threads: \d+, now 5", *then)
        assert list(temporary.iterdir()) == []
    assert contents(team) == before


def wait_for_end(pid):
    for _ in range(1_200):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} is alive")


@pytest.mark.slow
def test_trials_leave_no_more_in_the_cache_than_a_run_does(team, own_packs, tmp_path):
    spoil(team / "photos" / "cat" / "000.png")
    zoo.finetune(team / f"{NAME}.toml", team / "photos", run=tmp_path / "made", verbose=0)
    kept = sorted(path.name for kind in (own_packs, own_packs.parent / "activations") for path in kind.iterdir())
    found = again(team)
    assert named(found) == [("data", "cat/000.png")]
    now = [path.name for kind in (own_packs, own_packs.parent / "activations") for path in kind.iterdir()]
    assert sorted(now) == kept


def test_ctrl_c_in_a_trial_ends_it_and_leaves_nothing(team, monkeypatch, litter):
    change(team, "seed = 0", "seed = 1")

    def interrupt(self, line):
        if line.startswith("trial "):
            raise KeyboardInterrupt

    from zoo.report.progress import SilentDisplay

    monkeypatch.setattr(SilentDisplay, "line", interrupt)
    with pytest.raises(KeyboardInterrupt) as raised:
        again(team)
    (note,) = raised.value.__notes__
    assert note.startswith("so far: does not hold; differs: recipe train.seed: 0, now 1")
    assert litter() == []
