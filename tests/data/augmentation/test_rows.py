import keras
import numpy as np
import pytest

from tests.data.augmentation.test_building import drawn
from zoo.data.augmentation.building import augmentation_layers
from zoo.errors import DataError, RecipeError
from zoo.recipe.loading import load_recipe
from zoo.recipe.schema import AugmentSection
from zoo.registry.augmentations import AUGMENTATIONS, policies
from zoo.training.prefix.views import fixed_views

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (16, 12, 12, 3)).astype("float32")


def changed(images, **layers):
    (after,) = drawn(augmentation_layers(AugmentSection(layers=layers), channels=images.shape[-1]), 0, 0, images)
    return after


def test_solarization_inverts_what_is_as_bright_as_the_threshold():
    after = changed(COLOURS, solarize={"threshold": 0.5, "probability": 1.0})
    np.testing.assert_allclose(after, np.where(COLOURS < 127.5, COLOURS, 255 - COLOURS), atol=1e-3)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_posterization_keeps_so_many_bits(bits):
    after = changed(COLOURS, posterize={"bits": bits, "probability": 1.0})
    np.testing.assert_allclose(after, COLOURS // 2 ** (8 - bits) * 2 ** (8 - bits), atol=1e-3)


def test_grey_is_the_luminance_of_rec_601():
    after = changed(COLOURS, grayscale={"probability": 1.0})
    luminance = COLOURS @ np.array([0.2989, 0.587, 0.114], "float32")
    np.testing.assert_allclose(after, np.repeat(luminance[..., np.newaxis], 3, axis=-1), atol=0.1)


def test_a_blur_keeps_the_mean_of_a_dot_and_spreads_it():
    dot = np.zeros((4, 21, 21, 1), "float32")
    dot[:, 10, 10] = 200
    after = changed(dot, blur={"sigma": 2.0, "probability": 1.0})
    assert after.sum(axis=(1, 2, 3)) == pytest.approx([200] * 4, rel=1e-3)
    assert (after.max(axis=(1, 2, 3)) < 200).all()
    np.testing.assert_allclose(after, after[:, ::-1, ::-1], atol=1e-4)


def test_autocontrast_stretches_each_channel_to_the_whole_range():
    dull = 100 + COLOURS / 10
    after = changed(dull, autocontrast={"probability": 1.0})
    assert after.min(axis=(1, 2)) == pytest.approx(0, abs=1e-2)
    assert after.max(axis=(1, 2)) == pytest.approx(255, abs=1e-2)


@pytest.mark.parametrize("name", [row.name for row in AUGMENTATIONS.rows() if "probability" in row.options])
def test_a_probability_of_a_half_changes_about_half_of_the_images(name):
    # 256 images: 128 is expected, and four standard deviations are 32.
    images = np.repeat(COLOURS[:1], 256, axis=0)
    after = changed(images, **{name: {"probability": 0.5}})
    assert abs(sum(not np.allclose(one, COLOURS[0], atol=1e-2) for one in after) - 128) <= 32


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_every_row_leaves_images_alone_outside_of_training_and_keeps_their_shape(name):
    for channels in AUGMENTATIONS.lookup(name).channels:
        layers = augmentation_layers(AugmentSection(layers={name: {}}), channels=channels)
        images = COLOURS[..., :channels]
        assert np.array_equal(keras.Sequential(layers)(images, training=False), images)
        (after,) = drawn(layers, 1, 1, images)
        assert after.shape == images.shape and after.dtype == np.float32
        if name != "color":  # it may go beyond white and black, and existing recipes draw the same numbers for good
            assert after.min() >= -0.01 and after.max() <= 255.01


def test_further_layers_come_last_and_leave_what_the_others_draw():
    alone = AugmentSection(rotation=20.0, erasing=1.0)
    more = alone.model_copy(update={"layers": {"shear": {}, "solarize": {"threshold": 0.3}}})
    layers = augmentation_layers(more)
    assert [layer.name for layer in layers] == [
        "augment_rotation",
        "augment_erasing",
        "augment_layers_shear",
        "augment_layers_solarize",
    ]
    expected = drawn(augmentation_layers(alone), 3, 4, COLOURS)
    drawn(layers, 3, 4, COLOURS)
    for layer, plain in zip(layers, augmentation_layers(alone), strict=False):
        assert np.array_equal(layer.generator.state, plain.generator.state) is False  # they have drawn
    np.testing.assert_array_equal(drawn(layers[:2], 3, 4, COLOURS), expected)


def test_colours_cannot_be_taken_from_grey_images():
    with pytest.raises(DataError) as raised:
        augmentation_layers(AugmentSection(layers={"grayscale": {}}), channels=1)
    assert str(raised.value) == (
        "augment.layers.grayscale changes images of 3 channels; the model takes 1. Leave it out."
    )


def test_policies_are_rows_that_say_so():
    assert policies() == ["none", "randaugment", "augmix", "trivial"]


def test_a_recipe_is_refused_whose_model_takes_images_of_other_channels():
    with pytest.raises(RecipeError) as raised:
        load_recipe("quickstart", {"model.name": "mnist_conv", "augment.layers": {"grayscale": {}}}, against_card=True)
    assert str(raised.value).endswith(
        "augment.layers.grayscale changes images of 3 channels; model 'mnist_conv' takes 1; leave it out"
    )


def test_layers_are_kept_in_their_order_by_a_recipe_and_its_file(tmp_path):
    layers = {"solarize": {"threshold": 0.25}, "blur": {}, "posterize": {"bits": 3}}
    recipe = load_recipe("quickstart", {"augment.layers": layers})
    (tmp_path / "again.toml").write_text(recipe.to_toml())
    again = load_recipe(tmp_path / "again.toml")
    assert again == recipe
    assert list(again.augment.layers.items()) == list(layers.items())


def test_views_of_recipes_without_layers_are_known_by_their_key_of_before():
    described = fixed_views(AugmentSection(rotation=5.0, views=2), seed=3)[1].described()
    assert set(described["augment"]) == {
        *("flip", "rotation", "translation", "zoom", "crop", "color", "erasing", "policy", "mixup", "cutmix")
    }
    further = fixed_views(AugmentSection(rotation=5.0, views=2, layers={"shear": {}}), seed=3)[1].described()
    assert further["augment"]["layers"] == {"shear": {}}
