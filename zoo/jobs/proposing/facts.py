"""What a recipe is fitted to: the images as far as a sample of them shows, the machine, and the model's card."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.backend.memory import available_bytes
from zoo.data import Packing, Settings, Split, pack
from zoo.data.images.decoding import open_image
from zoo.data.inputs import Source
from zoo.data.packs.packing import most_bad
from zoo.errors import DataError
from zoo.models import weights
from zoo.registry import Card

# So many images, spread over all of them, say what all are like.
LOOKED_AT = 200
# With fewer nothing can be measured, nor an epoch be chosen.
FEWEST_IMAGES = 10
# Channels of a grey image that was saved in colours differ by what JPEG makes of them.
GREY_LEVELS, GREY_SHARE = 8, 0.98
# Side that colours are looked at in.
_LOOK = 32


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What images are like.

    Attributes:
        train: How many there are to learn from, those included that a share of validation takes.
        validation: How many the data's own validation split has; 0 where it has none.
        classes: How many.
        smallest: Training images of the rarest class.
        largest: Training images of the most frequent one.
        short_side: Median of the shorter side, in pixels.
        long_side: Median of the longer side.
        grey: Whether they have no colours.
        groups: Whether images belong together in groups.
    """

    train: int
    validation: int
    classes: int
    smallest: int
    largest: int
    short_side: int
    long_side: int
    grey: bool
    groups: bool = False

    @property
    def imbalance(self) -> float:
        """How many times the rarest class the most frequent one is."""
        return self.largest / max(1, self.smallest)


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What trains.

    Attributes:
        kind: `cpu`, `gpu` or `tpu`.
        name: As the backend calls it; of a CPU, the processor.
        cores: Processor cores that may be used.
        memory: Bytes that can be taken; None where the system does not say.
    """

    kind: str
    name: str
    cores: int
    memory: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What the rule goes by in a model.

    Attributes:
        name: As `zoo list` shows it.
        weights: The set that it begins with; empty where it begins with random numbers.
        size: Side that it is built for by default, in pixels.
        min_size: The smallest that it can be built for.
        channels: Of its input.
        params: Number of parameters, or None.
        madds: Multiply-adds of an image at `size`, or None.
        stages: How many, the head counted.
    """

    name: str
    weights: str
    size: int
    min_size: int
    channels: int
    params: int | None
    madds: int | None
    stages: int


def model_facts(name: str) -> ModelFacts:
    """Returns what the rule goes by in a model.

    Raises:
        NotFoundError: There is no such model.
        DataError: It takes no images, or needs more than a name.
    """
    card = registry.lookup(name).card
    if card.name == "tfhub" or len(card.input_shape) != 3:
        raise DataError(
            f"model '{name}' cannot be proposed by its name alone; expected one that 'zoo list' shows with an input "
            "in pixels; write its recipe by hand: docs/recipe.md"
        )
    return ModelFacts(
        name=card.name,
        weights=card.weights[0].name if card.weights else card.own_weights,
        size=card.input_shape[0],
        min_size=card.min_size,
        channels=card.input_shape[-1],
        params=card.params,
        madds=card.madds,
        stages=len(card.stages),
    )


def are_weights_here(card: Card) -> bool:
    """Returns whether a card's first weights are on this machine."""
    return bool(card.weights) and weights.locate(card.weights[0]) is not None


def machine_facts() -> MachineFacts:
    """Returns what trains; Keras is imported."""
    from zoo.backend import determinism, devices

    device = devices.accelerator()
    name = (determinism.processor() or "CPU") if device.kind == "cpu" else device.name
    return MachineFacts(kind=device.kind, name=name, cores=determinism.threads(), memory=available_bytes())


def data_facts(source: Source, place: str) -> DataFacts:
    """Looks at a sample of the images.

    Args:
        source: The data, opened; no image of it is decoded yet.
        place: What messages call it.

    Raises:
        DataError: There are too few images, or too many of those looked at cannot be read.
    """
    train = source.dataset.train
    if len(train) < FEWEST_IMAGES:
        raise DataError(
            f"{place}: {len(train)} training images of {len(source.dataset.classes)} classes; expected "
            f"{FEWEST_IMAGES} or more to fit a recipe to; add images, or take one that ships: 'zoo recipe ls'"
        )
    counts = np.bincount(train.labels, minlength=len(source.dataset.classes))
    sample = train.subset(spread(len(train), LOOKED_AT))
    colours = _seen(sample, place, check=source.check)
    sides = [found for index in range(len(sample)) if (found := _sides(sample.images[index])) is not None]
    short, long = (int(np.median([sorted(pair)[end] for pair in sides])) for end in (0, 1))
    own = source.dataset.validation
    return DataFacts(
        train=len(train),
        validation=len(own) if own is not None else 0,
        classes=len(source.dataset.classes),
        smallest=int(counts[counts > 0].min()),
        largest=int(counts.max()),
        short_side=short,
        long_side=long,
        grey=_is_grey(colours),
        groups=train.groups is not None,
    )


def spread(count: int, most: int) -> np.ndarray:
    """Returns up to so many row numbers, int64[m], spread over all."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _seen(sample: Split, place: str, *, check: str) -> np.ndarray:
    """Decodes the sample small.

    Returns:
        uint8[n, side, side, 3].

    Raises:
        DataError: So many cannot be read that training would stop.
    """
    found = pack(sample, Settings(height=_LOOK, width=_LOOK, channels=3), Packing(on_bad="leave_out", check=check))
    if len(found.skipped) > most_bad(len(sample)):
        first = found.skipped[0]
        raise DataError(
            f"{place}: {len(found.skipped)} of {len(sample)} images that were looked at cannot be read, such as "
            f"{first.path} ({first.reason}); expected at most 1 %; '{check} --fix-list out.txt' lists them all"
        )
    return np.asarray(found.images[:])


def _is_grey(pixels: np.ndarray) -> bool:
    """Returns whether nearly all images, uint8[n, height, width, 3], have no colours."""
    wide = pixels.astype(np.int16)
    apart = (wide.max(axis=-1) - wide.min(axis=-1)).reshape(len(wide), -1)
    return float((np.percentile(apart, 99, axis=1) <= GREY_LEVELS).mean()) >= GREY_SHARE


def _sides(image: Any) -> tuple[int, int] | None:
    """Returns width and height of an image; None where it cannot be opened, which packing reports."""
    try:
        if isinstance(image, Path):
            with open_image(image) as opened:
                return opened.width, opened.height
        if isinstance(image, np.ndarray):
            return image.shape[1], image.shape[0]
        return image.width, image.height
    except Exception:  # whatever is wrong with one
        return None


def sampled(split: Split, rows: Sequence[int] | np.ndarray) -> Split:
    """Returns some rows of a split, without groups, which a sample has no use for."""
    return replace(split.subset(np.asarray(rows, np.int64)), groups=None)
