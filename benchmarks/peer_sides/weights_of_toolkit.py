"""Writes the toolkit's ImageNet weights for its peers: a backbone of plain Keras, and arrays in the net's order.

    python weights_of_toolkit.py FOLDER

It runs in the toolkit's environment; weights_of_timm.py goes on from there.
"""

import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Writes keras/backbone.keras, and arrays.npz with some images and their logits."""
    import keras
    import numpy as np

    import zoo

    model: Any = zoo.build("efficientnet_lite0", weights="imagenet")
    backbone = keras.Model(model.input, model.get_layer("head_pool").output)
    (folder / "keras").mkdir(parents=True, exist_ok=True)
    backbone.save(folder / "keras" / "backbone.keras")
    images = np.random.default_rng(0).integers(256, size=(4, 224, 224, 3), dtype=np.uint8)
    # Smoother than noise: blocks of 16 pixels.
    images = images[:, ::16, ::16].repeat(16, axis=1).repeat(16, axis=2)
    classifier = model.get_layer("classifier")
    features = backbone.predict(images, verbose=0)
    logits = features @ np.asarray(classifier.kernel) + np.asarray(classifier.bias)
    arrays: dict[str, Any] = {"images": images, "logits": logits}
    for layer in model.layers:
        for weight in layer.weights:
            arrays[f"{len(arrays):03d} {type(layer).__name__} {weight.name}"] = np.asarray(weight.value)
    np.savez(folder / "arrays.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
