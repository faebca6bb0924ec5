"""Whether a phase's frozen prefix is worth running once, where its activations are kept, and what that saves."""

import math
import time
from dataclasses import dataclass
from typing import Any, Literal

from zoo.backend.memory import has_memory
from zoo.data import Pixels
from zoo.inference.batches import predict_in_batches
from zoo.models.counting import count_madds
from zoo.system.cache import has_room, is_writable
from zoo.training.prefix.splitting import Prefix
from zoo.training.prefix.storing import KIND

# Where activations are, or will be.
Place = Literal["there", "on disk", "in memory"]

# Backward and update cost about twice a forward pass.
TRAINING_COST = 3
# What a file that was just written gives, in bytes a second, and a CPU core, in multiply-adds a second.
READING_SPEED = 1e9
COMPUTING_SPEED = 2e10


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What caching a phase's prefix would take and save.

    Attributes:
        bytes: Of all activations.
        first_pass_seconds: To compute them.
        epoch_seconds: Of an epoch from them.
        uncached_epoch_seconds: Of an epoch without them.
    """

    bytes: int
    first_pass_seconds: float
    epoch_seconds: float
    uncached_epoch_seconds: float

    def __str__(self) -> str:
        return (
            f"first pass {_seconds(self.first_pass_seconds)}, then {_seconds(self.epoch_seconds)} an epoch instead of "
            f"{_seconds(self.uncached_epoch_seconds)}; {self.bytes / 1e6:,.1f} MB"
        )


def _seconds(value: float) -> str:
    if value < 0.1:
        return "under 0.1 s"
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.0f} min"


def why_not_cached(prefix: Prefix, *, epochs: int, augmented: bool, views: int = 0) -> str:
    """Says why a phase's prefix is not cached; empty where it is.

    The answer rests on counts and not on the clock, so that a resumed or repeated run decides alike.

    Args:
        prefix: The frozen part.
        epochs: Of the phase.
        augmented: Whether each epoch draws its images anew.
        views: Fixed views of each image; 0 where it is taken as it is.
    """
    if augmented:
        return "augmentation draws the images anew in each epoch"
    if epochs < 2:
        return "one epoch runs the prefix once anyway"
    if epochs <= views:
        return f"{views} views of each image cost as much as the phase's {epochs} epochs"
    computing = count_madds(prefix.prefix) / COMPUTING_SPEED
    if is_counted(prefix.prefix) and bytes_of(prefix) / READING_SPEED > computing:
        return f"reading {bytes_of(prefix):,} bytes an image takes longer than computing them"
    return ""


def is_counted(model: Any) -> bool:
    """Returns whether `count_madds` sees all that a model computes; into a SavedModel's layer it cannot look."""
    kernels = ("kernel", "depthwise_kernel", "pointwise_kernel")
    return all(
        any(getattr(layer, name, None) is not None for name in kernels)
        or not any(len(weight.shape) > 1 for weight in layer.weights)
        for layer in model.layers
    )


def place_for(size: int, *, there: int = 0) -> Place | None:
    """Chooses where activations of so many bytes are kept: on disk, where the next run finds them, if they fit.

    Args:
        size: Of all activations, in bytes.
        there: Bytes of them that an interrupted first pass has taken from the disk already.
    """
    if is_writable(KIND) and has_room(size, there=there):
        return "on disk"
    return "in memory" if has_memory(size) else None


def bytes_of(prefix: Prefix) -> int:
    """Returns the bytes that the prefix gives for an image."""
    output = prefix.prefix.outputs[0]
    return math.prod(output.shape[1:]) * (2 if "16" in output.dtype else 4)


def forecast(prefix: Prefix, images: Pixels, *, count: int, per_epoch: int) -> Forecast:
    """Measures the prefix on a batch and says what caching costs and saves.

    Args:
        prefix: The frozen part.
        images: uint8[n, height, width, channels], some to measure on.
        count: Images to run it on, each view counted.
        per_epoch: Images of an epoch and its validation.
    """
    batch = images[: min(32, len(images))]
    predict_in_batches(prefix.prefix, batch)
    began = time.perf_counter()
    predict_in_batches(prefix.prefix, batch)
    each = (time.perf_counter() - began) / len(batch)
    below, above = count_madds(prefix.prefix), count_madds(prefix.suffix)
    seconds_a_madd = each / max(1, below) if is_counted(prefix.prefix) else 1 / COMPUTING_SPEED
    training = TRAINING_COST * above * seconds_a_madd
    size = count * bytes_of(prefix)
    return Forecast(
        bytes=size,
        first_pass_seconds=count * each,
        epoch_seconds=per_epoch * (training + bytes_of(prefix) / READING_SPEED),
        uncached_epoch_seconds=per_epoch * (each + training),
    )
