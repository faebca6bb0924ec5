"""A layer of `keras.applications` that Keras does not publish."""

import importlib
from typing import Any

from zoo.backend.keras_internals.guard import private


def layer_scale(initial: float, width: int, *, name: str) -> Any:
    """Makes ConvNeXt's layer that multiplies each channel by a learned scale.

    By Keras' own class, so that a model which Keras saves is one that Keras alone can load:
    https://github.com/keras-team/keras/blob/v3.15.1/keras/src/applications/convnext.py
    """
    source = "keras/src/applications/convnext.py"
    module = importlib.import_module("keras.src.applications.convnext")
    return private(module, "LayerScale", source=source)(initial, width, name=name)
