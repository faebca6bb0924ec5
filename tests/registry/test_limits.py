"""What the tables allow works: each number option has limits on both sides, and at them nothing fails or is NaN."""

import math

import numpy as np
import pytest

from zoo.backend.float32 import LARGEST, SMALLEST, in_float32
from zoo.registry.augmentations import AUGMENTATIONS
from zoo.registry.losses import LOSSES
from zoo.registry.optimizers import OPTIMIZERS
from zoo.registry.schedules import SCHEDULES
from zoo.registry.tables import Option

TABLES = {table.kind: table for table in (OPTIMIZERS, LOSSES, SCHEDULES, AUGMENTATIONS)}


def like(option):
    """Gives the type of the option's values."""
    return type(option.default[0] if isinstance(option.default, tuple) else option.default)


OPTIONS = [
    (kind, row.name, name)
    for kind, table in TABLES.items()
    for row in table.rows()
    if row.is_shipped
    for name, option in row.options.items()
    if like(option) in (int, float)
]


def ends(option):
    """Gives the least and the largest value that the option takes."""
    low = option.at_least if option.above is None else np.nextafter(np.float32(option.above), np.float32(np.inf))
    high = option.at_most if option.below is None else np.nextafter(np.float32(option.below), np.float32(-np.inf))
    values = [
        like(option)(SMALLEST if option.above == 0 else low),
        like(option)(-SMALLEST if option.below == 0 else high),
    ]
    assert all(option.takes([value] if isinstance(option.default, tuple) else value) for value in values), values
    return [(value, value) if isinstance(option.default, tuple) else value for value in values]


@pytest.mark.parametrize(("kind", "row", "name"), OPTIONS)
def test_a_number_has_a_limit_on_both_sides(kind, row, name):
    option = TABLES[kind].lookup(row).options[name]
    assert option.above is not None or option.at_least is not None
    assert option.below is not None or option.at_most is not None


@pytest.mark.parametrize(("kind", "row", "name"), OPTIONS)
def test_what_an_option_takes_works(kind, row, name):
    found = TABLES[kind].lookup(row)
    for value in ends(found.options[name]):
        options = found.filled({name: value})
        given = TRIES[kind](found, options)
        assert np.isfinite(given).all(), f"{name} = {value}"


def optimizer(row, options):
    import keras

    variable = keras.Variable(np.ones((4, 4), "float32"), name="kernel")
    made = row.build()(learning_rate=1e-3, **{**row.arguments(keras.Sequential([]), 0.0), **options})
    for _ in range(3):
        made.apply_gradients([(keras.ops.convert_to_tensor(np.full((4, 4), 0.5, "float32")), variable)])
    return variable.numpy()


def loss(row, options):
    taken = {"class_weights": None, "label_smoothing": 0.0}
    built = row.build(**{name: taken[name] for name in row.takes}, **options)
    return np.asarray(built(np.eye(3, dtype="float32"), np.full((3, 3), 1 / 3, "float32")))


def schedule(row, options):
    from keras import ops

    fall = row.build(**options).fall
    shares = np.asarray([fall(ops.convert_to_tensor(np.float32(done)), ops) for done in (0, 1e-7, 0.3, 0.5, 1)])
    assert (shares >= 0).all()
    assert (shares <= 1).all()
    return shares


def augmentation(row, options):
    layer = row.build(channels=3, name="tried", **options)
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("float32")
    return np.asarray(layer(images, training=True))


@pytest.mark.parametrize("t_mul", [0.1, 10.0])
@pytest.mark.parametrize("m_mul", [1e-37, 1.0])
def test_cycles_that_are_too_short_to_tell_are_no_fault(t_mul, m_mul):
    row = SCHEDULES.lookup("cosine_restarts")
    assert np.isfinite(schedule(row, row.filled({"cycles": 100, "t_mul": t_mul, "m_mul": m_mul}))).all()


TRIES = {"optimizer": optimizer, "loss": loss, "schedule": schedule, "augmentation": augmentation}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.1, float(np.float32(0.1))),
        (0.99999999, 1.0),
        (0, 0.0),
        (LARGEST, LARGEST),
        (SMALLEST, SMALLEST),
        (LARGEST * 1.0001, None),
        (SMALLEST * 0.999, None),
        (-1e39, None),
        (5e-324, None),
        (10**400, None),
        (math.inf, None),
        (math.nan, None),
    ],
)
def test_a_number_is_the_one_of_float32_or_none(number, expected):
    assert in_float32(number) == expected


@pytest.mark.parametrize("value", [0.99999999, 5e-324, 1e-40, 1 - 1e-12, 10**400, -1e-50])
def test_an_option_takes_what_float32_has_within_the_limits(value):
    assert not Option(default=0.9, at_least=0, below=1).takes(value)


def test_a_list_and_a_text_of_an_option_have_limits_too():
    assert Option(default=(0.5,)).takes([0.5] * 100)
    assert not Option(default=(0.5,)).takes([0.5] * 101)
    assert not Option(default="a").takes("a" * 1_001)
    assert not Option(default=1).takes(2**60)
