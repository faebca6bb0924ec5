"""`--trust-code`: every verb that refuses an untrusted SavedModel takes what its message says to add."""

import click
import pytest
import tomlkit

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
    "finetune RUN --run new",
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


def command_of(words):
    command = main.get_command(click.Context(main), words[0])
    return command.commands[words[1]] if isinstance(command, click.Group) else command


@pytest.mark.parametrize("typed_words", REFUSED)
def test_a_verb_that_says_add_trust_code_takes_it(typed, elsewhere, typed_words):
    words = typed_words.replace("RUN", "run").split()
    code, _, err = typed(*words)
    assert code == 1
    assert "add --trust-code to the command once" in err
    assert any("--trust-code" in option.opts for option in command_of(words).params)


def test_data_pack_runs_a_program_that_the_user_trusts(typed, elsewhere):
    code, out, err = typed("data", "pack", "hub.toml", "--data", "photos", "--trust-code")
    assert (code, out.splitlines()) == (0, ["train: 8 images of 16x16x3"]), err
