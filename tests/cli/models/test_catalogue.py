import json
import subprocess
import sys
from dataclasses import replace

import click
import pytest
from click.testing import CliRunner

from zoo import registry
from zoo.cli.models.catalogue import list_models_command, short_count, show
from zoo.cli.models.where import parse_where
from zoo.errors import NotFoundError
from zoo.models import weights

LITE = [f"efficientnet_lite{number}" for number in range(5)]


def run(command, *arguments):
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def listed(*arguments):
    return [model["name"] for model in json.loads(run(list_models_command, *arguments, "--json"))["models"]]


def test_the_table(monkeypatch):
    monkeypatch.setattr(weights, "locate", lambda _: None)
    lines = run(list_models_command, "efficientnet_lite[03]").splitlines()
    assert lines[0].endswith("top-1")
    assert [line.rpartition("  ")[0].rstrip() for line in lines] == [
        "name                parameters  multiply-adds  input      stages  weights              licence",
        "efficientnet_lite0       4.69M           385M  224x224x3      10  imagenet (not here)  Apache-2.0",
        "efficientnet_lite3       8.27M          1.38G  280x280x3      10  -                    Apache-2.0",
    ]


def test_the_json_document():
    document = json.loads(run(list_models_command, "efficientnet_lite0", "--json"))
    assert list(document) == ["schema", "kind", "models"]
    assert (document["schema"], document["kind"]) == (1, "list")
    (model,) = document["models"]
    assert list(model) == [
        "name",
        "family",
        "params",
        "madds",
        "input_shape",
        "weights",
        "stages",
        "accuracy",
        "licence",
    ]
    assert model["input_shape"] == [224, 224, 3]
    assert model["weights"] == [{"name": "imagenet", "licence": "Apache-2.0", "bytes": 18_826_032, "available": True}]
    assert [stage["name"] for stage in model["stages"]] == [
        "stem",
        *(f"stage{n}" for n in range(1, 9)),
        "head",
    ]
    assert model["stages"][-1] == {"name": "head", "layers": 4, "params": 1_281_000}
    assert sum(stage["params"] for stage in model["stages"]) == model["params"]


def test_patterns():
    assert listed() == registry.list_models()
    assert listed("efficientnet_lite*") == LITE
    assert listed("net_lite") == LITE
    assert listed("efficientnet_lite1") == ["efficientnet_lite1"]
    assert listed("EfficientNet_Lite*") == listed("Net_Lite") == LITE
    assert listed("ResNet50") == ["resnet50"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            "efficientnet_l1te0",
            "No model matches 'efficientnet_l1te0'. Did you mean 'efficientnet_lite0'? See 'zoo list'.",
        ),
        ("zzz*", "No model matches 'zzz*'. See 'zoo list'."),
    ],
)
def test_a_pattern_that_matches_nothing(pattern, message):
    with pytest.raises(NotFoundError) as raised:
        run(list_models_command, pattern)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("params<6M", LITE[:2]),
        ("params<30M and weights=imagenet", LITE[:3]),
        ("weights!=imagenet", LITE[3:]),
        ("weights=none", LITE[3:]),
        ("madds > 1.3G", LITE[3:]),
        ("input>=240 and input<=280", LITE[1:4]),
        ("input=224", LITE[:1]),
        ("input!=224", LITE[1:]),
        ("params>=6150168 and params<=6150168", LITE[2:3]),
        ("name=*lite4", LITE[4:]),
        ("family=efficientnet_lite and params<13000k", LITE[:4]),
    ],
)
def test_where(expression, expected):
    assert listed("efficientnet_lite?", "--where", expression) == expected


def test_where_that_nothing_fulfils():
    with pytest.raises(NotFoundError, match=r"No model that matches 'lite' has params<1k\. See 'zoo list'\."):
        run(list_models_command, "lite", "--where", "params<1k")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("parms<3M", "'parms<3M': unknown key 'parms'. Did you mean 'params'? Known: params, madds,"),
        ("params<lots", "'params<lots': 'lots' is not a number; expected for example 224, 30M or 1.5G"),
        ("params<3M or input=224", "'params<3M or input=224' is not a comparison; expected for example params<30M"),
        ("params<3M and", "'' is not a comparison"),
        ("name<resnet", "'name<resnet': name is compared with = or !="),
        ("params=-3", "'-3' is not a number"),
        ("", "'' is not a comparison"),
    ],
)
def test_where_that_cannot_be_read(expression, message):
    result = CliRunner().invoke(list_models_command, ["--where", expression])
    assert result.exit_code == 2
    assert message in result.output
    with pytest.raises(click.UsageError):
        parse_where(expression)


def test_sort():
    assert listed("lite", "--sort", "-params") == LITE[::-1]
    assert listed("lite", "--sort", "madds") == LITE
    assert listed("lite", "--sort", "-input") == LITE[::-1]
    assert listed("vgg*", "--sort", "-accuracy") == ["vgg16", "vgg19"]  # 71.3 and 71.3 %, by the table of Keras
    assert listed("mobilenet*", "--where", "accuracy>=75") == ["mobilenet_v3_large"]
    assert CliRunner().invoke(list_models_command, ["--sort", "size"]).exit_code == 2


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (4_694_024, "4.69M"), (385_187_552, "385M"), (1_383_321_872, "1.38G")],
)
def test_short_count(number, text):
    assert short_count(number) == text


def test_show_prints_the_freeze_points():
    output = run(show, "efficientnet_lite0")
    assert "parameters        4,694,024" in output
    rows = [line.split() for line in output.splitlines()]
    # 1280 features to 1000 classes with bias; then the 320 to 1280 convolution with BatchNorm's four vectors.
    assert ["head", "4", "1,281,000", "1,281,000"] in rows
    assert ["stage8", "3", f"{320 * 1280 + 4 * 1280:,}", "1,695,720"] in rows
    assert ["stem", "4", "992", "4,694,024"] in rows


@pytest.mark.parametrize("count", [0, 1])
def test_show_prints_a_card_that_has_nothing_to_freeze(monkeypatch, count):
    card = registry.info("mnist_conv_tiny")
    few = replace(card, name="few_stages", stages=card.stages[len(card.stages) - count :])
    monkeypatch.setitem(registry.entries._entries, "few_stages", registry.Entry(few, lambda inputs, **_: inputs))
    assert "freezes the rest" not in run(show, "few_stages")


def test_show_as_json():
    document = json.loads(run(show, "efficientnet_lite2", "--json"))
    assert (document["schema"], document["kind"], document["name"]) == (1, "show", "efficientnet_lite2")
    assert {key: document[key] for key in ("preprocessing", "licence", "paper", "classes", "dropout", "options")} == {
        "preprocessing": "(pixels - 127) / 128",
        "licence": "Apache-2.0",
        "paper": "https://arxiv.org/abs/1905.11946",
        "classes": 1000,
        "dropout": 0.3,
        "options": {},
    }
    assert document["accuracy"]["top1"] == 77.6


def test_show_an_unknown_model():
    with pytest.raises(NotFoundError, match=r"Unknown model 'mnist_konv'\. Did you mean 'mnist_conv'"):
        run(show, "mnist_konv")


def test_neither_imports_a_numerical_library():
    heavy = ["numpy", "keras", "tensorflow", "jax", "pydantic", "rich", "safetensors"]
    script = f"""
import sys
from click.testing import CliRunner
from zoo.cli.models.catalogue import list_models_command, show
from zoo.cli.models.weights import weights
for command, arguments in [(list_models_command, []), (show, ["mnist_conv"]), (weights, ["ls"])]:
    assert CliRunner().invoke(command, arguments).exit_code == 0
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
