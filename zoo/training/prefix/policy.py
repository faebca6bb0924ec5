"""Whether a phase's frozen prefix is worth running once, where its activations are kept, and what that saves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from zoo.backend.memory import has_memory
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
class Saving:
    """What a first pass took, and what it saves.

    Attributes:
        first_pass_seconds: That it took.
        epoch_seconds: Of an epoch from what is kept, as far as can be told from counts.
        uncached_epoch_seconds: Of an epoch without it.
    """

    first_pass_seconds: float
    epoch_seconds: float
    uncached_epoch_seconds: float

    def __str__(self) -> str:
        return (
            f"first pass {_seconds(self.first_pass_seconds)}, then {_seconds(self.epoch_seconds)} an epoch instead of "
            f"{_seconds(self.uncached_epoch_seconds)}"
        )


def _seconds(value: float) -> str:
    if value < 0.1:
        return "under 0.1 s"
    return f"{value:.1f} s" if value < 100 else f"{value / 60:.0f} min"


def why_never(prefix: Prefix | None, *, epochs: int, augmented: bool, views: int = 0) -> str:
    """Says why what a phase's prefix gives is not kept, whatever other phases do; empty where it may be.

    Args:
        prefix: The frozen part, or None.
        epochs: Of the phase.
        augmented: Whether each epoch draws its images anew.
        views: Fixed views of each image; 0 where it is taken as it is.
    """
    if prefix is None:
        return "nothing is frozen below what is trained"
    if augmented:
        return "augmentation draws the images anew in each epoch"
    # What is needed once is written for that alone.
    moves = 2 if epochs <= max(1, views) else 1
    computing = count_madds(prefix.prefix) / COMPUTING_SPEED
    if is_counted(prefix.prefix) and moves * bytes_of(prefix) / READING_SPEED > computing:
        return f"reading {bytes_of(prefix):,} bytes an image takes longer than computing them"
    return ""


def why_not_once(phases: Sequence[tuple[int, int]], *, views: int = 0) -> str:
    """Says why the prefixes of some phases are not run in one pass in the first of them; empty where they are.

    Args:
        phases: The epochs of each and what its prefix costs, the first one's first, which holds the others.
        views: Fixed views of each image; 0 where it is taken as it is.
    """
    passes = max(1, views)
    (epochs, cost), *later = phases
    # A later phase can run its prefix in each epoch, or once in a pass of its own.
    saved = epochs * cost + sum(min(each, passes) * its_cost for each, its_cost in later)
    if saved > passes * cost:
        return ""
    if epochs < 2:
        return "one epoch runs the prefix once anyway"
    return f"{views} views of each image cost as much as the phase's {epochs} epochs"


def cost_of(prefix: Prefix | None) -> int:
    """Returns what a prefix costs for an image, beside others of the same model."""
    return max(1, count_madds(prefix.prefix)) if prefix is not None and is_counted(prefix.prefix) else 1


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


def saving(prefix: Prefix, *, seconds: float, computed: int, per_epoch: int) -> Saving:
    """Says what a first pass saves, by what it took.

    Args:
        prefix: The frozen part.
        seconds: That it took.
        computed: Images that went through it.
        per_epoch: Images of an epoch and its validation.
    """
    each = seconds / computed
    below, above = count_madds(prefix.prefix), count_madds(prefix.suffix)
    seconds_a_madd = each / max(1, below) if is_counted(prefix.prefix) else 1 / COMPUTING_SPEED
    training = TRAINING_COST * above * seconds_a_madd
    return Saving(
        first_pass_seconds=seconds,
        epoch_seconds=per_epoch * (training + bytes_of(prefix) / READING_SPEED),
        uncached_epoch_seconds=per_epoch * (each + training),
    )
