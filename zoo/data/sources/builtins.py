"""`builtin:NAME`: small data sets that Keras downloads, and one that ships with zoo."""

from pathlib import Path

import numpy as np

from zoo.data.dataset import Dataset
from zoo.data.sources.arrays import Arrays, array_dataset, open_npz, read_idx, read_npz
from zoo.errors import DataError
from zoo.registry.sources import SourceRequest

# The fine labels, as the data set's own meta file names them.
_CIFAR_100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""
# In the order of their labels, which is the order of the classes too.
_CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": tuple(_CIFAR_100.split()),
}
_SAMPLE = Path(__file__).parents[2] / "assets" / "fashion_sample.npz"


def open_builtin(request: SourceRequest) -> Dataset:
    """Opens a built-in data set: downloaded by Keras, shipped, or from a local copy.

    Raises:
        DataError: The download failed, or the path holds no copy.
    """
    name, path = request.name, request.path
    if name == "fashion_sample":
        return open_npz(SourceRequest(path=_SAMPLE))
    if path is None:
        return array_dataset(request.source, _download(name), _CLASSES[name])
    if path.is_dir() and not name.startswith("cifar"):
        return array_dataset(str(path), read_idx(path), _CLASSES[name])
    if path.is_dir():
        raise DataError(f"{path}: is a folder; builtin:{name} expects {_local_copy(name)}. Point --data at the file.")
    return array_dataset(str(path), read_npz(path)[0], _CLASSES[name])


def _local_copy(name: str) -> str:
    """Says what a local copy may be: colour images do not come as IDX files."""
    archive = "an .npz file with x_train, y_train, x_test, y_test"
    return archive if name.startswith("cifar") else f"{archive}, or a folder of MNIST-style IDX files"


def _download(name: str) -> Arrays:
    try:
        from keras import datasets  # loads a whole backend: only for those who need the download

        loaded: tuple[tuple[np.ndarray, np.ndarray], ...] = getattr(datasets, name).load_data()
    except Exception as fault:  # Keras raises a bare Exception when a download fails
        reason = " ".join(str(fault).split())
        raise DataError(
            f"builtin:{name}: the download failed ({reason}). Give a local copy with --data PATH: {_local_copy(name)}."
        ) from fault
    return dict(zip(("train", "test"), loaded, strict=True))
