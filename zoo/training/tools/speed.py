"""How many images a second this machine takes forward, and in training, with three nets of different kinds."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo import registry
from zoo.backend import devices
from zoo.backend.compute import precision
from zoo.backend.hardware import allocator
from zoo.backend.keras_globals import pinned
from zoo.backend.keras_internals.native_operations import native_operations
from zoo.data import Batches
from zoo.freezing.plans import layers_of
from zoo.inference import engines
from zoo.inference.engines import AUTO, KERAS, Compiled
from zoo.models.building import build
from zoo.recipe.schema import Recipe
from zoo.training.compiling.schedules import LearningRateSchedule
from zoo.training.compiling.training_model import make_training_model
from zoo.training.trainable import apply_freezing

CLASSES, BATCH = 10, 32


@dataclass(frozen=True, kw_only=True)
class Net:
    """What is measured.

    Attributes:
        name: A registered model.
        size: The side of its images, in pixels.
    """

    name: str
    size: int


# A small net at full size, one for phones, and a large one, small enough that all take less than a minute.
NETS = (
    Net(name="mnist_conv", size=28),
    Net(name="efficientnet_lite0", size=224),
    Net(name="resnet50", size=128),
)


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What was measured of a net, with random weights and in batches of 32.

    Attributes:
        name: The net.
        size: The side of its images.
        forward: Images a second in inference, by Keras.
        engine: What runs frozen layers here, where they are run for long: `keras`, or another and its version.
        first_pass: Images a second by that.
        training: Images a second in training all layers.
    """

    name: str
    size: int
    forward: float
    engine: str
    first_pass: float
    training: float


def measure_speed(
    nets: Sequence[Net] = NETS, *, seconds: float = 3.0, clock: Callable[[], float] = time.perf_counter
) -> Iterator[Speed]:
    """Measures each net, forward, by the engine of first passes and in training.

    Args:
        nets: Which.
        seconds: Each of the three is measured for so long, or for a batch where one takes longer.
        clock: Tells the seconds.
    """
    allocator.keep_freed_memory()
    for net in nets:
        yield _measured(net, seconds, clock)


@pinned()
def _measured(net: Net, seconds: float, clock: Callable[[], float]) -> Speed:
    described = {"name": "doctor", "model": {"name": net.name}, "phases": [{"name": "all", "train": "all"}]}
    recipe = Recipe.model_validate({**described, "train": {"batch_size": BATCH}})
    policy = precision.resolve(recipe.train.precision, devices.accelerator())
    model = build(net.name, classes=CLASSES, input_shape=_shape(net), weights="none", precision=policy, dropout=None)
    phase = recipe.phases[0]
    apply_freezing(model, phase)
    drawn = np.random.default_rng(0)
    batches = Batches(
        images=drawn.integers(0, 256, (BATCH, *model.input_shape[1:]), np.uint8),
        labels=np.arange(BATCH) % CLASSES,
        classes=CLASSES,
        batch_size=BATCH,
        seed=0,
        shuffle=False,
    )
    images, labels = batches.batch(0, 0)
    predict = devices.predictor(model)
    forward = _images_a_second(lambda: np.asarray(predict(images)), seconds, clock)
    engine, compiled = _engine_for(model, images)
    first_pass = forward if compiled is None else _images_a_second(lambda: compiled.run(images), seconds, clock)
    rate = LearningRateSchedule.of_phase(phase, 1000)
    with native_operations(layers_of(model)):
        training = make_training_model(model, recipe, phase, rate, batches=batches, prefix=None).model
        trained = _images_a_second(lambda: training.train_on_batch(images, labels), seconds, clock)
    return Speed(name=net.name, size=net.size, forward=forward, engine=engine, first_pass=first_pass, training=trained)


def _engine_for(model: Any, images: np.ndarray) -> tuple[str, Compiled | None]:
    """Returns what runs frozen layers in place of Keras, by its name and version, where one may and proves equal."""
    choice = engines.asked()
    if choice != KERAS and not engines.why_keras(model):
        for name, engine in engines.ENGINES.items():
            if choice in (AUTO, name) and engine.is_installed:
                compiled = engines.prove(engine, model, images)
                if isinstance(compiled, Compiled):
                    return str(engine), compiled
    return KERAS, None


def _shape(net: Net) -> tuple[int, int, int]:
    return (net.size, net.size, registry.lookup(net.name).card.input_shape[-1])


def _images_a_second(take_batch: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    """Takes a batch, which traces, and then as many as the time has room for."""
    take_batch()
    began, batches = clock(), 0
    while True:
        take_batch()
        batches += 1
        if (taken := clock() - began) >= seconds:
            return round(BATCH * batches / taken, 1)
