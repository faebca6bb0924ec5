"""The 1-D, 2-D and 3-D example: counted by hand, and shown to learn what only the shape of a thing tells."""

import keras
import numpy as np
import pytest

import zoo

RNG = np.random.default_rng(0)
COUNT = 192


def signals():
    """Sines of 2, 5 and 11 periods at any phase and strength, in noise."""
    labels = np.arange(COUNT) % 3
    time = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    phase, strength = RNG.uniform(0, 2 * np.pi, (COUNT, 1)), RNG.uniform(30, 90, (COUNT, 1))
    waves = strength * np.sin(np.array([2, 5, 11])[labels][:, None] * time + phase)
    return np.clip(128 + waves + RNG.normal(0, 10, waves.shape), 0, 255)[..., None], labels


def images():
    """Stripes along one axis or the other, or a chequered ground, at any offset and colour."""
    labels = np.arange(COUNT) % 3
    y, x = np.mgrid[:32, :32]
    patterns = []
    for label, offset, colour in zip(
        labels, RNG.integers(0, 8, (COUNT, 2)), RNG.uniform(60, 255, (COUNT, 3)), strict=True
    ):
        rows, columns = (y + offset[0]) // 4 % 2, (x + offset[1]) // 4 % 2
        patterns.append([rows, columns, rows ^ columns][label][..., None] * colour)
    return np.array(patterns), labels


def volumes():
    """A ball, a rod or a plate somewhere in a cube of noise."""
    labels = np.arange(COUNT) % 3
    grid = np.stack(np.mgrid[:16, :16, :16], axis=-1)
    shapes = []
    for label, centre in zip(labels, RNG.uniform(6, 10, (COUNT, 3)), strict=True):
        away = np.abs(grid - centre)
        inside = [(away**2).sum(-1) < 12, (away[..., :2] < 1.2).all(-1), away[..., 0] < 1.2][label]
        shapes.append(inside * 150.0)
    return np.clip(np.array(shapes) + RNG.normal(40, 15, (COUNT, 16, 16, 16)), 0, 255)[..., None], labels


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("conv1d_small", signals),
        ("conv2d_small", images),
        pytest.param("conv3d_small", volumes, marks=pytest.mark.slow),
    ],
)
def test_it_learns_to_tell_generated_things_apart(name, data):
    keras.utils.set_random_seed(0)
    x, y = data()
    model = zoo.build(name, classes=3)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    train, test = slice(0, 128), slice(128, None)
    for _ in range(25):
        model.fit(x[train], y[train], batch_size=16, epochs=2, verbose=0)
        _, accuracy = model.evaluate(x[test], y[test], verbose=0)
        if accuracy >= 0.95:
            break
    assert accuracy >= 0.95


@pytest.mark.parametrize(
    ("name", "dimensions", "channels"), [("conv1d_small", 1, 1), ("conv2d_small", 2, 3), ("conv3d_small", 3, 1)]
)
def test_parameters_counted_by_hand(name, dimensions, channels):
    kernel = 3**dimensions
    convolutions = kernel * channels * 16 + kernel * 16 * 32 + kernel * 32 * 64
    batchnorms = 4 * (16 + 32 + 64)  # gamma, beta, mean, variance
    assert zoo.info(name).params == convolutions + batchnorms + 64 * 10 + 10
