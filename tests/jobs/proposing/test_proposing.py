from pathlib import Path

import pytest

import zoo
from tests.tiny import write_photos
from zoo.errors import NotFoundError, RecipeError
from zoo.jobs.proposing.proposing import Request, propose
from zoo.recipe.loading import load_recipe
from zoo.report.progress import SilentDisplay
from zoo.system import cache


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos") / "pets", count=30)


@pytest.fixture(scope="module")
def proposal(photos, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("own")))
        return propose(Request(data=photos, model="mnist_conv_tiny"), SilentDisplay()), _left()


def _left():
    return [*cache.entries("activations"), *cache.entries("packs")]


def test_a_proposed_recipe_passes_the_check_and_trains(proposal, photos, tmp_path):
    proposal, _ = proposal
    file = tmp_path / "pets.toml"
    file.write_text(proposal.text)
    recipe = load_recipe(file, against_card=True)
    assert recipe.phases == proposal.recipe.phases
    assert (recipe.model.name, recipe.data.image_size, recipe.train.batch_size) == ("mnist_conv_tiny", 28, 8)
    run = zoo.finetune(file, photos, run=tmp_path / "run", verbose=0)
    assert run.metrics["accuracy"] == 1.0


def test_the_forecast_has_all_parts_and_each_takes_time(proposal):
    parts = proposal[0].forecast.parts
    assert list(parts) == ["start", "reading", "head", "all", "end"]
    assert all(seconds >= 0 for seconds in parts.values())
    assert min(parts["head"], parts["all"]) > 0


def test_what_was_timed_leaves_nothing_in_the_cache_of_activations_and_packs(proposal):
    assert proposal[1] == []


@pytest.mark.slow
def test_a_probe_ranks_what_is_here_and_takes_one(photos):
    found = propose(Request(data=photos, probes=True), SilentDisplay())
    names = [one.model for one in found.probes]
    assert {"mnist_conv", "mnist_conv_tiny"} <= set(names)
    assert found.recipe.model.name in names
    assert all(0 <= one.interval[0] <= one.accuracy <= one.interval[1] <= 1 for one in found.probes)
    assert all(one.seconds >= 0 for one in found.probes)


def test_a_budget_that_cannot_be_met_is_refused(photos):
    with pytest.raises(zoo.ZooError, match=r"^--budget 0\.1 s: the least run of model 'mnist_conv_tiny'"):
        propose(Request(data=photos, model="mnist_conv_tiny", budget=0.1), SilentDisplay())


@pytest.mark.parametrize(
    ("request_of", "fault", "text"),
    [
        ({"data": Path("gone")}, NotFoundError, "gone: there is no such file or folder; expected images"),
        ({"model": "mnist_con"}, NotFoundError, "Unknown model 'mnist_con'. Did you mean 'mnist_conv'?"),
        ({"model": "mnist_conv", "probes": True}, RecipeError, "--model and --probe both choose the model"),
    ],
)
def test_what_can_be_refused_is_refused_before_keras_is_loaded(photos, request_of, fault, text):
    def load():
        raise AssertionError("Keras was loaded")

    with pytest.raises(fault) as raised:
        propose(Request(**{"data": photos, **request_of}), SilentDisplay(), load=load)
    assert str(raised.value).startswith(text)
