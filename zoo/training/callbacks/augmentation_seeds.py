"""Seeds augmentation at each epoch's beginning."""

from collections.abc import Sequence
from typing import Any

import keras

from zoo.data.augmentation.building import seed_augmentation


class AugmentationSeeds(keras.callbacks.Callback):
    """Seeds augmentation at each epoch's beginning, so that a resumed epoch draws what it would have drawn."""

    def __init__(self, layers: Sequence[Any], *, seed: int, first_epoch: int) -> None:
        super().__init__()
        self._layers = layers
        self._seed = seed
        self._first_epoch = first_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the generators; `epoch` counts within the phase, the seed is that of the run's epoch."""
        seed_augmentation(self._layers, seed=self._seed, epoch=self._first_epoch + epoch)
