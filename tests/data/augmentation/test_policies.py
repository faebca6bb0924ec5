"""The operations that are ours, against hand calculation; and that each draws anew in every compiled step."""

import keras
import numpy as np
import pytest

from tests.data.augmentation.test_building import drawn
from zoo.data.augmentation.building import augmentation_layers
from zoo.data.augmentation.layers import Equalization, RandomWindow
from zoo.data.augmentation.policies import operations
from zoo.recipe.schema import AugmentSection

PHOTO = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3)).repeat(4, axis=1).repeat(4, axis=2).astype("float32")


def test_a_window_is_a_part_of_the_image_at_full_size():
    # On a ramp a window is a ramp again, flatter by its side, and it begins where the window does.
    ramp = np.tile(np.arange(33, dtype="float32")[None, None, :, None], (64, 33, 1, 1))
    (cut,) = drawn([RandomWindow(0.5)], 0, 0, ramp)
    sides = (cut[:, 0, -1, 0] - cut[:, 0, 0, 0]) / 32
    np.testing.assert_allclose(cut, cut[:, :1, :1] + sides[:, None, None, None] * ramp, atol=1e-3)
    assert (sides >= 0.5).all() and (sides <= 1).all() and sides.min() < 0.6 and sides.max() > 0.9
    begins = cut[:, 0, 0, 0]
    assert (begins >= 0).all() and (begins <= 32 * (1 - sides) + 1e-3).all() and begins.max() > 8


def test_the_keys_make_layers_in_order():
    settings = AugmentSection(policy="trivial", crop=0.2, color=0.3, erasing=0.5, flip="horizontal")
    assert [layer.name for layer in augmentation_layers(settings)] == [
        "augment_mirror",
        "augment_crop",
        "augment_policy",
        "augment_color",
        "augment_erasing",
    ]


def test_erasing_is_as_likely_as_it_says():
    grey = np.full((400, 16, 16, 1), 100.0, "float32")
    (erased,) = drawn(augmentation_layers(AugmentSection(erasing=0.25), channels=1), 0, 0, grey)
    touched = (erased != 100).any(axis=(1, 2, 3))
    assert touched.mean() == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 400))
    # Areas of 2 to 40 %, as the product of two sides drawn by themselves.
    assert (erased != 100).mean(axis=(1, 2, 3)).max() <= 0.45


def test_colour_changes_as_much_as_it_says():
    grey = np.full((200, 4, 4, 1), 100.0, "float32")
    (changed,) = drawn(augmentation_layers(AugmentSection(color=0.2), channels=1), 0, 0, grey)
    # An even image has no contrast: what is left is brightness, of at most 0.2 of 255.
    assert np.abs(changed - 100).max() <= 51.01
    assert np.abs(changed - 100).max() > 40


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_every_operation_keeps_the_range_and_changes_images(channels, strength):
    images = PHOTO[..., :channels]
    changed = [
        np.asarray(operation.transform_images(images, operation.get_random_transformation(images), training=True))
        for operation in operations(channels=channels, strength=strength)
    ]
    assert len(changed) == (11 if channels == 3 else 10)
    for one in changed:
        assert one.shape == images.shape
        assert one.min() >= -1e-3 and one.max() <= 255.001
    assert sum(not np.allclose(one, images, atol=1e-3) for one in changed) >= len(changed) - 1


def test_equalization_spreads_the_values_of_each_channel_of_each_image():
    # By hand: of four values that are as frequent, 16 pixels each, 0, 1, 2 and 3 times 16 are darker: 0, 85, 170, 255.
    four = np.array([10, 20, 30, 200], "float32").repeat(16).reshape(1, 8, 8, 1)
    # Of 10 (48 times) and 11 (16 times) the second is the brightest.
    two = np.array([10] * 48 + [11] * 16, "float32").reshape(1, 8, 8, 1)
    even = np.full((1, 8, 8, 1), 77.0, "float32")
    images = np.concatenate([np.concatenate([four, two, even], axis=-1), np.concatenate([even, four, two], axis=-1)])
    changed = np.asarray(Equalization().transform_images(images))
    spread_four = np.array([0, 85, 170, 255], "float32").repeat(16).reshape(8, 8)
    spread_two = np.array([0] * 48 + [255] * 16, "float32").reshape(8, 8)
    expected = [spread_four, spread_two, even[0, ..., 0], even[0, ..., 0], spread_four, spread_two]
    np.testing.assert_array_equal(changed, np.stack(expected).reshape(2, 3, 8, 8).transpose(0, 2, 3, 1))


def test_posterization_keeps_four_bits_or_more():
    ramps = np.tile(np.arange(256, dtype="float32").reshape(1, 16, 16, 1), (64, 1, 1, 3))
    (layer,) = (one for one in operations(channels=3, strength=1.0) if type(one).__name__ == "RandomPosterization")
    (changed,) = drawn([layer], 0, 0, ramps)
    assert {len(np.unique(image)) for image in changed} == {16, 32, 64, 128}


@pytest.mark.parametrize("policy", ["trivial", "randaugment", "augmix"])
def test_a_policy_draws_anew_in_every_compiled_step_and_the_same_in_every_repetition(policy):
    (layer,) = augmentation_layers(AugmentSection(policy=policy))
    inputs = keras.Input(PHOTO.shape[1:])
    # A step needs something to train: ones, at a rate of zero.
    ones = keras.layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer="ones")
    model = keras.Model(inputs, ones(layer(inputs)))
    seen = []

    class Keeper(keras.losses.Loss):
        """Lets a compiled training step tell what it saw: its loss is a digest of the pixels."""

        def call(self, y_true, y_pred):
            return keras.ops.mean(y_pred * y_true, axis=(1, 2, 3))

    weights = np.random.default_rng(1).normal(size=PHOTO.shape).astype("float32")
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=Keeper())

    def loss(step):
        model.reset_metrics()
        return float(step(PHOTO, weights))

    for _ in range(2):
        layer.generator.state.assign(np.array([3, 0], dtype="uint32"))
        seen.append([loss(model.train_on_batch) for _ in range(6)])
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 6
    assert loss(model.test_on_batch) == pytest.approx((PHOTO * weights).mean(), rel=1e-3)


def test_trivial_gives_each_image_its_own_operation():
    (layer,) = augmentation_layers(AugmentSection(policy="trivial"))
    same = np.repeat(PHOTO[:1], 64, axis=0)
    (changed,) = drawn([layer], 0, 0, same)
    assert len({image.tobytes() for image in changed}) > 30
