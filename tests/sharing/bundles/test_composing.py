"""What goes into a bundle, and that equal inputs give equal bytes."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

import zoo
from tests.tiny import tiny_recipe
from zoo.errors import RecipeError, WeightsError
from zoo.recipe.loading import load_recipe
from zoo.sharing.bundles.composing import bundle_of_contents, contents_of, signed_bundle, signed_hashes
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf
from zoo.shelves.signatures import generate_key, load_private_key, read_signature, verify


def bundle(reference, **options):
    return bundle_of_contents(contents_of(reference, **options))


def content(made, name):
    one = made.files[name]
    return one.read_bytes() if isinstance(one, Path) else one


ALWAYS = {"README.md", "requirements.txt", "recipe.toml"}
OF_A_RUN = {"lock.json", "receipt.json", "metrics.jsonl", "model/card.json", "model/model.safetensors"}


def test_of_a_run_goes_all_that_repeats_it_and_its_model(trained):
    made = bundle(trained.run)
    assert set(made.files) == ALWAYS | OF_A_RUN
    assert content(made, "recipe.toml") == (trained.run / "recipe.toml").read_bytes()
    assert content(made, "model/model.safetensors") == (trained.run / "model" / "model.safetensors").read_bytes()
    document = made.document
    assert (document.name, document.metadata.model, document.origin) == ("tiny", "mnist_conv_tiny", None)
    assert document.weights.to_json() == {"model": "mnist_conv_tiny", "set": "none"}
    assert set(document.files) == set(made.files)


def test_the_model_of_a_run_can_be_left_out(trained):
    assert set(bundle(trained.run, model=False).files) == ALWAYS | OF_A_RUN - {
        "model/card.json",
        "model/model.safetensors",
    }


def test_the_same_run_gives_the_same_bytes_at_any_time(trained, tmp_path):
    for name in ("a.zip", "b.zip"):
        bundle(trained.run).write(tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_nothing_in_it_names_a_place_on_the_machine(trained, tmp_path):
    bundle(trained.run).write(tmp_path / "a.zip")
    written = (tmp_path / "a.zip").read_bytes()
    for place in (trained.run, trained.data, Path.home() / "x", Path(zoo.__file__).parents[1]):
        assert str(place).encode() not in written


def test_of_a_recipe_goes_what_it_extends_and_the_set_that_it_begins_with(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "finetune/linear-probe"\nname = "mine"\n[model]\nname = "efficientnet_lite0"\n')
    made = bundle(path)
    assert {"source/mine.toml", "source/named/finetune/linear-probe.toml"} <= set(made.files)
    assert content(made, "recipe.toml").decode() == load_recipe(path).to_toml()
    weights = made.document.weights
    (known,) = (one for one in zoo.info("efficientnet_lite0").weights if one.name == weights.set)
    assert weights.sha256 == made.document.files[weights.file].sha256 == known.sha256
    assert made.files[weights.file].stat().st_size == known.bytes


def test_a_set_that_comes_with_zoo_is_named_and_not_carried(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe().to_toml().replace('weights = "none"', 'weights = "mnist"'))
    weights = bundle(path).document.weights
    assert (weights.set, weights.file) == ("mnist", None)
    assert weights.sha256 == next(one.sha256 for one in zoo.info("mnist_conv_tiny").weights)


def test_weights_that_a_run_began_with_go_with_their_card(trained, trained_on):
    made = bundle(trained_on)
    assert made.document.weights.set == "given"
    assert made.document.weights.file == "weights"
    assert content(made, "weights/model.safetensors") == (trained.run / "model" / "model.safetensors").read_bytes()
    assert "weights/card.json" in made.files


def test_weights_that_are_no_longer_there_are_named(trained, tmp_path):
    first = shutil.copytree(trained.run, tmp_path / "first")
    second = zoo.finetune(tiny_recipe(), trained.data, run=tmp_path / "second", weights=first, verbose=0)
    first.rename(tmp_path / "gone")
    with pytest.raises(WeightsError, match="which are no longer there"):
        contents_of(second.path)


@pytest.fixture
def vision(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    return open_shelf("vision")


def test_a_version_goes_with_its_document_so_that_it_can_be_told_by_its_hash(vision, tmp_path):
    recipe = tiny_recipe().to_toml().encode()
    version = vision.publish("bands", {"recipe.toml": recipe}, {"model": "mnist_conv_tiny", "classes": 2})
    made = bundle("vision/bands")
    assert set(made.files) == ALWAYS | {"version.json"}
    assert content(made, "version.json") == version.text
    assert made.document.origin.to_json() == {"name": "bands", "version": 1, "sha256": version.sha256}
    assert made.document.metadata.classes == 2


def test_the_page_says_what_to_type(trained):
    page = content(bundle(trained.run), "README.md").decode()
    assert "zoo verify tiny.zip\n" in page
    assert "zoo finetune tiny.zip --data photos/\n" in page
    assert "zoo predict tiny/model photo.jpg" in page
    assert "zoo reproduce tiny.zip --data photos/ " in page
    assert "pip install" not in page  # without wheels


def test_a_signature_is_of_every_file_and_of_the_list_itself(trained, tmp_path):
    generate_key(tmp_path / "team.key")
    key = load_private_key(tmp_path / "team.key")
    signed = signed_bundle(bundle(trained.run), key)
    signature = read_signature(signed.signature)
    hashes = signed_hashes(signed.document, signed.sha256)
    assert set(hashes) == set(signed.files) | {"bundle.json"}
    assert verify(signature, hashes, trusted=[key.public_key()]) == signed.signed_by
    signed.write(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert json.loads(archive.read("signature.json"))["key"] == signed.signed_by


def test_a_recipe_that_names_its_module_by_a_path_is_refused(tmp_path):
    (tmp_path / "module").mkdir()
    path = tmp_path / "hub.toml"
    path.write_text('extends = "finetune/linear-probe"\nname = "hub"\n[model]\nname = "tfhub"\nhandle = "module"\n')
    with pytest.raises(RecipeError, match=r"model.handle is 'module'; expected one with its hash"):
        contents_of(path)


def test_a_bundle_of_a_bundle_is_refused(trained, tmp_path):
    bundle(trained.run).write(tmp_path / "a.zip")
    with pytest.raises(RecipeError, match=r"a.zip: is a bundle already; expected a RUN, a RECIPE or SHELF/NAME"):
        contents_of(tmp_path / "a.zip")


def test_the_runs_of_seeds_go_as_the_first_with_the_spread_of_all(trained_seeds):
    made = bundle(trained_seeds)
    assert json.loads(content(made, "lock.json"))["expected"]["runs"] == 2
    assert content(made, "model/card.json") == (trained_seeds / "seed-0" / "model" / "card.json").read_bytes()
