"""From a folder, an archive or a name to batches of pixels: open, pack, batch."""

from zoo.data.batches import Batches, split_share
from zoo.data.dataset import Dataset, Split
from zoo.data.decoding import fit_image, read_image
from zoo.data.folders import image_files
from zoo.data.in_code import InCode, read_in_code
from zoo.data.packing import Pack, Skipped, pack
from zoo.data.pixels import Pixels
from zoo.data.sources import open_dataset

__all__ = [
    "Batches",
    "Dataset",
    "InCode",
    "Pack",
    "Pixels",
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
