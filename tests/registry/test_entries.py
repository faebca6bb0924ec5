import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest

import zoo
from tests.tiny import phase, recipe, write_npz
from zoo import registry
from zoo.errors import NotFoundError, ZooError
from zoo.registry import Card, Entry, ShippedFile, Stage, WeightSet

REPOSITORY = Path(__file__).parents[2]
SEVEN = [
    "mnist_bigger",
    "mnist_pattern_pooling",
    "mnist_pattern_striding",
    "mnist_pooling",
    "mnist_simple",
    "mnist_striding",
    "mnist_striding_batchnorm",
]


def card(name="tiny_net", **changed):
    facts = {
        "family": "tiny",
        "description": "",
        "input_shape": (8, 8, 1),
        "classes": 2,
        "params": 130,
        "madds": 128,
        "stages": (Stage(name="head", last_layer="", layers=2, params=130),),
        "preprocessing": "none",
    }
    return Card(name=name, **(facts | changed))


def weight_set(name):
    return WeightSet(name=name, source=ShippedFile(file="x"), sha256="", bytes=0, licence="MIT", classes=("a", "b"))


@pytest.fixture
def entries(monkeypatch):
    """A registry that a test may add to; ours are loaded, plug-ins are looked for again."""
    registry.list_models()
    copy = dict(registry.entries._entries)
    monkeypatch.setattr(registry.entries, "_entries", copy)
    monkeypatch.setattr(registry.entries._loader, "_has_all", False)
    monkeypatch.setattr(registry.entries._loader, "left_out", [])
    return copy


def test_every_family_is_listed_in_order():
    names = zoo.list_models()
    assert names == sorted(set(names))
    assert {*SEVEN, "mnist_conv", "efficientnet_lite0", "efficientnet_lite4"} <= set(names)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("mnist_*", sorted([*SEVEN, "mnist_conv", "mnist_conv_fast", "mnist_conv_tiny"])),
        ("*striding", ["mnist_pattern_striding", "mnist_striding"]),
        ("efficientnet_lite[0-1]", ["efficientnet_lite0", "efficientnet_lite1"]),
        ("mnist_con?", ["mnist_conv"]),
        ("mnist_conv", ["mnist_conv"]),
        ("MNIST_CONV", ["mnist_conv"]),
        ("MNIST_con?", ["mnist_conv"]),
        (["mnist_conv", "conv1d*"], ["conv1d_small", "mnist_conv"]),
        ((), []),
        ("mnist", []),
    ],
)
def test_a_pattern_is_a_wildcard_of_the_whole_name(pattern, names):
    assert zoo.list_models(pattern) == names


def test_names_are_left_out_by_pattern():
    assert zoo.list_models("mnist_con*", exclude="*_TINY") == ["mnist_conv", "mnist_conv_fast"]
    assert zoo.list_models("conv?d_small", exclude=["conv1d*", "conv3d*"]) == ["conv2d_small"]


@pytest.mark.parametrize("pattern", [3, b"mnist*", ["mnist*", None], object])
def test_a_pattern_that_is_not_a_text_is_refused(pattern):
    with pytest.raises(ZooError, match=r"list_models: (pattern|exclude) is .* expected a wildcard such as"):
        zoo.list_models(pattern)
    with pytest.raises(ZooError, match=r"list_models: exclude is .* expected a wildcard such as"):
        zoo.list_models(exclude=pattern)


@pytest.mark.parametrize("name", [None, 3, b"mnist_conv", ["mnist_conv"]])
def test_a_name_that_is_not_a_text_is_refused(name):
    with pytest.raises(ZooError) as raised:
        zoo.info(name)
    assert str(raised.value) == (
        f"a model's name is {name!r}; expected a text such as 'efficientnet_lite0'; zoo.list_models() names all"
    )


def test_the_first_use_from_many_threads_finds_every_model():
    # In a process of its own: here everything is loaded already.
    code = """
import concurrent.futures, sys, threading, zoo
sys.setswitchinterval(1e-5)
together = threading.Barrier(16)
def first(number):
    together.wait()
    return zoo.info("mnist_conv").name if number % 2 else len(zoo.list_models())
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    found = list(pool.map(first, range(16)))
assert found == [len(zoo.list_models()), "mnist_conv"] * 8, found
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_plug_in_may_ask_for_the_list_while_it_loads(site):
    install(site, "zoo_plug_in_asks", "import zoo\nfound = zoo.list_models('mnist_conv')")
    assert "mnist_conv" in zoo.list_models()
    assert sys.modules["zoo_plug_in_asks"].found == ["mnist_conv"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("RESNET50", "resnet50"), ("MobileNetV2", "mobilenet_v2"), ("EfficientNetLite0", "efficientnet_lite0")],
)
def test_the_nearest_name_is_found_whatever_the_capitals(typed, meant):
    with pytest.raises(NotFoundError) as raised:
        registry.info(typed)
    assert str(raised.value) == f"Unknown model '{typed}'. Did you mean '{meant}'? See 'zoo list'."


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(NotFoundError) as raised:
        zoo.info("mnist_cnov")
    assert str(raised.value) == "Unknown model 'mnist_cnov'. Did you mean 'mnist_conv'? See 'zoo list'."


def test_a_name_far_from_all_offers_none():
    with pytest.raises(NotFoundError) as raised:
        registry.lookup("zzz")
    assert str(raised.value) == "Unknown model 'zzz'. See 'zoo list'."


def test_a_card_finds_its_weights():
    first, second = weight_set("imagenet"), weight_set("imagenet21k")
    of_two = card(weights=(first, second))
    assert of_two.weight_set("default") is first
    assert of_two.weight_set("imagenet21k") is second
    assert card().weight_set("default") is None


@pytest.mark.parametrize(
    ("weights", "asked", "text"),
    [
        (
            (weight_set("imagenet"), weight_set("places")),
            "imagnet",
            "Unknown weights 'imagnet' for model 'tiny_net'. Did you mean 'imagenet'? It has: imagenet, places.",
        ),
        (
            (),
            "imagenet",
            "Unknown weights 'imagenet' for model 'tiny_net'. It has: none: it is built with random weights.",
        ),
    ],
)
def test_unknown_weights_name_what_the_card_has(weights, asked, text):
    with pytest.raises(NotFoundError) as raised:
        card(weights=weights).weight_set(asked)
    assert str(raised.value) == text


def test_a_taken_name_is_refused_and_the_first_stays(entries):
    before = entries["mnist_conv"]
    with pytest.raises(ZooError) as raised:

        @zoo.register(card("mnist_conv"))
        def build(inputs, **settings): ...

    assert str(raised.value) == (
        "register: model 'mnist_conv' is already registered by zoo.architectures.mnist_conv; expected a new name"
    )
    assert entries["mnist_conv"] is before


def test_a_notebook_cell_may_register_its_model_again(entries):
    for _ in range(2):

        @zoo.register(card(), card("tiny_net2"))
        def build(inputs, **settings): ...

    assert entries["tiny_net"] == Entry(card(), build)
    assert zoo.list_models("tiny*") == ["tiny_net", "tiny_net2"]


# A plug-in as pip leaves it: a module, and its dist-info folder with entry points.
def install(site, name, source):
    (site / f"{name}.py").write_text(dedent(source))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zoo.architectures]\n{name} = {name}\n")


PLUG_IN = """
    from zoo.registry import Card, Stage, register

    @register(
        Card(
            name="{model}", family="plugged", description="", input_shape=(4, 4, 1), classes=2, params=34, madds=32,
            preprocessing="none", stages=(Stage(name="head", last_layer="", layers=3, params=34),),
        )
    )
    def build(inputs, *, card, classes, dropout):
        from keras import layers

        return layers.Dense(classes, name="classifier")(layers.Flatten(name="head_flatten")(inputs))
"""


@pytest.fixture
def site(tmp_path, monkeypatch, entries):
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in list(sys.modules):
        if module.startswith("zoo_plug_in_"):
            del sys.modules[module]


def test_an_installed_plug_in_is_found_and_built(site):
    install(site, "zoo_plug_in_good", PLUG_IN.format(model="plugged_net"))
    assert "plugged_net" in zoo.list_models()
    model = zoo.build("plugged_net")
    assert model.output_shape == (None, 2)
    # 16 pixels to 2 classes, and 2 biases.
    assert model.count_params() == 34 == zoo.info("plugged_net").params


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import zoo_no_such_module", "ModuleNotFoundError: No module named 'zoo_no_such_module'"),
        ("def", "SyntaxError: invalid syntax (zoo_plug_in_bad.py, line 1)"),
        (
            PLUG_IN.format(model="mnist_conv"),
            "ZooError: register: model 'mnist_conv' is already registered by zoo.architectures.mnist_conv; "
            "expected a new name",
        ),
    ],
    ids=["raises", "needs what is not here", "is not Python", "takes our name"],
)
def test_a_broken_plug_in_is_named_and_stops_nothing_else(site, source, fault):
    install(site, "zoo_plug_in_bad", source)
    install(site, "zoo_plug_in_good", PLUG_IN.format(model="plugged_net"))
    with pytest.warns(UserWarning) as caught:
        names = zoo.list_models()
    assert [str(warning.message) for warning in caught] == [
        f"plug-in 'zoo_plug_in_bad' (zoo_plug_in_bad) is left out: {fault}"
    ]
    assert {*SEVEN, "mnist_conv", "plugged_net"} <= set(names)
    # And again: who asks later is not to take what is left for all there is.
    with pytest.warns(UserWarning, match="plug-in 'zoo_plug_in_bad'"):
        assert zoo.list_models() == names
    with pytest.warns(UserWarning, match="plug-in 'zoo_plug_in_bad'"), pytest.raises(NotFoundError) as raised:
        zoo.info("zzz")
    assert str(raised.value) == (
        f"Unknown model 'zzz'. See 'zoo list'. plug-in 'zoo_plug_in_bad' (zoo_plug_in_bad) is left out: {fault}."
    )


def test_a_plug_in_that_fails_half_way_leaves_no_model(site):
    install(site, "zoo_plug_in_half", PLUG_IN.format(model="half_net") + "\n    1 / 0\n")
    with pytest.warns(UserWarning, match="plug-in 'zoo_plug_in_half' .* is left out: ZeroDivisionError"):
        assert "half_net" not in zoo.list_models()


# Runs in a process of its own, whose families are not loaded yet.
BROKEN_FAMILY = """
import warnings, sys
sys.modules["zoo.architectures.keras_applications"] = None  # as a damaged file: its import fails
import zoo
for call in (zoo.list_models, zoo.list_models, lambda: zoo.info("mnist_conv")):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    print([str(warning.message) for warning in caught])
try:
    zoo.info("resnet50")
except zoo.ZooError as fault:
    print(fault)
"""


def test_a_family_that_fails_is_named_at_each_call():
    command = [sys.executable, "-W", "ignore", "-c", BROKEN_FAMILY]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    left_out = (
        "family 'keras_applications' is left out: ModuleNotFoundError: import of zoo.architectures.keras_applications "
        "halted; None in sys.modules"
    )
    *calls, unknown = ended.stdout.splitlines()
    assert calls == [repr([left_out])] * 3
    assert unknown.endswith(f"See 'zoo list'. {left_out}.")


@pytest.mark.parametrize("name", ["", "two words", "a/b", "-x", "ü", "a\nb"])
def test_a_name_that_no_command_could_take_is_refused(name):
    with pytest.raises(ZooError) as raised:
        zoo.register(card(name))
    assert str(raised.value) == (
        f"register: a card's name is {name!r}; expected letters, digits, '_', '-' and '.', a letter or digit first"
    )


# Each thread asks for everything at once, in a process that has nothing loaded.
EIGHT_THREADS = """
import concurrent.futures, sys, threading, zoo
sys.setswitchinterval(1e-5)
together = threading.Barrier(8)
def all_at_once(run):
    together.wait()
    names = zoo.list_models()
    built = zoo.build("mnist_conv_tiny")
    loaded = zoo.load(run)
    weights = [[float(weight.numpy().sum()) for weight in model.weights] for model in (built, loaded.model)]
    return len(names), [layer.name for layer in built.layers], [weight.path for weight in built.weights], weights
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    first, *others = pool.map(all_at_once, [sys.argv[1]] * 8)
assert first[0] == len(zoo.list_models()), first[0]
assert all(other == first for other in others), [first, *others]
import keras
assert (keras.config.floatx(), keras.config.image_data_format()) == ("float32", "channels_last")
"""


@pytest.mark.slow
def test_eight_threads_list_build_and_load_the_same(tmp_path):
    data = write_npz(tmp_path / "data.npz", count=16)
    run = zoo.finetune(recipe(phase("all", "all", epochs=1), model="mnist_conv_tiny"), data, run=tmp_path / "run").path
    command = [sys.executable, "-c", EIGHT_THREADS, str(run)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_entry_points_of_other_groups_are_left_alone(entries, monkeypatch):
    asked = []
    monkeypatch.setattr(metadata, "entry_points", lambda **selection: asked.append(selection) or ())
    zoo.list_models()
    assert asked == [{"group": "zoo.architectures"}]


def test_a_script_registers_its_own_model(tmp_path, entries):
    script = tmp_path / "script.py"
    script.write_text(
        dedent(PLUG_IN.format(model="scripted_net")) + 'import zoo\nshape = zoo.build("scripted_net").output_shape\n'
    )
    assert runpy.run_path(str(script), run_name="__main__")["shape"] == (None, 2)


def test_a_script_that_takes_our_name_is_reported_where_it_does(tmp_path):
    # In a process of its own: nothing of ours is loaded before the script registers.
    script = tmp_path / "script.py"
    script.write_text(dedent(PLUG_IN.format(model="mnist_conv")))
    ended = subprocess.run([sys.executable, script], cwd=REPOSITORY, env={"PYTHONPATH": "."}, capture_output=True)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1] == (
        "zoo.errors.ZooError: register: model 'mnist_conv' is already registered by zoo.architectures.mnist_conv; "
        "expected a new name"
    )
