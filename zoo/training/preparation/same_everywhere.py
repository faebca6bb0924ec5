"""Whether processes that train together are about to do the same: recipe, images, versions, code, what computes."""

import hashlib
import json
import platform
from typing import TYPE_CHECKING

from zoo.backend.distribution.agreement import gathered, require_same
from zoo.backend.distribution.placement import current
from zoo.errors import RunError
from zoo.training.preparation.first_record import record_before_reading
from zoo.training.preparation.preparing import Prepared

if TYPE_CHECKING:
    import keras

ADVICE = "start the same command, with the same images and packages, on each host"


def check_same_everywhere(prepared: Prepared, *, goes_on: str | None) -> None:
    """Compares what the processes begin with.

    Args:
        prepared: What this process begins with.
        goes_on: The name of the checkpoint that it goes on from, or None.

    Raises:
        RunError: One of them differs; all are told in what, and where.
    """
    if current().processes == 1:
        return
    if prepared.has_auto_batch:
        raise RunError(
            'train.batch_size is "auto", which one process finds out by trying; several need a number: '
            "--set train.batch_size=64"
        )
    record = record_before_reading(prepared)
    facts: dict[str, object] = {
        "the recipe": _hash(prepared.asked.to_toml()),
        "the images (fingerprint)": record.data.fingerprint[:16],
        "the classes": ", ".join(record.classes)[:200],
        "zoo's own code": _hash(json.dumps(record.code, sort_keys=True)),
        "the backend": record.environment.backend,
        "the precision": record.precision,
        "the checkpoint that it goes on from": goes_on or "none",
        **{f"the version of {name}": version for name, version in record.versions.items()},
    }
    said = [json.loads(text) for text in gathered("facts", json.dumps({"host": platform.node(), **facts}))]
    for process, theirs in enumerate(said):
        differing = [
            f"{name} ({theirs.get(name)}; process 0 has {said[0].get(name)})"
            for name in said[0]
            if name != "host" and theirs.get(name) != said[0].get(name)
        ]
        if differing:
            raise RunError(
                f"process {process} of {len(said)}, on {theirs['host']}, differs from process 0, on "
                f"{said[0]['host']}, in {'; '.join(differing[:3])}; {ADVICE}"
            )


def check_same_images_everywhere(text: str) -> None:
    """Compares the images that could be read, by the text that lists them.

    Raises:
        ZooError: They differ.
    """
    require_same("the images that could be read", _hash(text), advice=ADVICE)


def check_same_weights(model: "keras.Model") -> None:
    """Compares the weights that a model begins with, bit by bit.

    Raises:
        ZooError: They differ.
    """
    if current().processes == 1:
        return
    import numpy as np

    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(np.asarray(weight.value).tobytes())
    require_same("the weights that it begins with", digest.hexdigest()[:16], advice=ADVICE)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
