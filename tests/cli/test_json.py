"""`--json`: one document of a known kind, laid out alike, and nothing else on stdout."""

import json
import re
from pathlib import Path
from typing import get_args

import keras
import pytest

import zoo
from tests.cli.verbs import verbs
from tests.tiny import phase, recipe, write_photos
from zoo.cli.output import Kind
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf

ROOT = Path(__file__).parents[2]
# What is typed, and the kind of document that it prints. RUN stands for a finished run, FAILED for one
# in which a step has failed.
PRINTED = {
    "list mnist*": "list",
    "show mnist_conv": "show",
    "show nix": "error",
    "finetune tiny.toml --data photos --run a": "finetune",
    "finetune tiny.toml --data photos --run b --seeds 0,1": "finetune-seeds",
    "finetune FAILED --replay": "replay",
    "finetune tiny.toml --data photos --dry-run": "plan",
    "evaluate RUN": "evaluate",
    "reproduce RUN --quick": "reproduce",
    "verify RUN": "verify",
    "features mnist_conv_tiny photos --out x.npz": "features",
    "export RUN --to safetensors --out exported": "export",
    "data check photos": "data-check",
    "data check empty": "data-check",
    "data pack tiny.toml --data photos": "data-pack",
    "data preview tiny.toml --data photos --out x.png": "data-preview",
    "lr-find tiny.toml --data photos --steps 10 --out x.png": "lr-find",
    "weights ls": "weights",
    "cache ls": "cache",
    "recipe ls": "recipes",
    "recipe show tiny.toml": "recipe",
    "recipe check tiny.toml": "recipe-check",
    "recipe diff tiny.toml RUN": "recipe-diff",
    "recipe keys flip": "recipe-keys",
    "recipe new --data photos --model mnist_conv_tiny": "recipe-new",
    "recipe lock tiny.toml --data photos": "recipe-lock",
    "recipe push tiny.toml vision/tiny": "recipe-push",
    "recipe pull vision/pets": "recipe-pull",
    "bundle tiny.toml tiny.zip --no-hashes": "bundle",
    "shelf ls": "shelves",
    "shelf site vision public": "site",
    "doctor": "doctor",
}


class Offline(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise ValueError("the tracker is offline")


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(recipe(phase("head", "head", epochs=1)).to_toml())
    write_photos(tmp_path / "photos", count=8)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    open_shelf("vision").publish("pets", {"recipe.toml": tmp_path / "tiny.toml"}, {})
    return tmp_path


@pytest.mark.parametrize("words", PRINTED)
def test_a_verb_prints_one_document_of_its_kind_and_nothing_else(typed, desk, finished, words):
    if "FAILED" in words:
        with pytest.raises(ValueError, match="offline"):
            zoo.finetune("tiny.toml", "photos", run="FAILED", callbacks=Offline())
    _, out, err = typed(*(str(finished.run.path) if word == "RUN" else word for word in words.split()), "--json")
    document = json.loads(out)
    assert list(document)[:2] == ["schema", "kind"], err
    assert (document["schema"], document["kind"]) == (1, PRINTED[words])
    assert "refused" in document or documented_keys()[document["kind"]] <= set(document)
    assert out == json.dumps(document, ensure_ascii=False, indent=None if document["kind"] == "error" else 2) + "\n"


def test_predict_prints_lines_whose_errors_are_lines_too(typed, desk):
    _, out, _ = typed("predict", "mnist_conv_tiny", "photos", "gone.png", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 17
    assert list(lines[-1]) == ["path", "error"]
    _, out, _ = typed("predict", "nix", "photos", "--json")
    assert json.loads(out)["kind"] == "error"
    assert len(out.splitlines()) == 1


def test_every_verb_with_the_option_and_every_kind_is_tried_here():
    documented = {name for name, verb in verbs() if any("--json" in one.opts for one in verb.params)}
    tried = {" ".join(words.split()[: len(name.split())]) for words in PRINTED for name in documented}
    assert documented - tried == {"predict"}
    assert set(PRINTED.values()) == set(get_args(Kind))


def documented_keys():
    """Gives the keys that docs/json.md names for each kind, in its order."""
    page = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \|.*?\|(.*)\|$", page, re.MULTILINE)
    return {kind: set(re.findall(r"`(\w+)`", holds)) for kind, holds in rows}


def test_every_kind_is_spelt_with_hyphens_and_documented():
    assert list(documented_keys()) == list(get_args(Kind))
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", kind) for kind in get_args(Kind))
    assert all(documented_keys().values())


def test_the_option_says_the_same_everywhere():
    said = {one.help for name, verb in verbs() if name != "predict" for one in verb.params if "--json" in one.opts}
    assert said == {"Print a JSON document and nothing else."}
