"""timm's backbone as a block of an Ultralytics model: in a file of its own, which a saved model names."""

import torch
from torch import nn


class TimmFeatures(nn.Module):
    """Features of photos that lie in [0, 1], as Ultralytics has them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Returns a map of features."""
        return self.model.forward_features(photos * 2 - 1)
