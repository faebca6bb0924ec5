"""What a reference and overrides come to; nothing is trained."""

import os
import shutil
from pathlib import Path

import pytest

import zoo
from tests.tiny import phase, recipe, write_npz, write_photos
from zoo import registry
from zoo.jobs.resolving import as_overrides, make_job
from zoo.jobs.resuming import Request, decide
from zoo.jobs.seeds import finetune_seeds
from zoo.registry import Card, Stage

ONE = "train.batch_size=64"


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", count=2)


def batch_size(*arguments, **named):
    return make_job(*arguments, **named).recipe.train.batch_size


def test_one_override_may_be_a_text_for_a_recipe_a_model_a_file_and_a_recipe_object(photos, tmp_path):
    (tmp_path / "mine.toml").write_text(recipe().to_toml())
    references = ("finetune/default", "mnist_conv", tmp_path / "mine.toml", recipe())
    assert [batch_size(one, photos, ONE) for one in references] == [64, 64, 64, 64]


def test_one_override_may_be_a_text_for_a_run(finished):
    assert batch_size(finished.run.path, finished.data, ONE) == 64


def test_one_override_may_be_a_text_where_weights_are_given(finished, photos):
    assert batch_size("mnist_simple", photos, ONE, weights=finished.run.path) == 64


def test_one_override_may_name_the_module_of_a_hub(photos, tmp_path):
    with pytest.raises(zoo.ZooError) as raised:
        make_job("tfhub", photos, f"model.handle={tmp_path / 'no_module'}")
    assert str(tmp_path / "no_module") in str(raised.value)


def test_one_override_may_be_a_text_for_seeds(photos, tmp_path):
    plan = recipe(phase("head", "head", epochs=1))
    (run,) = finetune_seeds(plan, [7], data=photos, overrides="train.batch_size=2", run=tmp_path / "runs").values()
    train = zoo.Recipe.load(run.path / "recipe.toml").train
    assert (train.batch_size, train.seed) == (2, 7)


def test_an_estimator_takes_one_override_as_text_and_adds_others(tmp_path):
    estimator = zoo.Estimator(recipe(), overrides=ONE)
    assert estimator.set_params(overrides__train__seed=1e-12).overrides == {
        "train.batch_size": 64,
        "train.seed": 1e-12,
    }
    assert zoo.Estimator(overrides=(ONE,)).set_params(overrides__train__seed=3).overrides["train.batch_size"] == 64
    with pytest.raises(zoo.ZooError, match=r"--set batch: has no '='; expected KEY=VALUE"):
        zoo.Estimator(overrides="batch").set_params(overrides__train__seed=3)


def test_overrides_have_one_form_behind_the_border():
    assert as_overrides(None) == ()
    assert as_overrides(ONE) == (ONE,)
    assert as_overrides([ONE]) == (ONE,)
    assert as_overrides({"train.seed": 1}) == {"train.seed": 1}


@pytest.fixture
def named(monkeypatch):
    """Registers a model by a name that a recipe may not have."""
    registry.list_models()

    def add(name):
        card = Card(
            name=name,
            family="named",
            description="",
            input_shape=(28, 28, 1),
            classes=2,
            params=2,
            madds=2,
            stages=(Stage(name="head", last_layer="", layers=1, params=2),),
            preprocessing="none",
        )
        monkeypatch.setitem(registry.entries._entries, name, registry.Entry(card, lambda inputs, **_: inputs, None))
        return name

    return add


@pytest.mark.parametrize(
    ("model", "recipe_name"), [("MyNet", "mynet"), ("net.v2", "net-v2"), ("My_Net.V2-b", "my-net-v2-b")]
)
@pytest.mark.parametrize("overrides", [(), {}], ids=["texts", "by key"])
def test_every_legal_name_of_a_model_gives_a_legal_name_of_a_recipe(named, photos, model, recipe_name, overrides):
    decided = decide(Request(recipe=named(model), data=photos, overrides=overrides))
    assert (decided.job.recipe.model.name, decided.job.recipe.name) == (model, recipe_name)


@pytest.fixture
def opened(monkeypatch):
    """The recipe files that are opened."""
    opened = []
    at = os.open

    def seen(path, *mode, **named):
        opened.append(Path(path))
        return at(path, *mode, **named)

    monkeypatch.setattr(os, "open", seen)
    return lambda: sorted(path for path in opened if path.suffix == ".toml")


def test_a_recipes_file_is_read_once(photos, tmp_path, opened):
    file = tmp_path / "mine.toml"
    file.write_text(recipe().to_toml())
    before = len(opened())
    make_job(file, photos, ONE)
    assert opened()[before:] == [file]


def test_going_on_reads_the_given_recipe_once_and_the_runs_once(finished, tmp_path, opened):
    file, own = tmp_path / "mine.toml", finished.run.path / "recipe.toml"
    shutil.copyfile(own, file)
    decide(Request(recipe=file, data=finished.data, run=finished.run.path, resume=True))
    assert opened() == sorted([file, own, own])  # the run is finished: its files are hashed first


def test_an_archive_of_images_is_data(tmp_path):
    assert make_job("mnist_conv", write_npz(tmp_path / "data.npz")).data == tmp_path / "data.npz"
