"""The random changes that zoo has, as rows of the open table. Keras is imported when one is built.

What `[augment]` has a key for comes first, then the policies, then what `augment.layers` names.
"""

import math
from typing import TYPE_CHECKING, Any

from zoo.registry.augmentations import AUGMENTATIONS, AugmentationRow
from zoo.registry.tables import Option

if TYPE_CHECKING:
    import keras

# Of every layer; the seed is another one for each epoch.
_DRAWN: dict[str, Any] = {"seed": 0, "dtype": "float32"}
_COLOUR = (3,)


def _flip(*, channels: int, name: str, axis: str) -> "keras.layers.Layer":
    from keras import layers

    return layers.RandomFlip(mode=axis, **_DRAWN, name=name)


def _rotation(*, channels: int, name: str, degrees: float) -> "keras.layers.Layer":
    from keras import layers

    from zoo.data.augmentation.layers import FILL

    return layers.RandomRotation(factor=degrees / 360, **FILL, **_DRAWN, name=name)


def _translation(*, channels: int, name: str, share: float) -> "keras.layers.Layer":
    from keras import layers

    from zoo.data.augmentation.layers import FILL

    return layers.RandomTranslation(height_factor=share, width_factor=share, **FILL, **_DRAWN, name=name)


def _zoom(*, channels: int, name: str, share: float) -> "keras.layers.Layer":
    from keras import layers

    from zoo.data.augmentation.layers import FILL

    return layers.RandomZoom(height_factor=(-share, share), **FILL, **_DRAWN, name=name)


def _crop(*, channels: int, name: str, share: float) -> "keras.layers.Layer":
    from zoo.data.augmentation.layers import RandomWindow

    return RandomWindow(smallest=1 - share, **_DRAWN, name=name)


def _color(*, channels: int, name: str, strength: float) -> "keras.layers.Layer":
    from keras import layers

    factors: dict[str, Any] = {"brightness_factor": strength, "contrast_factor": strength}
    if channels == 3:
        # 0 is grey, 0.5 the image itself.
        factors["saturation_factor"] = (0.5 - strength / 2, 0.5 + strength / 2)
    return layers.RandomColorJitter(**factors, **_DRAWN, name=name)


def _erasing(*, channels: int, name: str, probability: float) -> "keras.layers.Layer":
    from keras import layers

    from zoo.data.augmentation.layers import VALUE_RANGE

    # A tuple, since Keras draws the probability itself from a range; areas of arXiv:1708.04896, section 3.1.
    settings: dict[str, Any] = {"factor": (probability,) * 2, "scale": (0.02, 0.4), "value_range": VALUE_RANGE}
    return layers.RandomErasing(**settings, **_DRAWN, name=name)


# Each policy with the share of the largest strengths that its paper uses.


def _trivial(*, channels: int, name: str) -> "keras.layers.Layer":
    from zoo.data.augmentation.policies import TrivialAugment

    return TrivialAugment(strength=1.0, channels=channels, **_DRAWN, name=name)


def _randaugment(*, channels: int, name: str) -> "keras.layers.Layer":
    from zoo.data.augmentation.policies import RandAugment

    return RandAugment(strength=0.5, channels=channels, **_DRAWN, name=name)


def _augmix(*, channels: int, name: str) -> "keras.layers.Layer":
    from zoo.data.augmentation.policies import AugMix

    return AugMix(strength=0.3, channels=channels, **_DRAWN, name=name)


def _sometimes(operation: Any, probability: float, name: str) -> "keras.layers.Layer":
    from zoo.data.augmentation.layers import Sometimes

    return Sometimes(operation, probability=probability, **_DRAWN, name=name)


def _solarize(*, channels: int, name: str, threshold: float, probability: float) -> "keras.layers.Layer":
    from zoo.data.augmentation.layers import Solarization

    return _sometimes(Solarization(255 * threshold), probability, name)


def _posterize(*, channels: int, name: str, bits: int, probability: float) -> "keras.layers.Layer":
    from keras import layers

    return _sometimes(layers.RandomPosterization((bits,) * 2, **_DRAWN), probability, name)


def _grayscale(*, channels: int, name: str, probability: float) -> "keras.layers.Layer":
    from keras import layers

    return layers.RandomGrayscale(factor=probability, **_DRAWN, name=name)


def _blur(*, channels: int, name: str, sigma: float, probability: float) -> "keras.layers.Layer":
    from keras import layers

    width = 2 * math.ceil(2 * sigma) + 1
    settings: dict[str, Any] = {"factor": (1.0, 1.0), "kernel_size": (width, width), "sigma": (min(0.1, sigma), sigma)}
    return _sometimes(layers.RandomGaussianBlur(**settings, **_DRAWN), probability, name)


def _sharpness(*, channels: int, name: str, strength: float) -> "keras.layers.Layer":
    from keras import layers

    # 0.5 is the image itself.
    return layers.RandomSharpness((0.5 - strength / 2, 0.5 + strength / 2), **_DRAWN, name=name)


def _equalize(*, channels: int, name: str, probability: float) -> "keras.layers.Layer":
    from zoo.data.augmentation.layers import Equalization

    return _sometimes(Equalization(), probability, name)


def _autocontrast(*, channels: int, name: str, probability: float) -> "keras.layers.Layer":
    from keras import layers

    return _sometimes(layers.AutoContrast(dtype="float32"), probability, name)


def _shear(*, channels: int, name: str, share: float) -> "keras.layers.Layer":
    from keras import layers

    from zoo.data.augmentation.layers import FILL

    return layers.RandomShear(x_factor=share, y_factor=share, **FILL, **_DRAWN, name=name)


def _probability(default: float) -> Option:
    return Option(default=default, meaning="How likely each image is changed.", at_least=0, at_most=1)


def _share(meaning: str, default: float = 0.1) -> Option:
    return Option(default=default, meaning=meaning, at_least=0, at_most=1)


_AXIS = Option(default="horizontal", meaning="Which way images are mirrored.", choices=("horizontal", "vertical"))
_ROWS = (
    AugmentationRow(name="flip", summary="mirrors half of the images", options={"axis": _AXIS}, build=_flip),
    AugmentationRow(
        name="rotation",
        summary="turns images",
        options={"degrees": Option(default=10.0, meaning="Largest turn to either side.", at_least=0, at_most=180)},
        build=_rotation,
    ),
    AugmentationRow(
        name="translation",
        summary="shifts images",
        options={"share": _share("Largest shift, as a share of the side.")},
        build=_translation,
    ),
    AugmentationRow(
        name="zoom",
        summary="makes images smaller or larger",
        # Keras takes no image to be zoomed in by all of its side.
        options={
            "share": Option(default=0.1, meaning="Largest change of size, as a share.", at_least=0, at_most=0.999)
        },
        build=_zoom,
    ),
    AugmentationRow(
        name="crop",
        summary="brings a window at a random place to full size",
        options={
            "share": Option(
                default=0.1, meaning="Largest share of the side that is cut away.", at_least=0, at_most=0.999
            )
        },
        build=_crop,
    ),
    AugmentationRow(
        name="color",
        summary="changes brightness, contrast and, in RGB images, saturation",
        options={"strength": Option(default=0.1, meaning="Largest change.", at_least=0, at_most=0.999)},
        build=_color,
    ),
    AugmentationRow(
        name="erasing",
        summary="puts noise over a rectangle",
        options={"probability": _probability(0.25)},
        build=_erasing,
    ),
    AugmentationRow(
        name="randaugment",
        summary="two random operations, one after the other",
        is_policy=True,
        build=_randaugment,
    ),
    AugmentationRow(name="augmix", summary="chains of random operations, mixed", is_policy=True, build=_augmix),
    AugmentationRow(name="trivial", summary="one random operation for each image", is_policy=True, build=_trivial),
    AugmentationRow(
        name="solarize",
        summary="inverts bright pixels",
        options={
            "threshold": _share("The brightness from which on they are inverted, as a share of 255.", 0.5),
            "probability": _probability(0.2),
        },
        build=_solarize,
    ),
    AugmentationRow(
        name="posterize",
        summary="keeps few bits of each value",
        options={
            "bits": Option(default=4, meaning="How many are kept.", at_least=1, at_most=8),
            "probability": _probability(0.2),
        },
        build=_posterize,
    ),
    AugmentationRow(
        name="grayscale",
        summary="takes the colours away",
        options={"probability": _probability(0.2)},
        channels=_COLOUR,
        build=_grayscale,
    ),
    AugmentationRow(
        name="blur",
        summary="blurs images by a Gaussian",
        options={
            "sigma": Option(default=1.0, meaning="Its largest standard deviation, in pixels.", above=0, at_most=20),
            "probability": _probability(0.2),
        },
        build=_blur,
    ),
    AugmentationRow(
        name="sharpness",
        summary="sharpens or softens images",
        options={"strength": _share("Largest change.", 0.3)},
        build=_sharpness,
    ),
    AugmentationRow(
        name="equalize",
        summary="spreads the values of each channel evenly",
        options={"probability": _probability(0.2)},
        build=_equalize,
    ),
    AugmentationRow(
        name="autocontrast",
        summary="stretches values to the whole range",
        options={"probability": _probability(0.2)},
        build=_autocontrast,
    ),
    AugmentationRow(
        name="shear",
        summary="slants images",
        options={"share": _share("Largest shift of a row or column, as a share of the side.")},
        build=_shear,
    ),
)
for _row in _ROWS:
    AUGMENTATIONS.register(_row)
