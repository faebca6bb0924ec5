"""Stripes that lie or stand, drawn by a formula: no file and no network."""

from zoo.registry.sources import SOURCES, SourceRequest, SourceRow
from zoo.registry.tables import Option


def draw(request: SourceRequest):
    import numpy as np

    from zoo.data import Dataset, Split

    side, count = request.options["side"], request.options["count"]
    labels = np.arange(count) % 2
    stripe = np.where(np.arange(side) // 2 % 2, 230, 20).astype(np.uint8)
    lying, standing = np.repeat(stripe[:, None], side, 1), np.repeat(stripe[None], side, 0)
    images = np.stack([(lying, standing)[label] for label in labels])
    names = {"plain": ("lying", "standing"), "loud": ("LYING", "STANDING")}[request.name]
    return Dataset(classes=names, train=Split(images=images, labels=labels), validation=None, test=None)


SOURCES.register(
    SourceRow(
        name="stripes",
        summary="stripes that lie or stand",
        takes_name=True,
        needs_path=False,
        takes_path=False,
        options={
            "side": Option(default=12, meaning="Of an image, in pixels.", at_least=4),
            "count": Option(default=16, meaning="How many images.", at_least=2),
        },
        build=draw,
    )
)
