"""What was asked and what runs are two recipes, told apart once for all that begins with them."""

import pytest

from tests.tiny import phase, recipe, write_npz
from zoo.errors import DataError, RecipeError, WeightsError
from zoo.training.batch_size import batch_size_of
from zoo.training.preparation.initial_weights import InitialWeights
from zoo.training.preparation.preparing import build_model, prepare


@pytest.fixture
def data(tmp_path):
    return write_npz(tmp_path / "data.npz", count=8)


def test_a_batch_of_auto_runs_as_a_number_and_is_shown_as_it_was_asked(data):
    asked = recipe(train={"batch_size": "auto"})
    prepared = prepare(asked, data)
    assert prepared.asked is asked
    assert prepared.has_auto_batch
    assert (prepared.recipe.train.batch_size, prepared.plan.train.batch_size) == (32, "auto")
    assert prepared.plan == asked
    with pytest.raises(ValueError, match=r'train\.batch_size is "auto"; expected a recipe from prepare'):
        batch_size_of(asked)


def test_given_weights_are_pretrained_and_a_run_that_goes_on_does_without_them(data, tmp_path):
    gone = InitialWeights(path=str(tmp_path / "gone.safetensors"), sha256="0" * 64)
    prepared = prepare(recipe(phase("a", "all"), phase("b", "all", batchnorm="train")), data, weights=gone)
    assert [one.batchnorm for one in prepared.asked.phases] == ["auto", "train"]
    assert [one.batchnorm for one in prepared.recipe.phases] == ["frozen", "train"]
    assert build_model(prepared, is_resumed=True).blueprint.classes == ("cat", "dog")
    with pytest.raises(WeightsError, match="there is no such file of weights"):
        build_model(prepared)


def test_what_follows_from_recipe_data_and_device_is_decided_once(data):
    prepared = prepare(recipe(data={"image_size": 20}, train={"precision": "mixed_float16"}), data)
    assert prepared.input_shape == (20, 20, 1)
    assert prepared.policy == "mixed_float16"
    assert prepared.data == data
    with pytest.raises(DataError, match="model 'conv1d_small' takes input 128x1; expected height, width and channels"):
        prepare(recipe(model="conv1d_small"), data)


def test_a_phase_that_never_takes_a_step_is_refused(data):
    # One batch of 8, in two epochs.
    prepare(recipe(phase("head", "head"), train={"accumulate": 2}), data)
    with pytest.raises(RecipeError) as raised:
        prepare(recipe(phase("head", "head"), train={"accumulate": 3}), data)
    assert str(raised.value) == (
        "train.accumulate is 3, and phase 'head' has 2 batches: it never takes a step; expected <= 2; "
        "type --set train.accumulate=2"
    )
