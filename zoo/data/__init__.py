"""From a folder, an archive or a name to batches of pixels: open, pack, batch."""

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
