import keras
import numpy as np
import pytest

from zoo.data.augmentation.building import augmentation_layers, flip_warning, seed_augmentation
from zoo.recipe.schema import AugmentSection

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 12, 12, 1)).astype("float32")


def drawn(layers, seed, epoch, images=IMAGES, steps=1):
    seed_augmentation(layers, seed=seed, epoch=epoch)
    apply = keras.Sequential(layers)
    return [keras.ops.convert_to_numpy(apply(images, training=True)) for _ in range(steps)]


def test_nothing_asked_for_gives_no_layer():
    assert augmentation_layers(AugmentSection()) == []


def test_the_order_is_flip_rotation_translation_zoom():
    layers = augmentation_layers(AugmentSection(zoom=0.1, translation=0.1, rotation=5.0, flip="both"))
    assert [layer.name for layer in layers] == [
        "augment_mirror",
        "augment_upend",
        "augment_rotation",
        "augment_translation",
        "augment_zoom",
    ]


@pytest.mark.parametrize(("flip", "axes"), [("horizontal", [2]), ("vertical", [1]), ("both", [1, 2])])
def test_a_flip_mirrors_some_images_and_leaves_the_others(flip, axes):
    (flipped,) = drawn(augmentation_layers(AugmentSection(flip=flip)), 0, 0, np.repeat(IMAGES, 8, axis=0))
    sources = np.repeat(IMAGES, 8, axis=0)
    candidates = [sources, *(np.flip(sources, axis) for axis in axes), np.flip(sources, tuple(axes))]
    which = [[np.array_equal(image, c[row]) for c in candidates] for row, image in enumerate(flipped)]
    assert all(any(matches) for matches in which)
    assert {matches.index(True) for matches in which} == set(range(2 ** len(axes)))


def test_a_rotation_turns_at_most_by_its_degrees_about_the_centre():
    # A dot at the right edge of a 101-pixel image, turned by t degrees, lies 50 sin(t) pixels from the middle row.
    image = np.zeros((64, 101, 101, 1), "float32")
    image[:, 49:52, 98:101] = 255
    (turned,) = drawn(augmentation_layers(AugmentSection(rotation=20.0)), 0, 0, image)
    rows = (turned.sum(axis=(2, 3)) * np.arange(101)).sum(axis=1) / turned.sum(axis=(1, 2, 3))
    angles = np.degrees(np.arcsin(np.clip((rows - 50) / 49, -1, 1)))
    assert np.abs(angles).max() <= 20.5
    assert angles.min() < -10 and angles.max() > 10


def test_what_comes_in_from_outside_is_black():
    white = np.full((32, 20, 20, 1), 255.0, "float32")
    (moved,) = drawn(augmentation_layers(AugmentSection(translation=0.25)), 0, 0, white)
    shares = (moved < 1).mean(axis=(1, 2, 3))
    assert shares.max() > 0.2
    assert shares.max() <= 1 - 0.75**2 + 0.05
    assert (moved >= 0).all() and (moved <= 255.01).all()


def test_what_is_drawn_is_a_function_of_seed_epoch_and_step():
    settings = AugmentSection(rotation=30.0, translation=0.2, zoom=0.2, flip="horizontal")
    first = drawn(augmentation_layers(settings), 3, 5, steps=3)
    again = drawn(augmentation_layers(settings), 3, 5, steps=3)
    assert [a.tobytes() for a in first] == [b.tobytes() for b in again]
    others = [
        first[1],
        first[2],
        *drawn(augmentation_layers(settings), 3, 6),
        *drawn(augmentation_layers(settings), 4, 5),
    ]
    assert all(not np.array_equal(first[0], other) for other in others)


def test_nothing_changes_outside_of_training():
    layers = augmentation_layers(AugmentSection(rotation=30.0, translation=0.2, zoom=0.2, flip="both"))
    assert np.array_equal(keras.Sequential(layers)(IMAGES, training=False), IMAGES)


def test_a_flip_of_digits_is_warned_of():
    digits = tuple("0123456789")
    assert flip_warning(AugmentSection(flip="horizontal"), digits) == (
        'augment.flip = "horizontal" mirrors characters: the classes are 0, 1, 2, 3, ..., and a mirrored 2 is not a 2; '
        'expected flip = "none"'
    )
    assert flip_warning(AugmentSection(), digits) is None
    assert flip_warning(AugmentSection(flip="horizontal"), ("cat", "dog")) is None
