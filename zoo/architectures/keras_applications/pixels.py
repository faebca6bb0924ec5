"""How each family of `keras.applications` wants its pixels: there they come in its range, here from [0, 255]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras import KerasTensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Means of the red, green and blue channel that VGG's authors, and the first ResNets', subtracted.
CAFFE_MEAN = (123.68, 116.779, 103.939)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a family does to pixels in [0, 255] before its first layer.

    Attributes:
        words: For the card.
        scale: By channel, red, green and blue.
        offset: By channel, added after scaling.
        reverse: Whether the channels go in as blue, green, red.
    """

    words: str
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    reverse: bool = False


def _standardised(words: str, mean: Sequence[float], std: Sequence[float]) -> Preprocessing:
    scale, offset = zip(*((1 / s, -m / s) for m, s in zip(mean, std, strict=True)), strict=True)
    return Preprocessing(words=words, scale=scale, offset=offset)


CAFFE = Preprocessing(
    words="channels reversed to BGR, less (103.939, 116.779, 123.68)",
    offset=(-CAFFE_MEAN[0], -CAFFE_MEAN[1], -CAFFE_MEAN[2]),
    reverse=True,
)
SYMMETRIC = _standardised("pixels / 127.5 - 1", (127.5,) * 3, (127.5,) * 3)
BY_128 = _standardised("(pixels - 128) / 128", (128.0,) * 3, (128.0,) * 3)
IMAGENET = _standardised(
    "(pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)",
    [255 * mean for mean in IMAGENET_MEAN],
    [255 * std for std in IMAGENET_STD],
)
IN_THE_WEIGHTS = Preprocessing(words="pixels / 255, then normalised by mean and variance that belong to the weights")


def normalise(inputs: "KerasTensor", pixels: Preprocessing) -> "KerasTensor":
    """Brings pixels in [0, 255] to the family's range; a fourth channel goes the mean way of the three."""
    import keras

    if pixels is IN_THE_WEIGHTS:
        return inputs
    channels = inputs.shape[-1]

    def by_channel(values: Sequence[float]) -> list[float]:
        return [*values, *[sum(values) / 3] * (channels - 3)]

    # Keras takes lists too, though its annotation says numbers.
    scale: Any = by_channel(pixels.scale)
    offset: Any = by_channel(pixels.offset)
    x: Any = keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")(inputs)
    if not pixels.reverse:
        return x
    order = [2, 1, 0, *range(3, channels)]
    taken: Any = keras.ops.take(x, order, axis=-1)
    return taken
