"""`--trust-code`: every verb that refuses an untrusted SavedModel takes what its message says to add."""

import click
import pytest
import tomlkit

from tests.cli.verbs import verbs
from tests.modules import module
from tests.tiny import phase, recipe, write_photos
from zoo.cli import main

# What is typed; RUN stands for a run of a tfhub model from another machine.
REFUSED = [
    "finetune hub.toml --data photos --run new",
    "finetune hub.toml --data photos --dry-run",
    "finetune hub.toml --data photos --seeds 0,1 --run new",
    "lr-find hub.toml --data photos --out x.png",
    "data pack hub.toml --data photos",
    "data preview hub.toml --data photos --out x.png",
    "evaluate RUN",
    "predict RUN photos",
    "features RUN photos --out x.npz",
    "export RUN --to saved_model",
    "serve RUN --port 0",
    "finetune RUN --run new",
    "recipe lock hub.toml --data photos",
    "reproduce RUN --data photos",
    "reproduce RUN --data photos --quick",
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A working folder with a recipe for a SavedModel that is not trusted, and a run that was made where it was."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        write_photos(folder / "photos", count=4)
        hub = recipe(phase("head", "head", epochs=1), model="tfhub").to_dict()
        hub["model"] |= {"weights": "default", "handle": "module"}
        (folder / "hub.toml").write_text(tomlkit.dumps(hub))
        (folder / "module").symlink_to(module())
        with pytest.raises(SystemExit) as left:
            main(["finetune", "hub.toml", "--data", "photos", "--run", "run", "--trust-code"])
        assert left.value.code == 0
    return folder


@pytest.fixture
def elsewhere(desk, tmp_path, monkeypatch):
    """Another machine: nothing is trusted there."""
    monkeypatch.chdir(desk)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_every_verb_on_a_recipe_or_a_run_takes_the_option_and_is_tried_here():
    taking, on_a_model = set(), set()
    for name, verb in verbs():
        if any("--trust-code" in one.opts for one in verb.params):
            taking.add(name)
        arguments = {one.name for one in verb.params if isinstance(one, click.Argument)}
        # One that takes images for what it names trains it.
        trains = {"reference", "data"} <= {one.name for one in verb.params}
        if trains or {"recipe", "run", "source", "sources"} & arguments:
            on_a_model.add(name)
    assert taking == on_a_model == {name for name in taking for words in REFUSED if words.startswith(f"{name} ")}
    assert len(taking) == 11


@pytest.mark.parametrize("typed_words", REFUSED)
def test_a_verb_that_says_add_trust_code_takes_it(typed, elsewhere, typed_words):
    words = typed_words.replace("RUN", "run").split()
    code, _, err = typed(*words)
    assert code == 1
    assert "add --trust-code to the command once" in err


def test_data_pack_runs_a_program_that_the_user_trusts(typed, elsewhere):
    code, out, err = typed("data", "pack", "hub.toml", "--data", "photos", "--trust-code")
    assert (code, out.splitlines()) == (0, ["train: 8 images of 16x16x3"]), err
