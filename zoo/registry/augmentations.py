"""What changes training images at random: the open table of `[augment]`, with the facts of each change."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from zoo.errors import shown
from zoo.registry.tables import Row, Table

NONE = "none"


@dataclass(frozen=True, kw_only=True)
class AugmentationRow(Row):
    """A random change to images.

    Its `build` takes the keyword arguments `channels`, `name` and the options, and returns a Keras layer. The layer
    takes and gives float32[batch, height, width, channels] in [0, 255], and changes nothing outside of training. Where
    it draws, it draws from `keras.random.SeedGenerator`s alone, of which `generator` is the first: zoo seeds that one
    at the beginning of each epoch, so that a repeated and a resumed run draw the same.

    Attributes:
        channels: How many channels the images may have.
        is_policy: Whether `augment.policy` can name it.
    """

    channels: tuple[int, ...] = (1, 3)
    is_policy: bool = False

    def faults(self) -> Iterator[str]:
        """Yields what is wrong about the row itself."""
        yield from super().faults()
        channels = cast("object", self.channels)
        if not (isinstance(channels, tuple) and channels):
            yield f"channels is {shown(channels)}; expected a tuple such as (1, 3)"
        if self.name == NONE:
            yield f"its name is '{NONE}', which changes nothing; expected another name"


AUGMENTATIONS = Table(
    "augmentation", group="zoo.augmentations", row=AugmentationRow, built_in=["zoo.data.augmentation.rows"]
)


def policies() -> list[str]:
    """Returns what `augment.policy` can be, `none` first."""
    return [NONE, *(row.name for row in AUGMENTATIONS.rows() if row.is_policy)]
