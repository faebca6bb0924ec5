"""How large the pixels are to be and of what kind: what decides the pixels of a decoded image."""

import math
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import DataError
from zoo.registry.fitting import ImageFit

# Pillow's mode by the number of channels.
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The size and kind of the pixels that are wanted.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for RGB.
        fit: How a photo of another size or shape is brought to it.

    Raises:
        DataError: Settings out of range.
    """

    height: int
    width: int
    channels: int
    fit: ImageFit = field(default_factory=ImageFit)

    def __post_init__(self) -> None:
        if self.channels not in MODES:
            raise DataError(f"The images are to have {self.channels} channels; expected 1 (grey) or 3 (RGB).")
        if self.height < 1 or self.width < 1:
            raise DataError(f"data.image_size is {self.height} x {self.width} pixels; expected 1 x 1 or more.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels

    @property
    def side(self) -> int:
        """How many pixels a photo's sides need, so that what is cut out of it is not scaled up."""
        return math.ceil(max(self.height, self.width) / self.fit.crop_share)

    def described(self) -> dict[str, Any]:
        """Returns all that decides the pixels of a decoded image, as plain data."""
        return {"height": self.height, "width": self.width, "channels": self.channels, **self.fit.described()}
