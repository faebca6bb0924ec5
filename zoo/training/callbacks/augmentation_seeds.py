"""Seeds what draws random numbers at each epoch's beginning."""

from collections.abc import Sequence
from typing import Any

import keras

from zoo.backend.distribution import mirrored
from zoo.data.augmentation.building import seed_augmentation
from zoo.models.arrays import seed_states


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


class DrawApart(keras.callbacks.Callback):
    """Lets each of several devices draw random numbers of its own; comes after what sets the generators."""

    def __init__(self, model: Any, layers: Sequence[Any]) -> None:
        """Prepares.

        Args:
            model: The whole model.
            layers: Those of augmentation and mixing.
        """
        super().__init__()
        self._states = [state for layer in (*model.layers, *layers) for state in seed_states(layer)]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the generators of all devices but the first, by that of the first."""
        mirrored.draw_apart(self._states)
