from dataclasses import replace

import pytest

from tests.jobs.proposing.made import LITE0, PHOTOS, RANDOM, SMALL, TWO_CORES, draft
from zoo.errors import ZooError
from zoo.jobs.proposing.draft import Scope
from zoo.jobs.proposing.rule import choose_model, image_size, resize, validation_share

GPU = replace(TWO_CORES, kind="gpu")
GREY = replace(PHOTOS, grey=True, short_side=28, long_side=28)


@pytest.mark.parametrize(
    ("data", "machine", "here", "name"),
    [
        (PHOTOS, TWO_CORES, {"efficientnet_lite0", "resnet50", "mnist_conv"}, "efficientnet_lite0"),
        (PHOTOS, TWO_CORES, {"resnet50", "mnist_conv"}, "resnet50"),
        (PHOTOS, TWO_CORES, set(), "efficientnet_lite0"),
        (PHOTOS, GPU, {"efficientnet_lite0", "resnet50"}, "resnet50"),
        (GREY, TWO_CORES, {"efficientnet_lite0", "mnist_conv"}, "mnist_conv"),
        (GREY, GPU, {"efficientnet_lite0", "mnist_conv"}, "mnist_conv"),
        (replace(GREY, short_side=41), TWO_CORES, {"efficientnet_lite0", "mnist_conv"}, "efficientnet_lite0"),
        (replace(GREY, grey=False), TWO_CORES, {"efficientnet_lite0", "mnist_conv"}, "efficientnet_lite0"),
    ],
)
def test_the_model_is_the_first_whose_weights_are_here_and_small_grey_images_have_their_own(data, machine, here, name):
    assert choose_model(data, machine, here.__contains__).value == name


@pytest.mark.parametrize(
    ("side", "model", "size"),
    [
        (28, LITE0, 64),
        (48, LITE0, 96),
        (64, LITE0, 128),
        (100, LITE0, 192),
        (112, LITE0, 224),
        (4_000, LITE0, 224),
        (28, replace(LITE0, min_size=75), 75),
        (28, SMALL, 28),
        (4_000, SMALL, 28),
    ],
)
def test_the_size_is_the_models_but_at_most_twice_the_images(side, model, size):
    data = replace(PHOTOS, short_side=side, long_side=side)
    assert image_size(data, model).value == size


def test_a_size_that_is_asked_for_is_taken_and_one_of_a_budget_says_what_it_would_be():
    assert image_size(PHOTOS, LITE0, Scope(asked_size=96)).value == 96
    assert image_size(PHOTOS, LITE0, Scope(image_size=128)).why == "for the budget; 224 without"
    assert image_size(PHOTOS, LITE0, Scope(image_size=128, asked_size=96)).value == 96


@pytest.mark.parametrize(("long_side", "way"), [(192, "crop"), (288, "crop"), (289, "pad"), (800, "pad")])
def test_a_crop_loses_no_more_than_a_third(long_side, way):
    assert resize(replace(PHOTOS, long_side=long_side)).value == way


@pytest.mark.parametrize(
    ("images", "own", "share"),
    [
        (100, 0, 0.2),
        (600, 0, 0.17),
        (1_000, 0, 0.1),
        (50_000, 0, 0.1),
        (100_000, 0, 0.05),
        (1_000_000, 0, 0.01),
        (600, 60, None),
    ],
)
def test_a_hundred_images_validate_within_a_tenth_and_a_fifth_and_five_thousand_at_most(images, own, share):
    assert validation_share(replace(PHOTOS, train=images, validation=own)) == share


def test_the_data_that_has_a_validation_split_leaves_the_share_out():
    assert "validation" not in draft(data=replace(PHOTOS, validation=300)).data
    assert draft().data["validation"].value == 0.1


def test_classes_are_not_balanced_and_it_is_said_where_they_are_far_from_alike():
    alike, apart = draft(), draft(data=replace(PHOTOS, smallest=20, largest=200))
    assert (alike.data["balance"].value, apart.data["balance"].value) == ("none", "none")
    assert not any("rarest" in note for note in alike.notes)
    assert any("the rarest class has 20 training images, the most frequent 200" in note for note in apart.notes)


def test_few_validating_images_are_said():
    assert (
        draft(data=replace(PHOTOS, train=100)).notes[0]
        == "20 images validate: the accuracy's standard error is up to 11 points"
    )


@pytest.mark.parametrize(
    ("images", "batch", "head", "rest"),
    [
        # 2,700 train, in 85 steps of 32: 400 / 85 and 800 / 85.
        (3_000, 32, 5, 9),
        # 400 train, in 13 steps.
        (500, 32, 20, 20),
        # 54,000 train, in 1,688 steps.
        (60_000, 32, 4, 4),
        # 128 train, in 16 steps of 8: 10 * 16 are more.
        (160, 8, 20, 20),
    ],
)
def test_epochs_are_as_many_as_come_nearest_to_the_steps(images, batch, head, rest):
    found = draft(data=replace(PHOTOS, train=images))
    assert (found.train["batch_size"].value, found.epochs) == (batch, {"head": head, "all": rest})


def test_pretrained_nets_have_a_head_first_and_small_ones_learn_their_statistics():
    recipe = draft().recipe("a")
    assert [(phase.train, phase.batchnorm) for phase in recipe.phases] == [("head", "auto"), ("all", "auto")]
    assert [(phase.learning_rate, phase.warmup) for phase in recipe.phases] == [(5e-3, 0.0), (7e-4, 0.1)]
    small = draft(data=GREY, model=SMALL).recipe("a")
    assert [(phase.train, phase.batchnorm) for phase in small.phases] == [("head", "auto"), ("all", "train")]
    assert (small.train.batch_size, small.model.weights) == (64, "mnist")


def test_a_net_without_weights_trains_whole_by_one_cycle():
    recipe = draft(model=RANDOM).recipe("a")
    assert [(phase.train, phase.schedule) for phase in recipe.phases] == [("all", "one_cycle")]
    assert (recipe.model.weights, recipe.train.label_smoothing, recipe.augment.zoom) == ("none", 0.1, 0.1)


def test_little_memory_lets_a_run_find_its_batch():
    assert draft(machine=replace(TWO_CORES, memory=2_000_000_000)).train["batch_size"].value == "auto"
    assert draft(machine=replace(TWO_CORES, memory=None)).train["batch_size"].value == 32


def test_a_scope_takes_stages_and_epochs_away():
    top = draft(Scope(plan="top", epochs={"top": 4}))
    assert (top.epochs, top.phases["top"]["train"].value) == ({"head": 5, "top": 4}, "last:3")
    assert top.phases["top"]["epochs"].why == "for the budget; 9 without"
    assert list(draft(Scope(plan="head")).phases) == ["head"]


def test_every_value_has_a_reason():
    for found in (draft(), draft(model=RANDOM), draft(data=GREY, model=SMALL)):
        for keys in (*found.sections().values(), *found.phases.values()):
            assert all(chosen.why for chosen in keys.values())


def test_a_model_of_other_images_is_refused():
    with pytest.raises(ZooError, match="takes images of 4 channels; expected 1"):
        draft(model=replace(LITE0, channels=4))
