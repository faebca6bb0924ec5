"""From a folder, an archive or a name to batches of pixels: open, pack, batch."""

from zoo.data.batches import Batches, split_share
from zoo.data.dataset import Dataset, Split
from zoo.data.folders import image_files
from zoo.data.packing import Pack, Skipped, fit_image, pack, read_image
from zoo.data.sources import open_dataset

__all__ = [
    "Batches",
    "Dataset",
    "Pack",
    "Skipped",
    "Split",
    "fit_image",
    "image_files",
    "open_dataset",
    "pack",
    "read_image",
    "split_share",
]
