import errno
import io
import itertools
import json
import math
import os
import re
import shutil
import signal
import sys
import time
import tomllib

import numpy as np
import pytest

import zoo
from tests.tiny import phase, recipe, record, start, write_photos
from zoo.runs import checkpoint
from zoo.runs.folder import RunFolder

MAIN = "import sys; from zoo.cli import main; main(sys.argv[1:])"


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """A working folder with a recipe and images in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(recipe(phase("head", "head", epochs=1)).to_toml())
    write_photos(tmp_path / "photos", count=8)
    return tmp_path


def test_the_last_line_on_stdout_is_the_runs_path(typed, desk):
    code, out, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "runs/a")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[-1] == "runs/a"
    assert lines[-2] == "next     zoo predict runs/a IMAGE"
    assert lines[-3] == "curves   runs/a/history.png"
    assert (desk / "runs" / "a" / "history.png").is_file()
    metrics = RunFolder.open(desk / "runs" / "a").record().result.metrics
    assert f"accuracy {100 * metrics['accuracy']:.1f} % of 4 validation images (95 % interval" in out
    assert "tiny: mnist_simple on 12 images of 2 classes, float32 on cpu, runs/a\n" in err
    assert "head 1/1  loss " in err
    assert "\x1b" not in out + err


def test_json_leaves_only_json_on_stdout(typed, desk):
    code, out, _ = typed("finetune", "tiny.toml", "--data", "photos", "--run", "a", "--json")
    document = json.loads(out)
    assert code == 0
    assert list(document) == ["schema", "kind", "run", "metrics", "phases", "split", "seconds"]
    assert document["split"] == "validation"
    assert (document["schema"], document["kind"], document["run"]) == (1, "finetune", "a")
    assert document["metrics"] == RunFolder.open(desk / "a").record().result.metrics
    assert [one["name"] for one in document["phases"]] == ["head"]


def test_json_says_what_a_command_took_its_time_for_and_the_steps_add_up(typed, desk):
    _, out, _ = typed("finetune", "tiny.toml", "--data", "photos", "--run", "a", "--json")
    seconds = json.loads(out)["seconds"]
    assert seconds == json.loads((desk / "a" / "run.json").read_text())["seconds"]
    total, phases = seconds.pop("total"), seconds.pop("phases")
    steps = [
        "imports",
        "opening",
        "hashing",
        "decoding",
        "build",
        "first_pass",
        "measuring",
        "curves",
        "writing",
        "other",
    ]
    assert list(seconds) == steps
    assert list(phases) == ["head"]
    assert min(seconds["decoding"], seconds["build"], seconds["measuring"], phases["head"]) > 0
    assert math.isclose(sum(seconds.values()) + sum(phases.values()), total, abs_tol=1e-6)


def test_a_run_that_is_finished_already_says_what_it_took_its_time_for_then(typed, desk):
    words = ("finetune", "tiny.toml", "--data", "photos", "--run", "a", "--json")
    first, again = (json.loads(typed(*words, *more)[1]) for more in ((), ("--resume",)))
    assert again["seconds"] == first["seconds"]


def test_a_dry_run_shows_the_recipe_and_the_freeze_table_and_makes_nothing(typed, desk):
    before = sorted(desk.rglob("*"))
    code, out, _ = typed(
        "finetune", "tiny.toml", "--data", "photos", "--dry-run", "--set", "train.seed=7", "--run", "runs/a"
    )
    assert code == 0
    shown, table = out.split('phase head (train = "head", 1 epochs)\n')
    expected = zoo.Recipe.load("tiny.toml", ["train.seed=7"])
    assert tomllib.loads(shown) == expected.to_dict()
    # stem: 5 x 5 x 32 + 32; head: 28 x 28 x 32 x 2 + 2.
    frozen, data = table.split("\n\n")
    assert [line.split() for line in frozen.splitlines()] == [
        ["stage", "layers", "params", "trainable", "state", "batchnorm", "rate"],
        ["stem", "2", "832", "0", "frozen", "-", "-"],
        ["head", "3", "50,178", "50,178", "trainable", "-", "0.001"],
    ]
    words = ["--set", "train.batch_size=auto", "--set", "train.precision=mixed_float16"]
    code, out, err = typed("finetune", "tiny.toml", "--data", "photos", "--dry-run", "--json", *words)
    document = json.loads(out)
    assert (document["schema"], document["kind"]) == (1, "plan")
    assert "warning: mixed_float16 on a CPU is several times slower than float32" in err.splitlines()
    assert document["recipe"]["train"]["batch_size"] == "auto"
    assert document["phases"][0]["plan"][1]["trainable_params"] == 50_178
    # A quarter of 8 of each class validates.
    assert data.splitlines()[0] == "data: 16 images of 2 classes"
    assert [line.split() for line in data.splitlines()[1:]] == [
        ["class", "train", "validation"],
        ["cat", "6", "2"],
        ["dog", "6", "2"],
        ["in", "all", "12", "4"],
    ]
    assert document["data"] == {
        "images": 16,
        "classes": ["cat", "dog"],
        "splits": {
            "train": {"images": 12, "per_class": {"cat": 6, "dog": 6}},
            "validation": {"images": 4, "per_class": {"cat": 2, "dog": 2}},
        },
    }
    assert sorted(desk.rglob("*")) == before


def test_a_run_can_be_repeated_and_resumed_when_it_is_done(typed, desk):
    assert typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")[0] == 0
    assert typed("finetune", "a", "--run", "b", "--data", "photos/")[0] == 0
    first, second = (RunFolder.open(desk / name).record().result.metrics for name in "ab")
    assert first == second
    code, out, _ = typed("finetune", "--run", "a", "--resume")
    assert code == 0
    assert out.splitlines()[-1] == "a"
    code, _, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")
    assert code == 1
    assert err == (
        "zoo: a: is there already; expected a new folder; choose another --run, "
        "or go on with it: zoo finetune --run a --resume\n"
    )


def refused(typed, *words, code=1):
    """Types a command that is refused: one message, nothing on stdout, no run."""
    found, out, err = typed("finetune", *words)
    assert (found, out) == (code, "")
    assert "Traceback" not in err
    assert err.startswith("zoo: ")
    return err.removeprefix("zoo: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["tiny.toml"],
            "recipe 'tiny' names no images; say where they are: --data PATH (a folder with a subfolder per class)",
        ),
        (
            ["tiny.toml", "--data", "fotos"],
            "fotos: there is no such file or folder; expected images; check --data",
        ),
        (
            ["mnist_simpel", "--data", "photos"],
            "'mnist_simpel' is not a recipe file, run folder, recipe or model. Did you mean 'mnist_simple'? "
            "See 'zoo recipe ls' and 'zoo list'.",
        ),
        (
            ["photos"],
            "'photos' is a folder, and not a run's (no run.json in it); images are given with --data photos, behind "
            "the name of a recipe or model. See 'zoo recipe ls' and 'zoo list'.",
        ),
        (["gone.toml"], "gone.toml: there is no such file. See 'zoo recipe ls'."),
        (["tinny.toml"], "tinny.toml: there is no such file. Did you mean 'tiny.toml'? See 'zoo recipe ls'."),
        (
            ["quickstart.toml"],
            "quickstart.toml: there is no such file. Did you mean 'quickstart'? See 'zoo recipe ls'.",
        ),
        (
            ["photos/cat/000.png"],
            "'photos/cat/000.png' is not a recipe; expected a .toml file or the name of a recipe",
        ),
        (
            ["tiny.toml", "--data", "photos", "--set", "model.name=mnist_simpel"],
            "--set model.name: model.name is \"mnist_simpel\"; unknown model. Did you mean 'mnist_simple'? "
            "See 'zoo list'.",
        ),
        (
            ["tiny.toml", "--data", "photos", "--set", "train.batchsize=8"],
            "--set train.batchsize: unknown key 'batchsize' in train. Did you mean 'batch_size'?",
        ),
        (
            ["tiny.toml", "--data", "photos", "--set", "model.weights=imagenet"],
            "--set model.weights: model.weights is \"imagenet\"; Unknown weights 'imagenet' for model 'mnist_simple'. "
            "It has: none: it is built with random weights.",
        ),
        (
            ["tiny.toml", "--data", "photos", "--set", "data.validation=test"],
            "data.validation is 'test'; the data has the splits train; "
            "expected one of them other than train, or a share such as 0.1",
        ),
        (
            ["--run", "gone", "--resume"],
            "gone: there is no run to go on with; name a recipe as well, and it begins afresh",
        ),
        (["tiny.toml", "--data", "photos", "--resume"], "--resume goes on with a run; say which with --run DIR"),
        (
            ["tiny.toml", "--data", "photos", "--run", "tiny.toml"],
            "tiny.toml: is a file; expected a new folder for the run; choose another --run",
        ),
        (
            ["tiny.toml", "--data", "photos", "--run", "photos"],
            "photos: is not empty; expected a new folder; choose another --run",
        ),
        (
            ["tiny.toml", "--data", "photos", "--run", "tiny.toml/run"],
            "tiny.toml/run: cannot be written (Not a directory); choose another folder with --run DIR",
        ),
        (
            ["tiny.toml", "--data", "tiny.toml"],
            "tiny.toml: is a file; expected a folder with one subfolder per class, or a file that ends in .csv, .tsv, "
            ".jsonl, .npz. Unpack it if it is an archive, and point --data at the folder.",
        ),
    ],
)
def test_what_a_message_says(typed, desk, words, message):
    assert refused(typed, *words) == message
    assert not (desk / "runs").exists() or list((desk / "runs").iterdir()) == []


def test_no_recipe_is_a_usage_error(typed):
    code, _, err = typed("finetune")
    assert code == 2
    assert "name a RECIPE, RUN or MODEL, or go on with a run: --run DIR --resume" in err


def test_three_faults_of_a_recipe_are_reported_at_once(typed, desk):
    text = (desk / "tiny.toml").read_text()
    text = text.replace("epochs = 1", "epochs = 0").replace("batch_size = 8", 'batch_size = "many"')
    (desk / "bad.toml").write_text(text.replace("keep = 2", "keeps = 2"))
    lines = refused(typed, "bad.toml", "--data", "photos").splitlines()
    assert len(lines) == 3
    assert all(line.removeprefix("zoo: ").startswith("bad.toml:") for line in lines)
    assert all(line.startswith("zoo: ") for line in lines[1:])  # `refused` took it off the first
    for part in (
        "epochs is 0; expected >= 1",
        'train.batch_size is "many"; expected',
        "unknown key 'keeps' in checkpoint",
    ):
        assert sum(part in line for line in lines) == 1


def test_an_empty_class_and_a_lone_class_are_refused(typed, desk):
    (desk / "photos" / "bird").mkdir()
    message = refused(typed, "tiny.toml", "--data", "photos")
    assert message.startswith("photos: no images in the class folders 'bird'; expected one or more in each.")
    write_photos(desk / "lone", classes=("cat",), count=3)
    assert refused(typed, "tiny.toml", "--data", "lone").startswith("lone: has one class only, 'cat'; expected two")


def test_a_validation_folder_with_other_classes_is_refused(typed, desk):
    write_photos(desk / "split" / "train")
    write_photos(desk / "split" / "val", classes=("cat", "wolf"))
    assert refused(typed, "tiny.toml", "--data", "split").startswith(
        "split: validation has classes that are not in train: 'wolf'"
    )


def test_a_few_images_leave_none_to_validate_on(typed, desk):
    write_photos(desk / "two", count=1)
    assert refused(typed, "tiny.toml", "--data", "two") == (
        "data.validation = 0.25 of 2 images leaves none to validate on; "
        "expected more images, or validation = 0 to train without"
    )


def test_a_file_that_is_not_an_image_is_skipped_and_named(typed, desk):
    (desk / "photos" / "cat" / "zzz.png").write_text("no image")
    code, out, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")
    assert (code, out.splitlines()[-1]) == (0, "a")
    assert "skipped: photos/cat/zzz.png: is a text, not an image" in err
    (skipped,) = RunFolder.open(desk / "a").record().data.skipped
    assert skipped.path == "photos/cat/zzz.png"
    # What is known of the model is said before its images are read.
    code, out, err = typed("finetune", "tiny.toml", "--data", "photos", "--set", "data.on_bad=stop", "--run", "b")
    assert (code, out) == (1, "")
    warned, message = err.splitlines()
    assert warned.startswith("warning: mnist_simple begins with random weights")
    assert message.startswith("zoo: photos/cat/zzz.png: is a text, not an image")
    for number in range(9):
        (desk / "photos" / "cat" / f"zz{number}.png").write_text("no image")
    code, out, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "c")
    assert (code, out) == (1, "")
    assert "cat/zz" in err.partition("\nzoo: ")[2]
    assert not (desk / "b").exists()
    assert not (desk / "c").exists()


def test_an_expectation_that_is_not_met_is_exit_code_3(typed, desk):
    words = ["--set", "phases.head.learning_rate=1e-9", "--set", "expect={value=1.0, tolerance=0.0}"]
    code, out, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "a", *words)
    assert (code, out) == (3, "")
    accuracy = RunFolder.open(desk / "a").record().result.metrics["accuracy"]
    assert err.splitlines()[-1] == (
        f"zoo: recipe 'tiny' expects val_accuracy 1.0 (tolerance 0.0); found {accuracy:.4f}"
    )


def test_a_broken_contract_is_exit_code_3(typed, desk, monkeypatch):
    from zoo.training.callbacks import guards

    def nudge_and_check(self):
        weight = self.model.get_layer("stem_1_conv").bias
        weight.assign(weight + 1)
        self._contract.check()

    monkeypatch.setattr(guards.ContractGuard, "on_train_batch_end", lambda self, *_, **__: nudge_and_check(self))
    code, _, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")
    assert code == 3
    assert err.splitlines()[-1].startswith("zoo: phase 'head': 1 tensors are frozen, yet moved: stem_1_conv/bias;")
    assert RunFolder.open(desk / "a").record().status == "failed"


def test_a_full_disk_is_one_line_and_leaves_nothing_that_seems_whole(typed, desk, monkeypatch):
    words = ["finetune", "tiny.toml", "--data", "photos", "--run", "a", "--set", "phases.head.epochs=2"]
    typed(*words[:4], "--run", "first")  # packs the photos, so that the counts below are of the run's files alone
    sync, room = os.fsync, 20  # files and folders that are synced before the disk is full

    def full(handle):
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    seen = set()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for before in itertools.chain((0, 1), itertools.count(2, 2)):  # a little more is freed before each new try
            room = before
            code, out, err = typed(*words, "--resume")
            if code == 0:
                break
            message = err.splitlines()[-1]
            assert (code, out) == (1, "")
            if message.startswith("zoo: a:"):
                reason = "cannot be written (No space left on device); choose another folder with --run DIR"
                assert message == f"zoo: a: {reason}"
                assert not [path for path in (desk / "a").rglob("*") if path.is_file()]
                continue
            assert message.startswith("zoo: a/")
            advice = "; free some space and go on with it: zoo finetune --run a --resume"
            is_begun = (desk / "a" / "recipe.toml").exists()
            kept = "; what was written whole before is kept" + (advice if is_begun else "")
            assert re.search(
                r": No space left on device( \([\d,]+ bytes needed, [\d,]+ free\))?" + re.escape(kept) + "$", message
            )
            assert "Traceback" not in err
            seen.add(message.split(":")[1].split("/")[1])
            if (desk / "a").exists():
                assert list((desk / "a").rglob(".*")) == []
                for found in checkpoint.checkpoints(desk / "a" / "checkpoints"):
                    assert found.model_arrays()
                    assert found.state_arrays()
            if (desk / "a" / "run.json").exists() and not (desk / "a" / "model" / "card.json").exists():
                code, _, err = typed("predict", "a", "photos")
                assert code == 1
                assert "zoo: a: the run holds no finished model (status " in err
    assert seen >= {"run.json", "recipe.toml", "metrics.jsonl", "checkpoints"}
    assert len(RunFolder.open(desk / "a").metrics()) == 2


@pytest.mark.parametrize(
    ("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "the system's SIGTERM"]
)
def test_an_interruption_has_its_exit_code_and_says_how_the_run_goes_on(typed, desk, sent, expected):
    process = start(
        MAIN, "finetune", "tiny.toml", "--data", "photos", "--run", "a", "--set", "phases.head.epochs=25", "--json"
    )
    metrics = desk / "a" / "metrics.jsonl"
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        if metrics.is_file() and len(metrics.read_text().splitlines()) > 1:
            break
        time.sleep(0.02)
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == expected, err
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert lines[-2:] == ["zoo: interrupted", "go on with it: zoo finetune --run a --resume"]
    # Nothing of the backend's, nor a traceback: our own lines only.
    assert {line.split()[0] for line in err.splitlines() if line} <= {
        *("packs", "warning:", "tiny:", "note:", "head:", "head", "go", "zoo:", "finishing")
    }, err
    assert err.count("finishing the step and saving; once more to exit at once\n") == 1
    record = RunFolder.open(desk / "a").record()
    by = "SIGTERM" if sent == signal.SIGTERM else "the user"
    assert (record.status, record.reason) == ("interrupted", f"interrupted by {by}")
    done = len(RunFolder.open(desk / "a").metrics())
    assert 2 <= done < 25
    code, _, err = typed("predict", "a", "photos")
    assert (code, err) == (
        1,
        "zoo: a: the run holds no finished model (status interrupted); go on with it: zoo finetune --run a --resume\n",
    )
    code, out, err = typed("finetune", "--run", "a", "--resume")
    assert (code, out.splitlines()[-1]) == (0, "a")
    assert sum(line.startswith("goes on ") for line in err.splitlines()) == 1
    assert [row["epoch"] for row in RunFolder.open(desk / "a").metrics()] == list(range(1, 26))


def test_seeds_are_runs_of_their_own_with_mean_and_spread(typed, desk):
    words = ("finetune", "tiny.toml", "--data", "photos", "--run", "runs/three", "--seeds", "0,1,2")
    code, out, _ = typed(*words, "--json")
    document = json.loads(out)
    assert (code, document["kind"], document["seeds"]) == (0, "finetune-seeds", [0, 1, 2])
    losses = [zoo.finetune(None, run=f"runs/three/seed-{seed}", resume=True).metrics["loss"] for seed in range(3)]
    assert document["metrics"]["loss"]["values"] == losses
    assert len(set(losses)) == 3
    assert document["metrics"]["loss"]["mean"] == pytest.approx(np.mean(losses))
    assert document["metrics"]["loss"]["deviation"] == pytest.approx(np.std(losses, ddof=1))
    # Typed again, the runs are there.
    code, out, _ = typed(*words)
    assert (code, out.splitlines()[-1]) == (0, "runs/three")
    # Shares in percent, as everywhere, and of what.
    accuracy = document["metrics"]["accuracy"]
    shown = [f"{100 * share:.1f}" for share in (accuracy["mean"], accuracy["deviation"], *accuracy["values"])]
    assert out.splitlines()[1].split() == ["accuracy", *(word for share in shown for word in (share, "%"))]
    assert out.splitlines()[-2] == "of 4 validation images"
    assert document["split"] == "validation"
    # Where nothing was begun, no folder is left.
    code, _, err = typed("finetune", "tiny.toml", "--data", "photos", "--seeds", "0", "--set", "data.validation=test")
    assert (code, [path.name for path in (desk / "runs").iterdir()]) == (1, ["three"]), err
    for wrong in ((*words[:-1], "0,x"), ("finetune", "--seeds", "0,1")):
        code, out, err = typed(*wrong)
        assert (code, out) == (2, ""), err


class Full(io.StringIO):
    """A stdout on a disk that is full."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["text", "JSON"])
def test_a_stdout_that_is_full_does_not_hide_that_the_run_is_finished(typed, desk, monkeypatch, more):
    assert typed("finetune", "tiny.toml", "--data", "photos", "--run", "runs/a")[0] == 0
    monkeypatch.setattr(sys, "stdout", Full())
    code, _, err = typed("finetune", "--run", "runs/a", "--resume", *more)
    assert (code, err.splitlines()[-1]) == (
        1,
        "zoo: standard output: No space left on device; the run is finished: runs/a",
    )
    assert typed("recipe", "ls")[2] == (
        "zoo: standard output: No space left on device; the rest of what it would show is lost\n"
    )


def interrupted_in_seed(monkeypatch, number):
    """Presses Ctrl-C in the run of one seed."""
    import zoo.training.run

    train = zoo.training.run.train

    def until(prepared, **named):
        if prepared.recipe.train.seed == number:
            named["folder"].write_record(record())
            named["folder"].recipe_path.write_text(prepared.asked.to_toml())
            raise KeyboardInterrupt
        return train(prepared, **named)

    monkeypatch.setattr(zoo.training.run, "train", until)


def test_interrupted_seeds_go_on_with_the_command_that_is_said_last(typed, desk, monkeypatch):
    words = (
        "finetune",
        "tiny.toml",
        "--data",
        "photos",
        "--set",
        "description=two words",
        "--seeds",
        "0,1",
        "--run",
        "runs/s",
    )
    with monkeypatch.context() as patched:
        interrupted_in_seed(patched, 1)
        code, out, err = typed(*words)
    assert (code, out) == (130, "")
    again = "zoo finetune tiny.toml --data photos --set 'description=two words' --seeds 0,1 --run runs/s"
    assert err.splitlines()[-2:] == ["zoo: interrupted", f"go on with all seeds: {again}"]
    assert "--resume" not in err
    for verb in (("evaluate",), ("finetune",), ("lr-find",), ("features", "photos", "--out", "x.npz")):
        code, out, err = typed(verb[0], "runs/s", *verb[1:])
        assert (code, out, err) == (
            1,
            "",
            "zoo: runs/s: is not a run folder; it holds runs seed-0, seed-1; name one, such as runs/s/seed-0\n",
        )
    code, out, err = typed("predict", "runs/s", "photos")
    assert (code, err.count("it holds runs seed-0, seed-1; name one")) == (1, 1)
    code, out, err = typed("finetune", "--run", "runs/s", "--resume")
    offered = "zoo finetune runs/s/seed-0 --run runs/s --seeds 0,1"
    assert (code, err) == (
        1,
        "zoo: runs/s: holds the runs of seeds, seed-0, seed-1, and is not a run; "
        f"go on with the seeds that you want: {offered}\n",
    )
    (desk / "runs" / "s" / "seed-1" / "run.json").unlink()
    (desk / "runs" / "s" / "seed-1" / "recipe.toml").unlink()
    code, out, err = typed(*offered.split()[1:])
    assert (code, out.splitlines()[-1]) == (0, "runs/s"), err
    seeds = [zoo.Recipe.load(f"runs/s/seed-{seed}/recipe.toml").train.seed for seed in (0, 1)]
    assert seeds == [0, 1]


def test_seeds_in_a_folder_named_by_the_time_go_on_there(typed, desk, monkeypatch):
    interrupted_in_seed(monkeypatch, 0)
    code, _, err = typed("finetune", "tiny.toml", "--data", "photos", "--seeds", "0,1")
    (around,) = (desk / "runs").iterdir()
    assert (code, err.splitlines()[-1]) == (
        130,
        f"go on with all seeds: zoo finetune tiny.toml --data photos --seeds 0,1 --run runs/{around.name}",
    )


# Runs among the images


def test_images_of_the_current_folder_are_trained_on_again_and_again(typed, desk, monkeypatch):
    monkeypatch.chdir(desk / "photos")
    for more in ((), ("--run", "here"), ("--run", "cat/run1")):
        code, _, err = typed("finetune", "../tiny.toml", "--data", ".", *more)
        assert code == 0, err
    assert zoo.load("cat/run1").classes == ("cat", "dog")
    code, out, _ = typed("data", "check", ".")
    assert code == 0
    assert ".: passed over what zoo or Python's tools have written, such as runs: 'cat/run1', 'here', 'runs'" in out


@pytest.mark.parametrize("more", [(), ("--seeds", "0,1"), ("--run", "new/deep/run")])
def test_data_that_is_refused_leaves_nothing_behind(typed, desk, more):
    shutil.rmtree(desk / "photos" / "dog")
    code, _, err = typed("finetune", "tiny.toml", "--data", "photos", *more)
    assert (code, "has one class only, 'cat'" in err) == (1, True)
    assert sorted(path.name for path in desk.iterdir()) == ["photos", "tiny.toml"]


def test_a_start_that_fails_later_leaves_no_empty_folders_behind(typed, desk):
    for image in (desk / "photos" / "dog").iterdir():
        image.write_bytes(b"broken")
    code, _, err = typed("finetune", "tiny.toml", "--data", "photos", "--run", "new/deep/run")
    assert (code, "cannot be read" in err) == (1, True)
    assert sorted(path.name for path in desk.iterdir()) == ["photos", "tiny.toml"]


def test_a_run_is_named_once_to_go_on_and_to_train_on(typed, desk):
    assert typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")[0] == 0
    code, out, err = typed("finetune", "a", "--resume")
    assert (code, out.splitlines()[-1], err) == (0, "a", "a is finished already\n")
    code, out, err = typed("finetune", "a", "--epochs", "+2", "--run", "b")
    assert (code, out.splitlines()[-1]) == (0, "b"), err
    assert len(RunFolder.open(desk / "b").metrics()) == 3
    assert len(RunFolder.open(desk / "a").metrics()) == 1
    for words, message in (
        (["a", "--epochs", "5"], "'5' is not a number of epochs to add; expected for example +5"),
        (["a", "--epochs", "+0"], "'+0' is not a number of epochs to add"),
        (["--epochs", "+1", "--run", "a", "--resume"], "--epochs +N needs the RUN to train on"),
    ):
        code, _, err = typed("finetune", *words)
        assert code == 2
        assert message in err
    code, _, err = typed("finetune", "tiny.toml", "--epochs", "+1")
    assert (code, err) == (
        1,
        "zoo: 'tiny.toml' is not a run that can be trained on; expected the folder of a finished run\n",
    )
    code, _, err = typed("finetune", "a", "--weights", "gone", "--run", "c")
    assert code == 1
    assert "gone: there is no such run or file of weights; check --weights" in err


def test_a_range_test_of_a_run_says_that_its_data_has_changed(typed, desk):
    assert typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")[0] == 0
    code, _, err = typed("lr-find", "a", "--steps", "10")
    assert (code, "the data is not what" in err) == (0, False)
    write_photos(desk / "photos", count=9, seed=3)
    code, _, err = typed("lr-find", "a", "--steps", "10")
    assert code == 0
    assert "warning: the data is not what a was trained on (fingerprint " in err


def test_features_of_a_run_count_the_images_that_it_was_trained_on(typed, desk):
    assert typed("finetune", "tiny.toml", "--data", "photos", "--run", "a")[0] == 0
    code, out, err = typed("features", "a", "photos", "--out", "f.npz", "--json")
    assert (code, json.loads(out)["trained_on"]) == (0, 12)
    assert err == "note: a was trained on 12 of these 16 images\n"
    code, out, err = typed("features", "mnist_conv", "photos", "--out", "g.npz", "--json")
    assert (code, json.loads(out)["trained_on"], err) == (0, 0, "")


@pytest.mark.parametrize(
    "words",
    [
        ("finetune", "tiny.toml", "--dry-run"),
        ("finetune", "tiny.toml"),
        ("data", "pack", "tiny.toml"),
        ("data", "preview", "tiny.toml"),
        ("lr-find", "tiny.toml", "--steps", "10"),
    ],
)
def test_every_command_says_how_the_folders_are_read(typed, desk, words):
    write_photos(desk / "kag" / "training_set", count=8)
    write_photos(desk / "kag" / "test_set", count=2, seed=1)
    code, _, err = typed(*words, "--data", "kag")
    assert code == 0, err
    assert " ".join(err.split()).count("warning: kag: reads 'training_set' as train, 'test_set' as test;") == 1
