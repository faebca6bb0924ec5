from pathlib import Path

import pytest

from tests.recipe.conftest import VALID
from zoo.errors import NotFoundError, RecipeError
from zoo.recipe.loading import load_recipe


def message_of(reference, overrides=()):
    with pytest.raises(RecipeError) as caught:
        load_recipe(reference, overrides)
    return str(caught.value)


def test_three_errors_come_at_once_with_their_lines(write):
    path = write("""\
        name = "pets"
        [model]
        name = "mnist_conv"

        [train]
        batch_size = 0

        [[phases]]
        name = "head"
        train = "head"

        [[phases]]
        name = "all"
        learningrate = 1e-3
        learning_rate = -0.1
        train = "all"
        """)
    assert message_of(path).splitlines() == [
        'pets.toml:6: train.batch_size is 0; expected "auto" or >= 1',
        "pets.toml:14: unknown key 'learningrate' in phases[1]. Did you mean 'learning_rate'?",
        "pets.toml:15: phases[1].learning_rate is -0.1; expected > 0",
    ]


# A line put into [model], [data], [augment], [train], the phase or [checkpoint] -> what is said about it.
FAULTS = [
    ("model", "name = 3", "model.name is 3; expected text"),
    (
        "model",
        'name = "https://evil/x"',
        'model.name is "https://evil/x"; expected the name of a model, such as "resnet50"; '
        "a recipe cannot name code, a path or a URL",
    ),
    (
        "model",
        'weights = "/tmp/w.h5"',
        'model.weights is "/tmp/w.h5"; expected "default", "none" or the name of a set; '
        "a recipe cannot name a path or a URL",
    ),
    ("model", "dropout = 1", 'model.dropout is 1; expected "auto" or <= 0.999'),
    ("model", "dropout = true", 'model.dropout is true; expected "auto" or a number'),
    ("model", "options = 1", "model.options is 1; expected a table"),
    (
        "model",
        "options.a = [1]",
        "model.options.a is [1]; expected true or false, a whole number, a number or text",
    ),
    (
        "model",
        'handle = "/x"',
        'model.handle is "/x"; expected a relative path; a recipe names no place on a machine: '
        "pass it as --set model.handle=...",
    ),
    (
        "data",
        'source = "web"',
        'data.source is "web"; expected "folder", "csv", "jsonl", "npz", "idx", "builtin:NAME", "hf:NAME" '
        'or "tfds:NAME"',
    ),
    (
        "data",
        'source = "hf:"',
        'data.source is "hf:"; expected "folder", "csv", "jsonl", "npz", "idx", "builtin:NAME", '
        '"hf:NAME" or "tfds:NAME"',
    ),
    (
        "data",
        'path = "/home/me"',
        'data.path is "/home/me"; expected a relative path; a recipe names no place on a machine: pass it as --data',
    ),
    (
        "data",
        "path = 'C:\\photos'",
        'data.path is "C:\\\\photos"; expected a relative path; '
        "a recipe names no place on a machine: pass it as --data",
    ),
    (
        "data",
        'path = "a/../b"',
        "data.path is \"a/../b\"; expected a path without '..'; a recipe stays in its folder: pass others as --data",
    ),
    (
        "data",
        'path = "s3://b/k"',
        'data.path is "s3://b/k"; expected a relative path; a recipe cannot name a URL',
    ),
    ("data", "image_size = 224.0", "data.image_size is 224.0; expected a whole number"),
    ("data", "image_size = 9999", "data.image_size is 9999; expected <= 8192"),
    (
        "data",
        "validation = -0.1",
        "data.validation is -0.1; expected >= 0 or text",
    ),
    ("data", "crop_share = 0.0", "data.crop_share is 0.0; expected >= 0.1"),
    ("data", "crop_share = 87.5", "data.crop_share is 87.5; expected <= 1"),
    ("data", "crop_share = nan", "data.crop_share is NaN; expected a finite number"),
    ("data", 'interpolation = "nearest"', 'data.interpolation is "nearest"; expected "bilinear" or "bicubic"'),
    (
        "data",
        'crop_share = 0.9 # of a pad\nresize = "pad"',
        'data.crop_share is 0.9 with data.resize "pad", which cuts nothing off; expected 1.0',
    ),
    ("data", 'balance = "max"', 'data.balance is "max"; expected "none", "class_weight" or "sampler"'),
    (
        "augment",
        'policy = "autoaugment"',
        'augment.policy is "autoaugment"; expected "none", "randaugment", "augmix" or "trivial". '
        "Did you mean 'randaugment'?",
    ),
    ("augment", "crop = 1.0", "augment.crop is 1.0; expected <= 0.999"),
    ("augment", "rotation = nan", "augment.rotation is NaN; expected a finite number"),
    ("augment", "mixup = -0.2", "augment.mixup is -0.2; expected >= 0"),
    ("augment", "views = -1", "augment.views is -1; expected >= 0"),
    ("train", 'batch_size = "all"', 'train.batch_size is "all"; expected "auto" or a whole number'),
    (
        "train",
        'precision = "bf16"',
        'train.precision is "bf16"; expected "auto", "float32", "mixed_bfloat16" or "mixed_float16"',
    ),
    ("train", "seed = true", "train.seed is true; expected a whole number"),
    ("train", "seed = 4294967296", "train.seed is 4294967296; expected < 4294967296"),
    ("train", 'deterministic = "yes"', 'train.deterministic is "yes"; expected true or false'),
    (
        "train",
        'xla = "on"\ndeterministic = true',
        'train.xla is "on" with train.deterministic = true, which keeps XLA off; expected "auto" or "off"',
    ),
    ("train", "xla = true", 'train.xla is true; expected "auto", "on" or "off"'),
    (
        "train",
        'loss = "hinge"',
        'train.loss is "hinge"; expected "crossentropy", "focal", "kl_divergence" or "mean_squared_error"',
    ),
    ("train", 'label_smoothing = "0.1"', 'train.label_smoothing is "0.1"; expected a number'),
    (
        "train",
        'prefix_cache = "on"',
        'train.prefix_cache is "on"; expected "auto", "off" or "required"',
    ),
    ("train", "early_stopping = -1", "train.early_stopping is -1; expected >= 0"),
    ("train", "batchsize = 3", "unknown key 'batchsize' in train. Did you mean 'batch_size'?"),
    ("checkpoint", "zzz = 1", "unknown key 'zzz' in checkpoint. Known keys: every, keep, monitor."),
    ("checkpoint", "keep = 0", "checkpoint.keep is 0; expected >= 1"),
    (
        "checkpoint",
        'every = "often"',
        'checkpoint.every is "often"; expected "epoch", "epoch_end", a number of steps such as "200 steps" or a time '
        'such as "30s" or "5m"',
    ),
    ("checkpoint", 'monitor = "acc"', 'checkpoint.monitor is "acc"; expected "val_accuracy" or "val_loss"'),
    ("expect", "tolerance = 0.1", "required key 'value' is missing in expect; write value = 0.9"),
    ("[phases]", "epochs = 0", "phases[1].epochs is 0; expected >= 1"),
    ("[phases]", "warmup = 1.0", "phases[1].warmup is 1.0; expected <= 0.999"),
    ("[phases]", "layer_decay = 1.5", "phases[1].layer_decay is 1.5; expected <= 1"),
    (
        "[phases]",
        'optimizer = "lyon"',
        'phases[1].optimizer is "lyon"; expected "adamw", "adam", "sgd", "adamax", "adagrad", "adadelta", "rmsprop", '
        '"lion", "lamb", "muon" or "adafactor". Did you mean \'lion\'?',
    ),
    (
        "[phases]",
        'optimizer = "ftrl"',
        'phases[1].optimizer is "ftrl"; expected "adamw", "adam", "sgd", "adamax", "adagrad", "adadelta", "rmsprop", '
        '"lion", "lamb", "muon" or "adafactor". It is left out: it computes each weight anew from the gradients alone, '
        "so that pretrained ones are lost at once",
    ),
    (
        "[phases]",
        "optimizer_options = {beta1 = 0.9}",
        "phases[1].optimizer_options.beta1: optimizer 'adamw' has no such option. Did you mean 'beta_1'? "
        "It has: beta_1, beta_2, epsilon, amsgrad.",
    ),
    (
        "[phases]",
        "optimizer_options = {beta_1 = 1}",
        "phases[1].optimizer_options.beta_1 is 1; expected a number >= 0 and < 1",
    ),
    ("[phases]", "schedule_options = 3", "phases[1].schedule_options is 3; expected a table"),
    (
        "train",
        "loss_options = {gamma = 1.5}",
        "train.loss_options.gamma: loss 'crossentropy' has no such option. It has: none.",
    ),
    ("[phases]", 'train = ""', 'phases[1].train is ""; expected a text that is not empty'),
    (
        "[phases]",
        'name = "Top"',
        'phases[1].name is "Top"; expected lower-case letters, digits and \'_\', such as "head"',
    ),
    ("[phases]", 'name = "head"', 'phases[1].name is "head"; expected another name than phases[0]'),
]


@pytest.mark.parametrize(("section", "line", "text"), FAULTS, ids=[line for _, line, _ in FAULTS])
def test_a_fault_is_reported_with_its_line(write, section, line, text):
    others = VALID if section != "model" else VALID.replace('[model]\nname = "mnist_conv"\n', "")
    required = {"[phases]": {"name": "all", "train": "all"}, "model": {"name": "mnist_conv"}}.get(section, {})
    given = [f'{key} = "{value}"' for key, value in required.items() if not line.startswith(f"{key} =")]
    content = "\n".join([f"{others}[{section}]", line, *given])
    header = others.count("\n") + 1
    number = header if "is missing" in text else header + 1
    assert message_of(write(content)) == f"pets.toml:{number}: {text}"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "pets.toml:1: required key 'model' is missing"),
        (
            VALID + "[[phases]]\n",
            "pets.toml:7: required key 'name' is missing in phases[1]; write name = \"head\"\n"
            "pets.toml:7: required key 'train' is missing in phases[1]; write train = \"head\"",
        ),
        (
            VALID.replace("[[phases]]", "[phases]"),
            'pets.toml:4: phases is {"name": "head", "train": "head"}; expected a list of [[phases]] tables',
        ),
        (
            'phases = []\nname = "pets"\n[model]\nname = "m"',
            "pets.toml:1: phases is []; expected at least one",
        ),
        ("schema = 2\n" + VALID, "pets.toml:1: schema is 2; expected <= 1"),
        ("schema = true\n" + VALID, "pets.toml:1: schema is true; expected a whole number"),
        (VALID.replace("pets", "Pets!"), 'pets.toml:1: name is "Pets!"; expected lower-case letters, digits'),
        ("trian = 1\n" + VALID, "pets.toml:1: unknown key 'trian'. Did you mean 'train'?"),
        ('extend = "x"\n' + VALID, "pets.toml:1: unknown key 'extend'. Did you mean 'extends'?"),
        ("set = 1\n" + VALID, "pets.toml:1: set is not a table; expected [set]"),
        ("train = 1\n" + VALID, "pets.toml:1: train is 1; expected a table"),
        ("name = 'a'\nb 1\n", "pets.toml:2: not TOML at column 3: Expected '=' after a key"),
        ("name = 'a'\nb = '''x", "pets.toml:2: not TOML at the end of the file: Expected \"'''\""),
        (
            VALID + "train = 'all'\n",
            "pets.toml:7: not TOML at column 14: Cannot overwrite a value; expected each key and each [SECTION] once",
        ),
        (f"a = {'[' * 50_000}", "pets.toml:1: nests more than 32 keys and values in one another; expected a recipe"),
        (f"a = 1{'0' * 5_000}", "pets.toml:1: not TOML: Exceeds the limit (4300 digits)"),
    ],
)
def test_a_broken_file_is_reported(write, content, text):
    assert message_of(write(content)).startswith(text)


def test_a_file_that_is_too_large_is_not_read(write):
    path = write("#" * 1_000_001)
    assert message_of(path) == "pets.toml is larger than 1,000,000 bytes; expected a recipe"


def test_a_file_that_is_not_utf_8_is_reported(write):
    path = write("name = 1\n")
    Path(path).write_bytes(b"# ok\nname = '\xe9'\n")
    assert message_of(path) == "pets.toml:2: byte 13 is not UTF-8; expected text in UTF-8"


def test_an_unknown_recipe_is_not_found():
    with pytest.raises(NotFoundError, match="Did you mean 'finetune/full'"):
        load_recipe("finetune/ful")


BASE = """\
name = "base"
description = "The base."
[model]
name = "mnist_conv"
[model.options]
alpha = 0.5
[train]
batch_size = 16
seed = 1
[[phases]]
name = "head"
train = "head"
epochs = 1
[[phases]]
name = "all"
train = "all"
epochs = 2
"""


def test_a_child_merges_table_by_table(write):
    write(BASE, "base.toml")
    child = write("""\
        extends = "base.toml"
        name = "child"
        [model.options]
        beta = 2
        [train]
        seed = 7
        """)
    recipe = load_recipe(child)
    assert (recipe.name, recipe.description) == ("child", "The base.")
    assert recipe.model.options == {"alpha": 0.5, "beta": 2}
    assert (recipe.train.batch_size, recipe.train.seed) == (16, 7)
    assert [(phase.name, phase.epochs) for phase in recipe.phases] == [("head", 1), ("all", 2)]
    assert not {"extends", "set"} & recipe.to_dict().keys()


def test_the_phases_of_a_child_replace_the_whole_list(write):
    write(BASE, "base.toml")
    child = write('extends = "base.toml"\n[[phases]]\nname = "top"\ntrain = "last:2"\n')
    (phase,) = load_recipe(child).phases
    assert (phase.name, phase.epochs) == ("top", 5)  # the default, not the parent's 1


def test_later_parents_lie_over_earlier_ones(write):
    write(BASE, "base.toml")
    write("[train]\nseed = 2\nlabel_smoothing = 0.1\n", "parts/smooth.toml")
    write("[train]\nseed = 3\n", "parts/seed.toml")
    child = write('extends = ["base.toml", "parts/smooth.toml", "parts/seed.toml"]\nname = "child"\n')
    train = load_recipe(child).train
    assert (train.batch_size, train.seed, train.label_smoothing) == (16, 3, 0.1)


def test_a_recipe_can_be_reached_on_two_ways(write):
    write(BASE, "base.toml")
    write('extends = "base.toml"\n[train]\nseed = 2\n', "left.toml")
    write('extends = "base.toml"\n[train]\nlabel_smoothing = 0.1\n', "right.toml")
    train = load_recipe(write('extends = ["left.toml", "right.toml"]\n')).train
    assert (train.seed, train.label_smoothing) == (1, 0.1)  # right is resolved, so its base lies over left


def test_a_shipped_recipe_can_be_extended(write):
    child = write('extends = "quickstart"\nname = "mine"\n[set]\n"phases.head.epochs" = 1\n')
    recipe = load_recipe(child)
    assert (recipe.name, recipe.model.name) == ("mine", "mnist_conv")
    assert [(phase.name, phase.epochs) for phase in recipe.phases] == [("head", 1), ("all", 8)]


def test_tweaks_come_after_the_merge_and_the_command_line_last(write):
    write(BASE, "base.toml")
    child = write("""\
        extends = "base.toml"
        [train]
        seed = 7
        [set]
        "phases.head.epochs" = 3
        "phases.1.epochs" = 4
        "train.seed" = 8
        phases.all.warmup = 0.1
        """)
    recipe = load_recipe(child, ["phases.head.epochs=9"])
    assert [(phase.epochs, phase.warmup) for phase in recipe.phases] == [(9, 0.0), (4, 0.1)]
    assert recipe.train.seed == 8


def test_the_tweaks_of_a_parent_hold_in_its_child(write):
    write(BASE, "base.toml")
    write('extends = "base.toml"\n[set]\n"phases.head.epochs" = 3\n', "middle.toml")
    child = write('extends = "middle.toml"\nname = "child"\n')
    assert load_recipe(child).phases[0].epochs == 3


def test_a_fault_names_the_file_that_it_came_from(write):
    write(BASE.replace("seed = 1", "seed = -1").replace("epochs = 2", "epochs = 0"), "base.toml")
    child = write("""\
        extends = "base.toml"
        [train]
        batch_size = 0
        [set]
        "phases.head.epochs" = "many"
        "phases.tail.epochs" = 3
        """)
    assert message_of(child, ["phases.0.warmup=2"]).splitlines() == [
        "--set phases.0.warmup: phases[0].warmup is 2; expected <= 0.999",
        "base.toml:9: train.seed is -1; expected >= 0",
        "base.toml:17: phases[1].epochs is 0; expected >= 1",
        'pets.toml:3: train.batch_size is 0; expected "auto" or >= 1',
        'pets.toml:5: phases.head.epochs is "many"; expected a whole number',
        "pets.toml:6: no phase 'tail'; phases are head, all.",
    ]


@pytest.mark.parametrize(
    ("extends", "text"),
    [
        ('"quickstrat"', "Unknown recipe 'quickstrat'. Did you mean 'quickstart'? See 'zoo recipe ls'."),
        ('"gone.toml"', "gone.toml: there is no such file. See 'zoo recipe ls'."),
        ("3", "expected the name of a recipe, or a list of names"),
        ('"/x/base.toml"', "a recipe cannot name an absolute or '..' path; expected a file beside this one"),
        ('"../base.toml"', "a recipe cannot name an absolute or '..' path; expected a file beside this one"),
        (
            '"https://x/a.toml"',
            "a recipe cannot name a URL; expected a recipe's name or a file beside this one",
        ),
        ('"pets.toml"', "a circle of recipes, pets.toml -> pets.toml"),
    ],
)
def test_what_cannot_be_extended_is_reported(write, extends, text):
    path = write(f"# first line\nextends = {extends}\n{VALID}")
    assert message_of(path) == f"pets.toml:2: extends {extends}: {text}"


def test_every_parent_that_is_missing_is_reported(write):
    path = write(f'extends = ["a.toml", "b.toml"]\n{VALID}')
    assert message_of(path).splitlines() == [
        "pets.toml:1: extends \"a.toml\": a.toml: there is no such file. See 'zoo recipe ls'.",
        "pets.toml:1: extends \"b.toml\": b.toml: there is no such file. See 'zoo recipe ls'.",
    ]


def test_a_circle_is_reported_as_its_chain(write):
    write('extends = "b.toml"\n', "a.toml")
    write('extends = "sub/c.toml"\n', "b.toml")
    write('extends = "quickstart.toml"\n', "sub/c.toml")
    write('extends = "d.toml"\n', "sub/quickstart.toml")
    write('extends = "quickstart.toml"\n', "sub/d.toml")
    assert message_of("a.toml") == (
        'sub/d.toml:1: extends "quickstart.toml": '
        "a circle of recipes, sub/quickstart.toml -> sub/d.toml -> sub/quickstart.toml"
    )


def test_recipes_that_extend_too_deep_are_reported(write):
    for depth in range(12):
        write(f'extends = "r{depth + 1}.toml"\n', f"r{depth}.toml")
    assert message_of("r0.toml") == (
        'r8.toml:1: extends "r9.toml": more than 8 recipes deep, r0.toml -> r1.toml -> r2.toml -> r3.toml -> '
        "r4.toml -> r5.toml -> r6.toml -> r7.toml -> r8.toml -> r9.toml"
    )


def test_a_recipe_is_taken_as_it_is_and_checked_again(write):
    recipe = load_recipe(write(VALID))
    assert load_recipe(recipe) == recipe
    assert load_recipe(recipe, {"train.seed": 5}).train.seed == 5
    other = recipe.model_copy(update={"train": recipe.train.model_copy(update={"deterministic": True, "xla": "on"})})
    assert message_of(other) == (
        "Recipe 'pets': train.xla is \"on\" with train.deterministic = true, which keeps XLA off; "
        'expected "auto" or "off"'
    )
