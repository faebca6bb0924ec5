"""From a folder, an archive or a name to batches of pixels: open, pack, batch.

Every name is loaded when it is first used: the rows of sources and augmentations are listed without NumPy.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.data.batches import Batches
    from zoo.data.dataset import Dataset, Split
    from zoo.data.images.reading import fit_image, read_image
    from zoo.data.images.settings import Settings
    from zoo.data.packs.packing import CHECK, Pack, Packing, Skipped, pack
    from zoo.data.packs.pixels import Pixels
    from zoo.data.sources.objects.in_code import InCode, read_in_code
    from zoo.data.sources.opening import open_dataset
    from zoo.data.sources.trees.folders import image_files
    from zoo.data.splitting import split_share

__all__ = [
    "CHECK",
    "Batches",
    "Dataset",
    "InCode",
    "Pack",
    "Packing",
    "Pixels",
    "Settings",
    "Skipped",
    "Split",
    "fit_image",
    "image_files",
    "open_dataset",
    "pack",
    "read_image",
    "read_in_code",
    "split_share",
]

_HOMES = {
    "CHECK": "packs.packing",
    "Batches": "batches",
    "Dataset": "dataset",
    "InCode": "sources.objects.in_code",
    "Pack": "packs.packing",
    "Packing": "packs.packing",
    "Pixels": "packs.pixels",
    "Settings": "images.settings",
    "Skipped": "packs.packing",
    "Split": "dataset",
    "fit_image": "images.reading",
    "image_files": "sources.trees.folders",
    "open_dataset": "sources.opening",
    "pack": "packs.packing",
    "read_image": "images.reading",
    "read_in_code": "sources.objects.in_code",
    "split_share": "splitting",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo.data' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"zoo.data.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
