"""A recipe from a shelf or a bundle: what it needs is said first, nothing is fetched, and the run notes its origin."""

import hashlib
import json
import socket
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import zoo
from tests.modules import module
from tests.tiny import phase, recipe, tiny_recipe, write_photos
from zoo import registry
from zoo.errors import NotFoundError, RecipeError, TrustError, WeightsError
from zoo.foreign import saved_models
from zoo.jobs.resolving import make_job
from zoo.jobs.seeds import finetune_seeds
from zoo.models import downloads, weights
from zoo.recipe.schema import Recipe
from zoo.registry import Download
from zoo.runs.folder import RunFolder
from zoo.runs.record import OriginRecord
from zoo.sharing.bundles.composing import bundle_of_contents, contents_of
from zoo.sharing.publishing import compose
from zoo.shelves.configured import add_shelf
from zoo.shelves.shelf import open_shelf


@pytest.fixture
def vision(tmp_path, monkeypatch):
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", str(tmp_path / "shelf"))
    return open_shelf("vision")


@pytest.fixture
def no_network(monkeypatch):
    """Refuses every socket, and gives those that were asked for."""
    asked = []

    def refuse(*given, **more):
        asked.append(given)
        raise OSError("no network here")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    return asked


def bundled(reference, path, **metadata):
    made = bundle_of_contents(contents_of(reference))
    document = replace(made.document, metadata=replace(made.document.metadata, **metadata))
    replace(made, document=document).write(path)
    return path


def numbers(run):
    return (run / "model" / "model.safetensors").read_bytes()


def test_a_bundle_trains_to_the_same_bits_without_a_network(trained, tmp_path, fresh_cache, no_network):
    path = bundled(trained.run, tmp_path / "bands.zip")
    run = zoo.finetune(path, trained.data, run=tmp_path / "again", verbose=0)
    assert numbers(run.path) == numbers(trained.run)
    assert no_network == []


def test_a_run_from_a_bundle_notes_it(trained, tmp_path):
    path = bundled(trained.run, tmp_path / "bands.zip")
    sha256 = bundle_of_contents(contents_of(trained.run)).sha256
    run = zoo.finetune(path, trained.data, run=tmp_path / "again", verbose=0)
    assert json.loads((run.path / "run.json").read_text())["origin"] == {"name": "tiny", "sha256": sha256}
    repeated = zoo.finetune(run.path, run=tmp_path / "third", verbose=0)
    assert RunFolder(repeated.path).record().origin == OriginRecord(name="tiny", sha256=sha256)
    assert "parent" not in {name for name, value in compose(run.path).metadata.items() if value is not None}


def test_a_run_from_a_shelf_notes_the_version_and_is_pushed_with_its_parent(trained, vision, tmp_path):
    made = compose(trained.run)
    version = vision.publish("bands", made.files, made.metadata)
    run = zoo.finetune("vision/bands", trained.data, run=tmp_path / "again", verbose=0)
    assert json.loads((run.path / "run.json").read_text())["origin"] == {
        "name": "bands",
        "version": 1,
        "sha256": version.sha256,
    }
    assert compose(run.path).metadata["parent"] == f"bands@sha256:{version.sha256}"


def test_a_bundle_of_a_version_leads_back_to_it_and_so_does_one_of_a_run_from_it(trained, vision, tmp_path):
    made = compose(trained.run)
    version = vision.publish("bands", made.files, made.metadata)
    job = make_job(bundled("vision/bands", tmp_path / "a.zip"), trained.data)
    assert job.origin.published == f"bands@sha256:{version.sha256}"
    assert compose(tmp_path / "a.zip").metadata["parent"] == job.origin.published
    run = zoo.finetune(tmp_path / "a.zip", trained.data, run=tmp_path / "again", verbose=0)
    job = make_job(bundled(run.path, tmp_path / "b.zip"), trained.data)
    assert (job.origin.version, job.origin.published) == (None, f"bands@sha256:{version.sha256}")


def test_a_run_of_a_file_or_a_name_notes_no_origin(trained):
    assert make_job(trained.recipe, trained.data).origin is None
    assert make_job("mnist_conv_tiny", trained.data).origin is None


def test_what_a_version_needs_is_said_before_it_is_loaded(trained, vision, capsys):
    made = compose(trained.run)
    needs = {"packages": {"numpy": np.__version__, "pillow": "1.0", "nowhere-plug-in": "2.1"}}
    vision.publish("bands", made.files, {**made.metadata, **needs, "modules": ["sha256:" + "a" * 64]})
    make_job("vision/bands", trained.data)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"needs module sha256:{'a' * 64} (a program): add --trust-code to let it run"
    assert f"needs package numpy=={np.__version__}: is installed" in said
    assert any(line.startswith("needs package pillow==1.0: here is ") for line in said)
    assert "needs package nowhere-plug-in==2.1: is not installed" in said


def test_the_runs_of_seeds_are_of_one_version_and_what_it_needs_is_said_once(trained, vision, tmp_path, capsys):
    made = compose(trained.run)
    metadata = {**made.metadata, "packages": {"pillow": "1.0", "nowhere-plug-in": "2.1"}}
    vision.publish("bands", made.files, metadata)

    def others_push():
        vision.publish("bands", made.files, metadata)

    train = partial(finetune_seeds, "vision/bands", data=trained.data, run=tmp_path / "runs", load=others_push)
    runs = train([0, 1])
    assert len(vision.versions("bands")) == 3
    assert [RunFolder(run.path).record().origin.version for run in runs.values()] == [1, 1]
    assert capsys.readouterr().err.count("needs package") == 2
    train([0, 1])  # goes on with runs that are finished
    assert capsys.readouterr().err.count("needs package") == 2


def test_a_plug_in_that_is_missing_is_named_with_how_to_install_it(vision, trained, tmp_path, capsys):
    files = {"recipe.toml": tiny_recipe().to_toml().replace("mnist_conv_tiny", "acme_net").encode()}
    vision.publish("acme", files, {"packages": {"acme-nets": "2.1"}})
    with pytest.raises(RecipeError) as caught:
        make_job("vision/acme", trained.data)
    assert str(caught.value).startswith(
        "vision/acme: needs acme-nets==2.1, which is not installed; pip install acme-nets==2.1 ("
    )
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == "needs package acme-nets==2.1: is not installed\n"


def test_what_a_bundle_needs_is_said_too(trained, tmp_path, capsys):
    make_job(bundled(trained.run, tmp_path / "a.zip", packages={"acme-nets": "2.1"}), trained.data)
    assert capsys.readouterr().err == "needs package acme-nets==2.1: is not installed\n"


def test_a_hostile_need_is_one_line_without_controls_and_many_are_counted(trained, tmp_path, capsys):
    packages = {f"a{number}\x1b[2J\nfake: line": "1" for number in range(50)}
    make_job(bundled(trained.run, tmp_path / "a.zip", packages=packages), trained.data)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 21
    assert said[-1] == "needs 30 more"
    assert all(line.startswith("needs ") and "\x1b" not in line for line in said)


def test_weights_of_a_package_that_is_not_installed_come_from_the_bundle(tmp_path, trained, fresh_cache, monkeypatch):
    recipe = tmp_path / "lite.toml"
    recipe.write_text('extends = "finetune/linear-probe"\nname = "lite"\n[model]\nname = "efficientnet_lite0"\n')
    path = bundled(recipe, tmp_path / "lite.zip")
    (known,) = zoo.info("efficientnet_lite0").weights

    def missing(package):
        raise weights.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(weights.metadata, "distribution", missing)  # as on a machine without it
    assert weights.locate(known) is None
    make_job(path, trained.data)
    assert weights.locate(known) == fresh_cache / "weights/packages" / known.source.package / weights.locate(known).name
    weights.verify(known, weights.locate(known), "efficientnet_lite0")


@pytest.fixture
def downloaded(monkeypatch, fresh_cache):
    """The set of a small net as one that is downloaded, and was; gives a way to say what its publisher vouches for."""
    registry.list_models()
    entries = dict(registry.entries._entries)
    monkeypatch.setattr(registry.entries, "_entries", entries)
    entry = entries["mnist_conv_tiny"]
    (known,) = entry.card.weights
    content = weights.locate(known).read_bytes()

    def published(**facts):
        source = Download(url=f"https://example.org/{'-'.join(facts) or 'first-use'}.safetensors")
        changed = replace(known, source=source, **({"sha256": "", "bytes": None} | facts))
        entries["mnist_conv_tiny"] = replace(entry, card=replace(entry.card, weights=(changed,)))
        path = downloads.cached_path(source)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        pin = {"url": source.url, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        path.with_name(f"{path.name}.pin.json").write_text(json.dumps(pin))
        return changed

    published.content = content
    return published


@pytest.mark.parametrize("is_known", [True, False])
def test_a_set_that_would_be_downloaded_comes_from_the_bundle(
    trained, tmp_path, monkeypatch, no_network, downloaded, capsys, is_known
):
    facts = {"md5": hashlib.md5(downloaded.content).hexdigest()} if is_known else {}
    one = downloaded(**facts)
    made = recipe(phase("head", "head", epochs=1), model="mnist_conv_tiny", train={"deterministic": True}).to_dict()
    made["model"]["weights"] = "mnist"
    first = zoo.finetune(Recipe.model_validate(made), trained.data, run=tmp_path / "first", verbose=0)
    path = bundled(first.path, tmp_path / "a.zip")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert weights.locate(one) is None
    capsys.readouterr()
    again = zoo.finetune(path, trained.data, run=tmp_path / "again", verbose=0)
    assert numbers(again.path) == numbers(first.path)
    assert no_network == []
    digest = hashlib.sha256(downloaded.content).hexdigest()
    said = (
        f"needs weights 'mnist' of mnist_conv_tiny as the bundle has them (SHA-256 {digest[:12]}...): their publisher "
        "gives no hash to compare\n"
    )
    assert capsys.readouterr().err == ("" if is_known else said)
    assert downloads.is_cached(one.source) is is_known


def test_a_file_that_is_not_the_publishers_is_refused(trained, tmp_path, monkeypatch, downloaded):
    one = downloaded(md5=hashlib.md5(downloaded.content).hexdigest())
    (tmp_path / "tiny.toml").write_text(trained.recipe.read_text().replace('weights = "none"', 'weights = "mnist"'))
    path = bundled(tmp_path / "tiny.toml", tmp_path / "a.zip")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    entries = registry.entries._entries
    entry = entries["mnist_conv_tiny"]
    other = replace(one, md5="0" * 32)  # as the card of this machine's zoo has it
    entries["mnist_conv_tiny"] = replace(entry, card=replace(entry.card, weights=(other,)))
    with pytest.raises(WeightsError, match=r"is not the set 'mnist' of the card: its hash is \w+, expected 000"):
        make_job(path, trained.data)
    assert not downloads.is_cached(other.source)


@pytest.mark.slow
def test_a_module_comes_from_the_bundle_and_still_has_to_be_trusted(
    trained, tmp_path, monkeypatch, fresh_cache, capsys
):
    handle = saved_models.fetch(str(module())).handle
    text = f'extends = "finetune/linear-probe"\nname = "hub"\n[model]\nname = "tfhub"\nhandle = "{handle}"\n'
    (tmp_path / "hub.toml").write_text(text)
    path = bundled(tmp_path / "hub.toml", tmp_path / "hub.zip")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(NotFoundError):
        saved_models.fetch(handle)
    with pytest.raises(TrustError):
        zoo.finetune(path, write_photos(tmp_path / "photos", count=4), run=tmp_path / "run", verbose=0)
    assert saved_models.fetch(handle).handle == handle
    assert f"needs module {handle} (a program): add --trust-code to let it run\n" in capsys.readouterr().err


def test_weights_that_the_bundled_run_began_with_are_begun_with_again(trained, trained_on, tmp_path, no_network):
    path = bundled(trained_on, tmp_path / "a.zip")
    again = zoo.finetune(path, trained.data, run=tmp_path / "again", verbose=0)
    assert numbers(again.path) == numbers(trained_on)
    begun = RunFolder(again.path).record().weights
    assert begun.sha256 == RunFolder(trained_on).record().weights.sha256
    other = make_job(path, trained.data, ["model.weights=mnist"])
    assert other.weights is None


def test_a_run_from_a_bundle_is_resumed_with_it(trained, tmp_path):
    path = bundled(trained.run, tmp_path / "a.zip")
    run = zoo.finetune(path, trained.data, run=tmp_path / "run", verbose=0)
    again = zoo.finetune(path, trained.data, run=tmp_path / "run", resume=True, verbose=0)
    assert again.path == run.path


def test_an_archive_of_images_is_still_no_recipe(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat/1.png", b"...")
    with pytest.raises(RecipeError, match=r"photos.zip' is not a recipe; .*images are given with --data"):
        make_job(tmp_path / "photos.zip")
