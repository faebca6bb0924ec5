"""From a registered name to a Keras model, and a model's way to disk and back."""

from zoo.models.counting import count_madds

__all__ = ["count_madds"]
