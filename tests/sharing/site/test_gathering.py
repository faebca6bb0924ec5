"""From real shelves in folders to what their pages show."""

import json

import pytest

import zoo
from tests.sharing.made import VERSIONS, make_receipt, sha256
from zoo.errors import ContractError
from zoo.recipe.loading import load_recipe
from zoo.runs.record import BestRecord, ContractRecord, PhaseRecord
from zoo.sharing.publishing import compose
from zoo.sharing.site.contents import Change, ClassFigures, Metric, Parent, Phase
from zoo.sharing.site.gathering import faults_of, gather, public_address
from zoo.sharing.site.pages import pages_of
from zoo.shelves.configured import add_shelf
from zoo.shelves.places.opening import checked_url
from zoo.shelves.shelf import open_shelf
from zoo.shelves.signatures import generate_key, load_private_key, sign, signature_document

RECIPE = load_recipe("finetune/lp-ft").to_toml().encode()
CURVES = b'{"phase": "head", "epoch": 1, "step": 6, "loss": 1.5, "val_accuracy": 0.5, "accuracy": NaN}\n' * 2
METADATA = {"model": "mnist_conv_tiny", "description": "Cats and dogs.", "metrics": {"accuracy": 0.75}}


@pytest.fixture
def vision(tmp_path, monkeypatch):
    """The shelf `vision` in a folder, with nothing on it."""
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    monkeypatch.setattr("zoo.shelves.shelf.AGAIN_SECONDS", 0.0)
    (tmp_path / "shelf").mkdir()
    add_shelf("vision", checked_url(str(tmp_path / "shelf")))
    return open_shelf("vision")


def run_files(recipe=RECIPE, **changes):
    """The files of a version that was pushed from a run."""
    hashes = {"recipe.toml": sha256(recipe), "metrics.jsonl": sha256(CURVES)}
    receipt = make_receipt(sha256=hashes, **changes)
    return {"recipe.toml": recipe, "metrics.jsonl": CURVES, "receipt.json": receipt.to_text().encode()}


def only(shelf):
    ((version,),) = [recipe.versions for recipe in gather(shelf).recipes]
    return version


def object_of(tmp_path, content):
    digest = sha256(content)
    return tmp_path / "shelf" / "objects" / "sha256" / digest[:2] / digest


def test_a_version_of_a_run_shows_what_its_receipt_says(vision):
    phase = PhaseRecord(
        name="head",
        train="head",
        batchnorm="frozen",
        trainable_params=123,
        plan=(),
        contract=ContractRecord(frozen_tensors=55, trained_tensors=2, unchanged=("a/bias",)),
    )
    kept = BestRecord(step=6, figures={"val_accuracy": 0.5})
    pushed = vision.publish("pets", run_files(phases=(phase,), kept=kept), {**METADATA, "metrics": {"accuracy": 0.99}})
    version = only(vision)
    assert (version.digest, version.published) == (pushed.sha256, pushed.document.published)
    # What the receipt proves, and not what the list claims.
    assert version.metrics == {"accuracy": Metric(value=0.75, interval=(0.3, 0.95))}
    assert (version.data.name, version.data.classes) == ("folder · 2 classes · cccccccc", ("cat", "dog"))
    details = version.read()
    assert details.toml == RECIPE.decode() and details.parent is None
    receipt = details.receipt
    assert receipt.phases == (
        Phase(
            name="head",
            train="head",
            batchnorm="frozen",
            trainable_params=123,
            frozen_tensors=55,
            trained_tensors=2,
            unchanged=("a/bias",),
        ),
    )
    assert receipt.per_class[0] == ClassFigures(name="cat", images=None, precision=None, recall=1.0, f1=None)
    assert receipt.hardware["Threads"] == "2" and receipt.packages == {**VERSIONS, "pillow": "not installed"}
    assert receipt.hashes["metrics.jsonl"] == sha256(CURVES)
    assert (receipt.seconds, receipt.kept_step) == (1.5, 6)
    assert [(one.loss, one.accuracy, one.val_accuracy) for one in details.epochs] == [(1.5, None, 0.5)] * 2


def test_a_recipe_that_names_its_data_set_is_filtered_by_it(vision):
    vision.publish("digits", {"recipe.toml": load_recipe("quickstart").to_toml().encode()}, METADATA)
    version = only(vision)
    assert version.data.name == load_recipe("quickstart").data.source
    assert version.data.name.startswith("builtin:") and version.read().receipt is None


def test_who_signed_is_shown_once_it_was_verified(vision, tmp_path):
    files = run_files()
    name = generate_key(tmp_path / "team.key")
    signature = sign({one: sha256(content) for one, content in files.items()}, load_private_key(tmp_path / "team.key"))
    vision.publish("pets", {**files, "signature.json": signature_document(signature).encode()}, METADATA)
    vision.publish("cats", run_files(), METADATA)
    assert {recipe.name: recipe.newest.signed_by for recipe in gather(vision).recipes} == {"pets": name, "cats": ""}


def test_an_altered_file_is_named_on_its_own_page_and_no_other(vision, tmp_path):
    vision.publish("cats", run_files(), METADATA)
    files = run_files(seed=1)
    vision.publish("pets", files, METADATA)
    changed = files["receipt.json"].replace(b"0.75", b"0.85")
    object_of(tmp_path, files["receipt.json"]).chmod(0o644)
    object_of(tmp_path, files["receipt.json"]).write_bytes(changed)
    shelf = gather(vision)
    cats, pets = (recipe.newest for recipe in shelf.recipes)
    assert cats.fault == "" and pets.read is None and pets.metrics == {}
    assert pets.fault.startswith("vision/pets@1: ") and "receipt.json" in pets.fault
    assert faults_of(shelf) == [pets.fault]
    assert str(tmp_path) not in "".join(page.content().decode() for page in pages_of(shelf))


def test_a_receipt_of_other_files_is_refused(vision):
    files = run_files()
    vision.publish("pets", {**files, "recipe.toml": RECIPE + b"# more\n"}, METADATA)
    assert "receipt.json: is the receipt of another recipe.toml than the version has" in only(vision).fault


@pytest.mark.parametrize("line", [b"{", b"[1]", b"[" * 100_000, b"\xff"])
def test_damaged_curves_are_refused(vision, line):
    curves = CURVES + line + b"\n"
    receipt = make_receipt(sha256={"metrics.jsonl": sha256(curves)}).to_text().encode()
    vision.publish("pets", {"recipe.toml": RECIPE, "metrics.jsonl": curves, "receipt.json": receipt}, METADATA)
    assert only(vision).fault == "vision/pets@1: metrics.jsonl: line 3 is not an object of JSON"


def test_a_version_without_a_recipe_cannot_be_used(vision):
    vision.publish("pets", {"notes.txt": b"x"}, METADATA)
    assert only(vision).fault == "vision/pets@1: has no recipe.toml; expected one in every version"


@pytest.mark.parametrize("text", ["a." * 120_000 + "a = 1", "a = " + "[" * 200_000, "a = " + "{b = " * 50_000])
def test_a_recipe_that_takes_a_parser_all_memory_is_shown_as_text(vision, text):
    """Python's reads the first in 60 GB."""
    files = {"recipe.toml": text.encode(), "source/pets.toml": text.encode()}
    vision.publish("pets", files, METADATA)
    vision.publish("pets", {**files, "recipe.toml": RECIPE}, METADATA)
    (recipe,) = gather(vision).recipes
    assert recipe.newest.read().parent == Parent(
        name="pets", number=1, digest=recipe.versions[1].digest, is_before=True
    )
    assert len(pages_of(gather(vision))[2].content()) > 100_000


def test_a_file_that_no_page_is_made_of_is_refused_before_it_is_read(vision):
    vision.publish("pets", {"recipe.toml": b"#" * 2_000_000}, METADATA)
    assert only(vision).fault == "vision/pets@1: recipe.toml has 2,000,000 bytes; expected at most 1,000,000"


def test_numbers_that_no_float_holds_are_left_out(vision):
    huge = b'{"phase": 7, "step": "x", "loss": 1' + b"0" * 400 + b', "accuracy": true, "val_loss": Infinity}\n'
    vision.publish("pets", {"recipe.toml": RECIPE, "metrics.jsonl": huge}, METADATA)
    (epoch,) = only(vision).read().epochs
    assert (epoch.phase, epoch.step, epoch.loss, epoch.accuracy, epoch.val_loss) == ("7", None, None, None, None)


def child(extends, **keys):
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"name": "child", "extends": extends, **keys}.items()]
    return "\n".join([*lines, "[train]", "batch_size = 64", ""]).encode()


def test_the_difference_from_a_parent_that_ships_is_what_was_written(vision, tmp_path):
    (tmp_path / "child.toml").write_bytes(child("finetune/lp-ft"))
    resolved = load_recipe(tmp_path / "child.toml").to_toml().encode()
    vision.publish("child", {"recipe.toml": resolved, "source/child.toml": child("finetune/lp-ft")}, METADATA)
    parent = only(vision).read().parent
    assert (parent.name, parent.number, parent.is_before) == ("finetune/lp-ft", None, False)
    assert Change(key="train.batch_size", parent="32", own="64") in parent.changes
    assert {one.key for one in parent.changes} <= {"name", "description", "train.batch_size"}


def test_the_difference_from_a_parent_on_the_shelf_is_found_by_its_bytes(vision):
    older = vision.publish("base", {"recipe.toml": RECIPE}, METADATA)
    vision.publish("base", {"recipe.toml": RECIPE.replace(b"batch_size = 32", b"batch_size = 8")}, METADATA)
    own = RECIPE.replace(b"batch_size = 32", b"batch_size = 64")
    files = {"recipe.toml": own, "source/child.toml": child("vision/base"), "source/named/vision_base.toml": RECIPE}
    vision.publish("child", files, METADATA)
    (found,) = (recipe.newest.read().parent for recipe in gather(vision).recipes if recipe.name == "child")
    changes = (Change(key="train.batch_size", parent="32", own="64"),)
    assert found == Parent(name="base", number=1, digest=older.sha256, changes=changes)


def test_the_difference_from_a_parent_on_another_shelf_is_that_of_its_copy(vision):
    files = {
        "recipe.toml": RECIPE.replace(b"batch_size = 32", b"batch_size = 64"),
        "source/child.toml": child("other/base@2"),
        "source/named/other/base_2.toml": RECIPE,
    }
    vision.publish("child", files, {**METADATA, "parent": f"base@sha256:{'a' * 64}"})
    changes = (Change(key="train.batch_size", parent="32", own="64"),)
    assert only(vision).read().parent == Parent(name="base", changes=changes)


def parent_of_run_and_recipe(shelf, *, run, recipe):
    """Pushes a run and its recipe; returns what the page of each has as its parent, and that of the run as text."""
    for name, made in (("of-run", compose(run)), ("of-recipe", compose(recipe))):
        shelf.publish(name, made.files, made.metadata)
    gathered = gather(shelf)
    found = {one.name: one.newest.read().parent for one in gathered.recipes}
    pages = {page.path: page.content().decode() for page in pages_of(gathered)}
    return found["of-run"], found["of-recipe"], next(text for path, text in pages.items() if "of-run" in path)


def test_a_run_differs_from_the_parent_beside_its_recipe_as_the_recipe_does(vision, trained_child):
    of_run, of_recipe, page = parent_of_run_and_recipe(vision, run=trained_child.run, recipe=trained_child.recipe)
    changes = (Change(key="name", parent='"tiny"', own='"child"'), Change(key="train.seed", parent="0", own="3"))
    assert of_run == of_recipe == Parent(name="base.toml", changes=changes)
    assert "Difference from its parent" in page


@pytest.mark.slow  # trains twice
def test_a_run_differs_from_the_version_that_its_recipe_extends_or_is(vision, trained, tmp_path):
    base = vision.publish("base", {"recipe.toml": trained.recipe.read_bytes()}, METADATA)
    (tmp_path / "child.toml").write_text('extends = "vision/base"\nname = "child"\n')
    run = zoo.finetune(tmp_path / "child.toml", trained.data, run=tmp_path / "run", verbose=0).path
    of_run, of_recipe, page = parent_of_run_and_recipe(vision, run=run, recipe=tmp_path / "child.toml")
    changes = (Change(key="name", parent='"tiny"', own='"child"'),)
    assert of_run == of_recipe == Parent(name="base", number=1, digest=base.sha256, changes=changes)
    assert "Difference from its parent" in page
    seeded = zoo.finetune("vision/base", trained.data, ["train.seed=4"], run=tmp_path / "seeded", verbose=0).path
    made = compose(seeded)
    vision.publish("seeded", made.files, made.metadata)
    (found,) = (one.newest.read().parent for one in gather(vision).recipes if one.name == "seeded")
    changes = (Change(key="train.seed", parent="0", own="4"),)
    assert found == Parent(name="base", number=1, digest=base.sha256, changes=changes)


def test_what_a_version_needs_and_the_licence_of_its_weights_are_shown(vision):
    said = {**METADATA, "licence": "CC-BY-4.0", "packages": {"shoe-nets": "1.2"}}
    vision.publish("pets", {"recipe.toml": RECIPE}, said)
    version = only(vision)
    assert (version.licence, version.needs) == ("CC-BY-4.0", ("package shoe-nets==1.2",))
    page = pages_of(gather(vision))[1].content().decode()
    assert "package shoe-nets==1.2" in page and "CC-BY-4.0" in page


def test_the_difference_from_a_parent_beside_the_recipe_is_found(vision, tmp_path):
    base = b'name = "base"\nextends = "finetune/lp-ft"\n[train]\nbatch_size = 16\n'
    (tmp_path / "base.toml").write_bytes(base)
    (tmp_path / "child.toml").write_bytes(child("base.toml"))
    resolved = load_recipe(tmp_path / "child.toml").to_toml().encode()
    files = {"recipe.toml": resolved, "source/child.toml": child("base.toml"), "source/base.toml": base}
    vision.publish("child", files, METADATA)
    parent = only(vision).read().parent
    assert (parent.name, {one.key: one.parent for one in parent.changes}["train.batch_size"]) == ("base.toml", "16")


@pytest.mark.parametrize("extends", ["gone/recipe", "other/pets", "../../secret.toml", "/etc/passwd.toml", "a.toml"])
def test_a_parent_that_cannot_be_read_is_named_without_a_difference(vision, extends):
    files = {"recipe.toml": RECIPE, "source/child.toml": child(extends), "source/a.toml": child("other/pets")}
    if extends != "a.toml":
        del files["source/a.toml"]
    vision.publish("child", files, METADATA)
    assert only(vision).read().parent == Parent(name=extends)


def test_a_version_that_names_no_parent_differs_from_the_one_before(vision):
    first = vision.publish("pets", {"recipe.toml": RECIPE}, METADATA)
    second = RECIPE.replace(b"batch_size = 32", b"batch_size = 64")
    vision.publish("pets", {"recipe.toml": second}, METADATA)
    (recipe,) = gather(vision).recipes
    changes = (Change(key="train.batch_size", parent="32", own="64"),)
    found = [one.read().parent for one in recipe.versions]
    assert found == [Parent(name="pets", number=1, digest=first.sha256, is_before=True, changes=changes), None]


def test_recipes_that_are_none_are_shown_without_a_difference(vision):
    for content in (b"phases = 3\n", b"phases = [1]\n", b"a = [" + b"[" * 3000, b"\xff\xfe"):
        vision.publish("pets", {"recipe.toml": content}, METADATA)
    (recipe,) = gather(vision).recipes
    assert [one.fault for one in recipe.versions] == [""] * 4
    assert [one.read().parent.changes for one in recipe.versions[:-1]] == [None] * 3
    assert len([page.content() for page in pages_of(gather(vision))]) == 5


def test_older_versions_are_listed_without_being_read(vision, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.sharing.site.gathering.VERSIONS_WITH_PAGES", 2)
    for number in range(4):
        vision.publish("pets", {"recipe.toml": RECIPE + f"# {number}\n".encode()}, METADATA)
    for older in (0, 1):
        object_of(tmp_path, RECIPE + f"# {older}\n".encode()).unlink()
    gathered = gather(vision)
    (recipe,) = gathered.recipes
    assert [one.is_listed_only for one in recipe.versions] == [False, False, True, True]
    assert faults_of(gathered) == [] and len(pages_of(gathered)) == 1 + 2


def test_a_deleted_version_ends_the_command(vision, tmp_path):
    vision.publish("pets", {"recipe.toml": RECIPE}, METADATA)
    vision.publish("pets", {"recipe.toml": RECIPE + b"#\n"}, METADATA)
    gather(vision)
    (tmp_path / "shelf" / "recipes" / "pets" / "2.json").unlink()
    with pytest.raises(ContractError, match="pets@2"):
        gather(vision)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/shelf", True),
        ("s3://bucket/shelf", True),
        ("hf://datasets/team/shelf", True),
        ("/home/anna/shelf", False),
        ("file:///home/anna/shelf", False),
        ("memory://x", False),
        ("package team-recipes", False),
        ("https://anna:secret@example.org/shelf", False),
        ("https://example.org/shelf?token=secret", False),
        ("https://[bad/shelf", False),
    ],
)
def test_only_an_address_that_others_reach_and_that_holds_no_secret_is_shown(url, shown):
    assert public_address(url) == (url if shown else "")


def test_the_same_shelf_gives_the_same_pages(vision):
    vision.publish("pets", run_files(), METADATA)
    vision.publish("pets", run_files(seed=2), METADATA)

    def written():
        return {page.path: page.content() for page in pages_of(gather(open_shelf("vision")))}

    assert written() == written()
