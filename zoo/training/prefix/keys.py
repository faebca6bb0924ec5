"""What the activations of a frozen prefix are known by in the cache.

The key is a hash of the images, of the prefix's weights and layers, and of what computes them. A change in any of these
is another key, so a hit cannot be stale. Images of files are known by their contents and how they are read, others by
all their pixels.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import keras

from zoo.backend.determinism import fixed_threads, processor
from zoo.backend.keras_internals.graphs import inputs_of, producer
from zoo.data import Pixels
from zoo.data.packs.pixels import identity
from zoo.freezing.contract import fingerprint
from zoo.freezing.graphs import operations_of
from zoo.training.prefix.splitting import Prefix
from zoo.training.prefix.views import View

FORMAT = 1


def key_of(prefix: Prefix, images: Pixels, views: Sequence[View] = (), *, engine: str = "") -> str:
    """Hashes all that decides what a prefix gives for images.

    Args:
        prefix: Its weights, layers and dtypes count.
        images: uint8[n, height, width, channels]; their order counts too.
        views: Fixed views of them; none where the images are taken as they are.
        engine: What computes in place of Keras, with its version; empty where Keras does.
    """
    digest = hashlib.blake2b(digest_size=20)
    computed = {"format": FORMAT, "keras": keras.__version__, "backend": keras.backend.backend()}
    if threads := fixed_threads():
        # A run that promises its bits takes only what was computed as it would compute it.
        computed["deterministic"] = f"{threads} threads on {processor()}"
    if engine:
        computed["engine"] = engine
    for part in (
        computed,
        {
            "shape": list(images.shape),
            "dtype": str(images.dtype),
            "cut": prefix.cut,
            "views": [view.described() for view in views],
        },
        [_described(operation) for operation in operations_of(prefix.prefix)],
        fingerprint(prefix.prefix.weights),
    ):
        digest.update(json.dumps(part, sort_keys=True, default=str).encode())
    for part in identity(images):
        digest.update(part)
    return digest.hexdigest()


def _described(operation: Any) -> Any:
    """Describes a layer by what rebuilds it; one that cannot say is known by its name, class, dtype and weights."""
    kind = f"{type(operation).__module__}.{type(operation).__qualname__}"
    try:
        config = operation.get_config()
    except (NotImplementedError, TypeError, ValueError):
        config = {"name": operation.name, "dtype": str(getattr(operation, "dtype_policy", ""))}
    identity = getattr(operation, "identity", None)
    if identity:
        config["identity"] = identity
    # What is trained above the cut does not change what comes out below it.
    config.pop("trainable", None)
    inputs = [str(producer(tensor).name) for tensor in inputs_of(operation)]
    return [kind, config, inputs]
