import pytest

import zoo
from tests.tiny import phase, recipe
from zoo.errors import NotFoundError, RecipeError
from zoo.recipe.schema import Phase
from zoo.training.compiling.training_model import rate_factors
from zoo.training.trainable import apply_freezing, batchnorm_mode


@pytest.fixture(scope="module")
def model():
    return zoo.build("mnist_conv", classes=("cat", "dog"), weights=None)


def one(train, **keys):
    return recipe(phase("one", train, **keys)).phases[0]


@pytest.mark.parametrize(
    ("asked", "weights", "mode"),
    [
        ("auto", "none", "train"),
        ("auto", "imagenet", "frozen"),
        ("frozen", "none", "frozen"),
        ("affine", "imagenet", "affine"),
        ("train", "imagenet", "train"),
    ],
)
def test_batchnorm_learns_statistics_by_itself_only_with_random_weights(asked, weights, mode):
    assert batchnorm_mode(one("all", batchnorm=asked), weights) == mode


def test_a_phase_trains_what_it_says_whatever_was_trainable_before(model):
    apply_freezing(model, one("all"))
    plan = apply_freezing(model, one("head"))
    # Dense 128 -> 2 with bias: counted by hand.
    assert plan.trainable_params == 128 * 2 + 2
    assert {weight.path for weight in model.trainable_weights} == {"classifier/kernel", "classifier/bias"}


@pytest.mark.parametrize(
    ("train", "batchnorm"), [("none", "train"), ("head,!head", "train"), ("re:_bn$", "frozen"), ("re:dropout", "auto")]
)
def test_a_phase_that_trains_nothing_is_refused(model, train, batchnorm):
    mode = "train" if batchnorm == "auto" else batchnorm
    with pytest.raises(RecipeError) as raised:
        apply_freezing(model, one(train, batchnorm=batchnorm))
    assert str(raised.value) == (
        f'phase \'one\' (train = "{train}", batchnorm = "{mode}") has nothing to train; '
        'expected a selector of layers with weights, such as "head"'
    )


def test_a_selector_that_matches_nothing_is_refused(model):
    with pytest.raises(NotFoundError, match=r"selector 'stage9' matches nothing\. Did you mean 'stage\d'\?"):
        apply_freezing(model, one("stage9"))


def test_layer_decay_is_a_factor_for_each_stage_below_the_head():
    model = zoo.build("mnist_conv", classes=("cat", "dog"), weights=None)
    phase = Phase(name="all", train="stage2+", learning_rate=0.5, layer_decay=0.5)
    assert rate_factors(model, phase) == {"stem": 1 / 16, "stage1": 1 / 8, "stage2": 1 / 4, "stage3": 1 / 2, "head": 1}
    plan = apply_freezing(model, phase)
    assert [row.rate for row in plan.rows] == [None, None, 0.125, 0.25, 0.5]
    assert [line.split()[-1] for line in str(plan).splitlines()] == ["rate", "-", "-", "0.125", "0.25", "0.5"]
