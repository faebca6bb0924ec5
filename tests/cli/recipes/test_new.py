import os
import signal
import time

import pytest

from tests.tiny import start, write_photos
from zoo.cli.recipes.new import read_duration
from zoo.recipe.loading import load_recipe


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "My Photos", count=12)
    return tmp_path


def test_a_recipe_is_written_for_the_images_and_what_it_takes_is_said(typed, desk):
    (desk / "my-photos.toml").write_text("replaced by --force")
    words = ("--model", "mnist_conv_tiny", "--image-size", "40", "--force")
    code, out, err = typed("recipe", "new", "--data", "My Photos", *words)
    lines = out.splitlines()
    assert code == 0, err
    assert lines[0] == "model    mnist_conv_tiny at 40 pixels: 'head' 10 epochs, 'all' 20 epochs"
    assert lines[1] == "note     5 images validate: the accuracy's standard error is up to 22 points"
    assert lines[2].startswith("forecast ")
    assert lines[3:] == ["next     zoo finetune my-photos.toml --data 'My Photos/'", "my-photos.toml"]
    assert typed("recipe", "check", "my-photos.toml")[0] == 0
    recipe = load_recipe(desk / "my-photos.toml")
    assert (recipe.name, recipe.data.image_size) == ("my-photos", 40)


def test_a_file_that_is_there_is_replaced_by_force_only(typed, desk):
    (desk / "a.toml").write_text("mine")
    code, out, err = typed("recipe", "new", "--data", "My Photos", "--out", "a.toml")
    assert (code, out) == (1, "")
    assert err == "zoo: a.toml: is there already; choose another --out, or replace it with --force\n"
    assert (desk / "a.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--budget", "soon"], "'soon' is not a time; expected for example 90s, 10m or 1h30m"),
        (["--out", "no/a.toml"], "there is no folder 'no'"),
        (["--out", "a.yaml"], "'a.yaml' ends in .yaml; expected .toml"),
    ],
)
def test_a_wrong_option_is_refused(typed, desk, words, text):
    code, out, err = typed("recipe", "new", "--data", "My Photos", *words)
    assert (code, out) == (2, "")
    assert text in err


def test_images_have_to_be_named(typed, desk):
    code, _, err = typed("recipe", "new")
    assert (code, err.splitlines()[-1].partition(";")[0]) == (2, "Error: --data is missing")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5_400), ("1h 5s", 3_605), ("1.5m", 90), ("10", None), ("", None),
     ("0s", None), ("m", None), ("-5m", None), ("5m5", None)],
)  # fmt: skip
def test_times_are_read(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(desk):
    words = ["recipe", "new", "--data", "My Photos", "--model", "mnist_conv"]
    process = start(
        f"from zoo.cli import main; main({words})", XDG_CACHE_HOME=str(desk / "cache"), TMPDIR=str(desk / "tmp")
    )
    (desk / "tmp").mkdir()
    while not any((desk / "tmp").glob("zoo-timing-*/run/run.json")):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == (130, "zoo: interrupted")
    assert not (desk / "my-photos.toml").exists()
    assert list((desk / "tmp").glob("zoo-timing-*")) == []
