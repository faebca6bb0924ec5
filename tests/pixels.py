"""The settings of pixels, as tests write them."""

from typing import Any

from zoo.data import Settings
from zoo.registry.fitting import ImageFit


def sized(*, height: int, width: int, channels: int, **fit: Any) -> Settings:
    """Settings of a size, with how a photo is brought to it beside it."""
    return Settings(height=height, width=width, channels=channels, fit=ImageFit(**fit))
