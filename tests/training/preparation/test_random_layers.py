import pytest

import zoo
from tests.tiny import phase, recipe, write_photos
from zoo.training.preparation.random_layers import random_layers_warning


def warned(*phases, name="mnist_conv", weights=None, **extra):
    one = recipe(*phases, model=name)
    return random_layers_warning(zoo.build(name, weights=weights, classes=2), one, **extra)


HEAD_ON_RANDOM = (
    "mnist_conv begins with random weights, and phase 'head' keeps stem, stage1, stage2, stage3 frozen as they are; "
    'set model.weights = "mnist", or train all of it, as the recipe finetune/from-scratch does'
)


def test_a_head_on_random_layers_is_warned_of():
    assert warned(phase("head", "head"), phase("top", "last:2")) == HEAD_ON_RANDOM
    assert warned(phase("head", "head"), name="conv2d_small") == (
        "conv2d_small begins with random weights, and phase 'head' keeps stem, stage1, stage2 frozen as they are; "
        "train all of it, as the recipe finetune/from-scratch does"
    )


def test_a_later_phase_is_named_where_it_is_the_first():
    text = warned(phase("part", "stage3+"), phase("head", "head"))
    assert "phase 'part' keeps stem, stage1, stage2 frozen" in text


@pytest.mark.parametrize(
    "phases",
    [
        [phase("all", "all")],
        # What an earlier phase has trained is not random any more.
        [phase("all", "all"), phase("head", "head")],
        # BatchNorm that is kept still does not make a layer random.
        [phase("all", "all", batchnorm="frozen")],
    ],
)
def test_what_is_trained_is_not_warned_of(phases):
    assert warned(*phases) is None


def test_weights_of_the_card_or_given_ones_are_not_random():
    assert warned(phase("head", "head"), weights="mnist") is None
    assert warned(phase("head", "head"), begins_with_weights=True) is None


def test_a_run_says_so_before_it_trains(tmp_path, capsys):
    zoo.finetune(
        recipe(phase("head", "head", epochs=1), model="mnist_conv"),
        write_photos(tmp_path / "photos"),
        run=tmp_path / "run",
    )
    assert f"warning: {HEAD_ON_RANDOM}" in " ".join(capsys.readouterr().err.split())
