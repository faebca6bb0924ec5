"""How photos were brought to the input where the accuracies of a family were measured."""

from collections.abc import Callable
from dataclasses import dataclass

from zoo.registry.fitting import ImageFit

# How many pixels the shorter side has beyond the input, in what EfficientNet's authors evaluate.
MARGIN = 32
# From this input size on, EfficientNetV2 is evaluated without a crop.
NO_CROP_FROM = 320


@dataclass(frozen=True)
class Measured:
    """How the accuracies of a family were measured.

    Attributes:
        fit: From the input size, how a photo was brought to it.
        source: Who says so.
    """

    fit: Callable[[int], ImageFit]
    source: str


def by_the_shorter_side(_: int) -> ImageFit:
    """Resizes the shorter side to 256 and cuts out 224 at the centre, or as much of other sizes."""
    return ImageFit(crop_share=0.875, interpolation="bicubic")


def by_a_margin(size: int) -> ImageFit:
    """Cuts out what leaves a margin of 32 pixels at the input's scale."""
    return ImageFit(crop_share=round(size / (size + MARGIN), 4), interpolation="bicubic")


def by_a_margin_or_whole(size: int) -> ImageFit:
    """The same, bilinear; a larger input takes the whole photo, whatever its shape."""
    if size >= NO_CROP_FROM:
        return ImageFit(resize="stretch")
    return ImageFit(crop_share=round(size / (size + MARGIN), 4))


def by_both_sides(_: int) -> ImageFit:
    """Stretches the central 0.875 of both sides."""
    return ImageFit(resize="stretch", crop_share=0.875)


# What the author of the table at ACCURACY_SOURCE says of all models that were in Keras then.
BY_KERAS = Measured(by_the_shorter_side, "https://github.com/keras-team/keras-applications/issues/88")
