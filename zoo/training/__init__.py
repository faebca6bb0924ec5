"""From a recipe and a folder to a trained model; `run.py` tells the story."""

from zoo.backend.keras_globals import require_backend

# Its modules import Keras, which would fail in words of its own.
require_backend()
