"""What needs no TensorFlow is said before it loads: its import fails here, and every message still comes."""

import importlib.machinery
import json
import sys

import pytest

from tests.tiny import write_photos

HEAVY = ("keras", "tensorflow", "jax")
OURS = ("zoo.training.run", "zoo.training.preparation.preparing")


class Blocking:
    """Finds modules of these names, as installed ones are found, and fails when they are imported."""

    def find_spec(self, name, path=None, target=None):
        blocked = name in OURS or name.partition(".")[0] in HEAVY
        return importlib.machinery.ModuleSpec(name, self) if blocked else None

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is not to be imported here")

    def exec_module(self, module):
        raise NotImplementedError


@pytest.fixture
def without_keras(monkeypatch):
    """Imports fail as if Keras were not installed; modules of ours that have it would be imported anew."""
    for name in [name for name in sys.modules if name in OURS or name.partition(".")[0] in HEAVY]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Blocking(), *sys.meta_path])


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", count=1)
    (tmp_path / "pets.toml").write_text('name = "pets"\nextends = "finetune/default"\nmodel.name = "mnist_conv"\n')
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").touch()
    return tmp_path


STAGES = "The stages are stem, stage1, stage2, stage3, head; a selector is head, all, none, stage4, stage3+, last:2, "
STAGES += "layers:-20, params:30%, re:REGEX"
REFUSED = {
    "finetune nix --data photos": "'nix' is not a recipe file, run folder, recipe or model. See 'zoo recipe ls' and "
    "'zoo list'.",
    "finetune pets --data photos": "'pets' is not a recipe file, run folder, recipe or model. There is a file "
    "'pets.toml': type its ending too. See 'zoo recipe ls' and 'zoo list'.",
    "finetune pets.toml": "recipe 'pets' names no images; say where they are: --data PATH (a folder with a "
    "subfolder per class)",
    "finetune pets.toml --data fotos": "fotos: there is no such file or folder; expected images; check --data",
    "finetune pets.toml --data photos --run taken": "taken: is not empty; expected a new folder; choose another --run",
    "finetune pets.toml --data photos --resume": "--resume goes on with a run; say which with --run DIR",
    "finetune --resume --run gone": "gone: there is no run to go on with; name a recipe as well, and it begins afresh",
    "finetune pets.toml --data photos --set phases.tip.epochs=1": "--set phases.tip.epochs: no phase 'tip'; phases are "
    "head, top. Did you mean 'top'?",
    "finetune pets.toml --data photos --set train.batch_size=0": "--set train.batch_size: train.batch_size is 0; "
    'expected "auto" or >= 1',
    "finetune pets.toml --data photos --dry-run --set phases.top.train=stage9": "--set phases.top.train: "
    f"phases.top.train: selector 'stage9' matches nothing. Did you mean 'stage3'? {STAGES}",
    "finetune resnet50 --data photos --set model.weights=imagnet": '--set model.weights: model.weights is "imagnet"; '
    "Unknown weights 'imagnet' for model 'resnet50'. Did you mean 'imagenet'? It has: imagenet.",
    "finetune quickstart --seeds 0,1 --set model.name=mnist_con": '--set model.name: model.name is "mnist_con"; '
    "unknown model. Did you mean 'mnist_conv'? See 'zoo list'.",
    "evaluate photos": "photos: is not a run folder (no run.json in it); expected one that 'zoo finetune' left",
    "evaluate conv2d_small": "conv2d_small: is a model, not a run; fine-tune it first: zoo finetune conv2d_small "
    "--data PHOTOS",
    "evaluate mnist_conv": "mnist_conv: is a model, not a run; fine-tune it first: zoo finetune mnist_conv --data "
    "PHOTOS; or see which of its own classes it finds: zoo predict mnist_conv PHOTOS",
    "predict nix photos": "nix: not a run folder (no run.json in it) and not a model's name. See 'zoo list' for "
    "models.",
    "predict conv2d_small photos": "model 'conv2d_small' has no pretrained weights, and so no classes of its own; "
    "train it first: zoo finetune conv2d_small --data PHOTOS",
    "features photos photos --out x.npz": "photos: not a run folder (no run.json in it) and not a model's name; see "
    "'zoo list' for models",
    "features mnist_con photos --out x.npz": "Unknown model 'mnist_con'. Did you mean 'mnist_conv'? See 'zoo list'.",
    "features mnist_conv photos --at stage7 --out x.npz": "model 'mnist_conv' has no stage 'stage7' to take features "
    "at. Did you mean 'stage3'? It has: stem, stage1, stage2, stage3.",
    "features mnist_conv fotos gone.png --out x.npz": "fotos: there is no such file; expected an image; "
    "check the path\nzoo: gone.png: there is no such file; expected an image; check the path\n"
    "zoo: features: none of 2 files could be read; nothing was written",
    "finetune photos": "'photos' is a folder, and not a run's (no run.json in it); images are given with --data "
    "photos, behind the name of a recipe or model. See 'zoo recipe ls' and 'zoo list'.",
    "finetune ./petz.toml": "petz.toml: there is no such file. Did you mean 'pets.toml'? See 'zoo recipe ls'.",
    "finetune runs/nothing": "'runs/nothing' is not a recipe file, run folder, recipe or model. See 'zoo recipe ls' "
    "and 'zoo list'.",
    "lr-find nix --data photos": "'nix' is not a recipe file, run folder, recipe or model. See 'zoo recipe ls' and "
    "'zoo list'.",
    "lr-find pets.toml --data photos --phase tip": "recipe 'pets' has no phase 'tip'. Did you mean 'top'? It has: "
    "head, top.",
    "data preview pets.toml --data fotos": "fotos: there is no such file or folder; expected images; check --data",
    "recipe new --data fotos": "fotos: there is no such file or folder; expected images; check --data",
    "recipe new --data photos": "photos: 2 training images of 2 classes; expected 10 or more to fit a recipe to; add "
    "images, or take one that ships: 'zoo recipe ls'",
    "recipe new --data photos --out pets.toml": "pets.toml: is there already; choose another --out, or replace it with "
    "--force",
    "recipe new --data photos --model mnist_con": "Unknown model 'mnist_con'. Did you mean 'mnist_conv'? See "
    "'zoo list'.",
    "data pack nix.toml": "nix.toml: there is no such file. See 'zoo recipe ls'.",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_wrong_word_is_noticed_before_tensorflow_loads(typed, desk, without_keras, words):
    code, out, err = typed(*words.split())
    assert (code, out, err) == (1, "", f"zoo: {REFUSED[words]}\n")
    assert not (desk / "runs").exists()


def test_a_stage_that_a_run_does_not_have_is_noticed_before_tensorflow_loads(typed, desk, without_keras):
    (desk / "run" / "model").mkdir(parents=True)
    (desk / "run" / "run.json").touch()
    (desk / "run" / "model" / "card.json").write_text('{"architecture": "mnist_conv"}')
    code, out, err = typed("features", "run", "photos", "--at", "stage7", "--out", "x.npz")
    assert (code, out) == (1, "")
    assert err == (
        "zoo: model 'mnist_conv' has no stage 'stage7' to take features at. Did you mean 'stage3'? It has: stem, "
        "stage1, stage2, stage3.\n"
    )


def test_a_run_folder_that_holds_a_run_is_refused_with_a_line_that_can_be_pasted(typed, desk, without_keras):
    (desk / "my run").mkdir()
    for name in ("run.json", "recipe.toml"):
        (desk / "my run" / name).touch()
    _, _, err = typed("finetune", "pets.toml", "--data", "photos", "--run", "my run")
    assert err.endswith("or go on with it: zoo finetune --run 'my run' --resume\n")


def test_the_imports_are_really_blocked(typed, desk, without_keras):
    code, _, err = typed("finetune", "pets.toml", "--data", "photos")
    assert (code, "is not to be imported here" in err) == (1, True)


def test_weights_that_no_set_has_are_found_beside_a_wrong_option(typed, desk, without_keras):
    (desk / "wide.toml").write_text(
        """name = "wide"
extends = "finetune/default"
[model]
name = "resnet50"
weights = "imagnet"
options = {width = 2}
"""
    )
    code, _, err = typed("recipe", "check", "wide.toml")
    assert code == 3
    assert [line.split(": ")[:2] for line in err.splitlines()[:2]] == [
        [
            "wide.toml:5",
            "model.weights is \"imagnet\"; Unknown weights 'imagnet' for model 'resnet50'. Did you mean "
            "'imagenet'? It has",
        ],
        ["wide.toml:6", "model.options.width"],
    ]


def test_all_faults_of_all_kinds_are_found_at_once_with_file_and_line(typed, desk, without_keras):
    (desk / "bad.toml").write_text(
        """name = "bad"
extends = "finetune/default"
[model]
name = "mnist_conv"
weights = "imagenet"
[data]
source = "builtin:minst"
image_size = -3
[train]
batchsize = 8
[set]
"phases.head.train" = "last:x"
"phases.top.train" = "re:("
"phases.tip.epochs" = 2
"phases.top.epochs" = 0
"""
    )
    code, _, err = typed("recipe", "check", "bad.toml")
    assert code == 3
    lines = [line.split(": ")[0] for line in err.splitlines()]
    assert lines == [f"bad.toml:{line}" for line in (5, 7, 8, 10, 12, 13, 14, 15)] + ["zoo"]
    for part in (
        "model.weights is \"imagenet\"; Unknown weights 'imagenet' for model 'mnist_conv'. It has: mnist.",
        "data.source is \"builtin:minst\"; unknown data set. Did you mean 'builtin:mnist'?",
        "data.image_size is -3; expected >= 0",
        "phases.head.train: selector 'last:x' matches nothing.",
        "phases.top.train: selector 're:(': not a regular expression",
    ):
        assert part in err


@pytest.mark.parametrize(
    "selector", ["head", "all", "head,none", "stage1", "stage2+", "last:99", "layers:-20", "layers:5", "params:30%",
                 "params:0.5%", "re:conv", "!stem", "stem,stage1", "all, !stage1", "re:a:b"]
)  # fmt: skip
def test_selectors_that_a_model_takes_are_right(selector):
    from zoo.freezing.selectors import selector_fault

    assert selector_fault(selector, ["stem", "stage1", "stage2", "head"]) is None


@pytest.mark.parametrize(
    "selector", ["stage3", "stages1", "stage1-", "stage9+", "last:0", "last:-1", "layers:0", "layers:x", "params:30",
                 "params:0%", "head,stage7", "!stage7", "re;conv", "first:2", ",", "Head",
                 "none", "head,!head", "!all", "last:1,!head"]
)  # fmt: skip
def test_selectors_that_no_model_of_these_stages_takes_are_wrong(selector):
    from zoo.freezing.selectors import selector_fault

    assert selector_fault(selector, ["stem", "stage1", "stage2", "head"])


def test_an_image_size_below_the_models_smallest_is_found(typed, desk, without_keras):
    words = ["--data", "photos", "--set", "data.image_size=31", "--set", "model.options.alfa=1"]
    _, _, err = typed("finetune", "mobilenet", *words)
    assert err.splitlines() == [
        "zoo: --set data.image_size: data.image_size is 31; expected 32 or more, the smallest input of model "
        "'mobilenet'",
        "zoo: --set model.options.alfa: model.options.alfa: model 'mobilenet' has no such option. Did you mean "
        "'alpha'? It has: alpha.",
    ]


def test_options_are_compared_with_the_kind_of_their_default(typed, desk, without_keras):
    (desk / "half.toml").write_text(
        'name = "half"\nextends = "finetune/default"\n[model]\nname = "mobilenet_v2"\noptions = {alpha = "half"}\n'
    )
    code, out, _ = typed("recipe", "check", "half.toml", "--json")
    (found,) = json.loads(out)["recipes"]
    assert (code, found["errors"][0]) == (3, 'half.toml:5: model.options.alpha is "half"; expected a number')


def test_phases_as_tables_of_an_extending_recipe_point_to_set(typed, desk, without_keras):
    (desk / "top.toml").write_text('name = "top"\nextends = "finetune/default"\n[phases.top]\nepochs = 3\n')
    _, _, err = typed("recipe", "check", "top.toml")
    assert err.splitlines()[0].endswith('to change inherited phases write [set] and below it "phases.top.KEY" = ...')


def test_what_ships_passes_the_check(typed, without_keras):
    from zoo.recipe.finding import shipped_recipes

    names = shipped_recipes()
    code, out, err = typed("recipe", "check", *names)
    assert (code, err, len(out.splitlines())) == (0, "", len(names))
    assert len(names) > 20
