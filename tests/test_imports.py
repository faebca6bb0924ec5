import ast
import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import zoo
from tests.tiny import environment

REPOSITORY = Path(__file__).parents[1]
HEAVY = (
    "jax",
    "keras",
    "matplotlib",
    "numpy",
    "PIL",
    "pydantic",
    "rich",
    "safetensors",
    "tensorflow",
    "tomlkit",
    "jinja2",
)
PUBLIC = [
    "Card",
    "Classifier",
    "ContractError",
    "DataError",
    "Estimator",
    "Evaluation",
    "Export",
    "MissingWeightsError",
    "NotFoundError",
    "Prediction",
    "Protocol",
    "Recipe",
    "RecipeError",
    "Reproduction",
    "Run",
    "RunError",
    "Stage",
    "TrustError",
    "WeightSet",
    "WeightsError",
    "ZooError",
    "build",
    "evaluate",
    "export_run",
    "features",
    "finetune",
    "freeze",
    "info",
    "list_models",
    "load",
    "register",
    "reproduce",
    "stages",
    "trust",
    "unfreeze",
    "verify",
]


def modules_after(code):
    """Runs code in a fresh process; gives the names of the modules that it left imported."""
    printing = "import json, sys; print('\\n' + json.dumps(sorted(sys.modules)))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\n{printing}"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stdout.splitlines()[-1]))


def command(*arguments, code=0):
    return (
        "from zoo.cli import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        f"except SystemExit as end:\n    assert (end.code or 0) == {code}"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import zoo",
        "import zoo; assert zoo.list_models(); zoo.info('mnist_conv'); zoo.info('efficientnet_lite0')",
        "import zoo; zoo.ZooError; zoo.RunError; zoo.register; zoo.stages; zoo.freeze; zoo.unfreeze; dir(zoo)",
        "import zoo; zoo.Card; zoo.Stage; zoo.WeightSet; zoo.Protocol",
        command("list"),
        command("list", "--json"),
        command("show", "efficientnet_lite0"),
        command("--help"),
        command("finetune", "--help"),
        command("predict", "--help"),
        command("export", "--help"),
        command("recipe", "--help"),
        command("recipe", "ls"),
        command("weights", "ls"),
    ],
    ids=lambda code: code.replace("\n", " ")[:60],
)
def test_looking_around_imports_nothing_heavy(code):
    assert {module.partition(".")[0] for module in modules_after(code)}.isdisjoint(HEAVY)


OF_RECIPES = {"annotated_types", "pydantic", "pydantic_core", "tomlkit", "typing_extensions", "typing_inspection"}
# Every verb that neither trains nor builds a model, and the packages of others that it may import; what is not listed
# here costs a share of the 0.3 seconds that it may take.
PACKAGES = {
    "--help": set(),
    "help predict": set(),
    "export --help": set(),
    "serve --help": set(),
    "list": set(),
    "show resnet50": set(),
    "weights ls": set(),
    "weights verify mnist_conv": set(),
    "cache ls": set(),
    "cache clear packs": set(),
    "shelf ls": set(),
    "recipe ls": set(),
    "recipe keys": OF_RECIPES,
    "recipe show quickstart": OF_RECIPES,
    "recipe check quickstart": OF_RECIPES,
    "recipe schema": OF_RECIPES,
    "recipe diff quickstart finetune/default": OF_RECIPES,
    "doctor": {"PIL"},
    "data --help": set(),
}


def packages(modules):
    names = {module.partition(".")[0] for module in modules}
    return {name for name in names - set(sys.stdlib_module_names) if not name.startswith("_")} - {"zoo", "click"}


@pytest.mark.parametrize("words", PACKAGES)
def test_a_verb_imports_what_it_needs_and_no_more(words):
    assert packages(modules_after(command(*words.split()))) <= PACKAGES[words]


def test_a_run_is_verified_by_the_standard_library_alone(trained):
    assert packages(modules_after(command("verify", str(trained.run)))) == set()


def test_a_path_that_is_not_a_run_is_refused_without_loading_the_models():
    refused = command("evaluate", "runs/nix", code=1)
    assert "zoo.architectures" not in modules_after(refused)


def test_a_heavy_import_would_be_noticed():
    assert "numpy" in modules_after("import numpy")


def submodules():
    return [module.name for module in pkgutil.walk_packages(zoo.__path__, "zoo.")]


def test_every_submodule_imports():
    found = submodules()
    assert {"zoo.errors", "zoo.architectures.mnist_conv", "zoo.cli.training.finetune", "zoo.training.run"} <= set(found)
    for name in found:
        importlib.import_module(name)


def test_the_public_names_are_these():
    assert zoo.__all__ == PUBLIC
    assert dir(zoo) == PUBLIC
    assert set(zoo._HOMES) == set(PUBLIC)


def test_type_checkers_read_the_names_that_the_table_has():
    (block,) = [node for node in ast.parse(Path(zoo.__file__).read_text()).body if isinstance(node, ast.If)]
    # Only a name that is imported as itself is exported to them.
    imported = [(one.asname, (node.module, one.name)) for node in block.body for one in node.names]
    assert dict(imported) == {name: (module, name) for name, module in zoo._HOMES.items()}
    assert len(imported) == len(zoo._HOMES)


def test_every_error_is_public():
    def children(kind):
        return {kind.__name__}.union(*map(children, kind.__subclasses__()))

    ours = {name for name in children(zoo.errors.ZooError) if getattr(zoo.errors, name, None)}
    assert ours == {name for name in PUBLIC if name.endswith("Error")}


def test_what_is_imported_from_a_submodule_is_the_same():
    assert zoo.Card is zoo.registry.Card
    assert zoo.Protocol is zoo.registry.Protocol
    assert zoo.RunError is zoo.errors.RunError
    assert zoo.Classifier is importlib.import_module("zoo.inference.classifier").Classifier


def test_the_order_of_the_arguments_of_finetune_is_a_contract():
    assert list(inspect.signature(zoo.finetune).parameters) == [
        *("recipe_or_model", "data", "overrides", "run", "resume", "callbacks", "weights", "more_epochs", "verbose"),
        *("force", "devices"),
    ]


def test_every_public_name_resolves_after_every_submodule_is_imported():
    # In a fresh process: importing a submodule sets its name on the package, and would hide a function of that name.
    code = f"""
import importlib, types, zoo
for name in {submodules()}:
    importlib.import_module(name)
for _ in range(2):
    for name in zoo.__all__:
        value = getattr(zoo, name)
        assert not isinstance(value, types.ModuleType), name
        assert value.__module__ == zoo._HOMES[name], name
        assert value.__doc__ and callable(value), name
"""
    modules_after(code)


def test_no_public_name_is_a_submodules():
    assert {name.removeprefix("zoo.") for name in submodules()}.isdisjoint(PUBLIC)


def test_a_star_import_brings_the_public_names():
    namespace = {}
    exec("from zoo import *", namespace)
    assert set(PUBLIC) <= set(namespace)
    assert not [name for name in PUBLIC if isinstance(namespace[name], types.ModuleType)]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'biuld'"):
        zoo.biuld  # noqa: B018 - asking is the test


def test_the_first_model_in_a_script_prints_nothing_of_tensorflows_log():
    settings = {name: value for name, value in environment().items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    code = "import zoo; zoo.build('mnist_conv_tiny', weights=None)"
    ended = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_what_is_not_of_a_librarys_log_is_shown_after_the_start(capfd):
    from zoo.backend.quiet_start import descriptor_2_silenced

    with descriptor_2_silenced(all_of_it=False):
        os.write(2, b"I0000 00:00:1.2 3 port.cc:153] oneDNN\nspoken by the user\n")
    assert capfd.readouterr().err == "spoken by the user\n"
