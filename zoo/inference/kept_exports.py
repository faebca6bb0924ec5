"""Exports that are kept in the cache, each proved against Keras here, so that the next `predict` starts neither.

    exports/<key>/model.tflite    what a runtime opens
    exports/<key>/manifest.json   sealed: of which weights and runtime, the SHA-256 of each file, the proof; or why
                                  nothing is kept, so that it is not tried again

The key is a hash of all that decides the file: the weights, the graph, the classes, the runtime's version and zoo's.
Nothing here imports Keras, TensorFlow or NumPy.
"""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from zoo import registry
from zoo.errors import WeightsError
from zoo.inference.sources import model_folder
from zoo.models import weights
from zoo.models.blueprint import Blueprint
from zoo.models.saving import HANDLE, read_card
from zoo.registry.exports import ExportFormat, installed_version
from zoo.system.cache import ENTRY_MANIFEST, cache_folder
from zoo.system.files import sha256, sha256_of, write_atomic
from zoo.system.integrity.verification import MOST_BYTES, is_inside
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.partial_entries import complete, discard, held
from zoo.system.paths import given_path
from zoo.system.regular_files import open_below
from zoo.system.sealing import DamagedDocumentError, read_document, sealed

KIND = "exports"
SCHEMA = 1
FLOAT32 = "float32"
# How far a kept export's probabilities may be from those of Keras.
TOLERANCE = 1e-5
# What the library says of kept exports; the command line prints it.
LOGGER = logging.getLogger("zoo.answering")
LOGGER.addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What decides the probabilities of a classifier that computes in float32.

    Attributes:
        blueprint: What rebuilds its graph, with its classes and with how photos are brought to its input.
        weights: SHA-256 of its weights, in hex.
    """

    blueprint: Blueprint
    weights: str

    def folder(self, row: ExportFormat) -> Path:
        """Returns where its export of a format is kept, or would be."""
        graph = {
            **self.blueprint.to_json(),
            "builder": _builder_sha256(self.blueprint.architecture),
            "sha256": self.weights,
            "format": row.name,
            "runtime": row.runtime_name,
            "zoo": installed_version("zoo"),
        }
        text = json.dumps({"schema": SCHEMA, **graph}, sort_keys=True, default=str)
        return cache_folder() / KIND / hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True, kw_only=True)
class KeptProof(JsonObject):
    """What was compared with Keras.

    Attributes:
        images: How many.
        largest_difference: Of two probabilities.
    """

    images: int
    largest_difference: float


@dataclass(frozen=True, kw_only=True)
class KeptExport(JsonObject):
    """What manifest.json says of an entry.

    Attributes:
        key: The folder's name.
        format: As `zoo export --to` has it.
        runtime: The package that runs it, with its version.
        weights: SHA-256 of the weights.
        sha256: The hash of each file.
        proof: What was compared; None where nothing is kept.
        refused: Why nothing is kept; None where something is.
    """

    key: str
    format: str
    runtime: str
    weights: str
    sha256: Mapping[str, str] = field(default_factory=dict[str, str])
    proof: KeptProof | None = None
    refused: str | None = None


def identity_of(source: os.PathLike[str] | str) -> Identity | None:
    """Reads what a run or a model is, without its weights; None where no export of it can be kept.

    That of a SavedModel is not, which is a program that has to be trusted again; nor that of a model which computes in
    another precision than float32, or whose weights' hash is not known.

    Args:
        source: What `check_source` lets pass.

    Raises:
        WeightsError: A card is damaged.
        RunError: A card is not the one that the run's manifest lists.
    """
    folder = model_folder(given_path(source, "the path of the run"))
    if folder is None:
        found = _identity_of_model(str(source))
    else:
        card = read_card(folder)
        found = Identity(blueprint=card.blueprint, weights=card.sha256)
        if card.precision not in ("", FLOAT32):
            return None
    is_known = found is not None and found.weights and found.blueprint.architecture in registry.list_models()
    return found if is_known and found is not None and HANDLE not in found.blueprint.options else None


def _identity_of_model(name: str) -> Identity | None:
    """Returns what `zoo.build(name)` builds."""
    entry = registry.lookup(name)
    card, options = entry.adapted(dict(entry.card.options))
    weight_set = card.weight_set("default", options)
    if weight_set is None:
        return None
    blueprint = Blueprint(
        architecture=name,
        input_shape=card.input_shape,
        classes=weights.class_names(weight_set),
        weights=weight_set.name,
        options=options,
    )
    return Identity(blueprint=blueprint, weights=weights.expected_sha256(weight_set))


def _builder_sha256(architecture: str) -> str:
    """Returns the hash of the file that builds an architecture, and of those in its package, such as its blocks.

    Whoever changes one of them builds another graph of the same weights.
    """
    module = registry.lookup(architecture).build.__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file:
        return ""
    path = Path(file)
    files = sorted(path.parent.rglob("*.py")) if "." in module or path.name == "__init__.py" else [path]
    return sha256_of("".join(sha256(one) for one in files))


def find_kept(folder: Path) -> KeptExport | None:
    """Reads an entry, and compares each of its files with its hash; None where there is none.

    Raises:
        WeightsError: It is damaged.
    """
    try:
        kept = _read(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    faults = _faults(folder, kept)
    if faults:
        raise WeightsError(faults[0])
    with suppress(OSError):  # a cache that can only be read
        os.utime(folder)
    return kept


def write_manifest(folder: Path, kept: KeptExport) -> None:
    """Writes what makes an entry whole.

    Args:
        folder: Where the entry is written.
        kept: What is said of it.

    Raises:
        OSError: It cannot be written.
    """
    write_atomic(folder / ENTRY_MANIFEST, sealed({"schema": SCHEMA, "kind": "kept-export", **kept.to_json()}))


def note_refused(folder: Path, kept: KeptExport, reason: str) -> bool:
    """Puts into an entry's place why it is of no use here; returns whether the cache lets itself be written."""
    try:
        with held(folder) as partial:
            discard(partial)
            partial.mkdir()
            write_manifest(partial, replace(kept, sha256={}, proof=None, refused=reason))
            complete(partial, folder)
    except OSError:
        return False
    return True


def verify_entry(folder: Path) -> list[str]:
    """Compares an entry with what its manifest says.

    Args:
        folder: `exports/<key>` in the cache.

    Returns:
        What is wrong, a line that begins with the file each; nothing where all is as it was written.
    """
    try:
        return _faults(folder, _read(folder))
    except WeightsError as fault:
        return [str(fault)]
    except OSError as fault:
        return [f"{fault.filename or folder}: {fault.strerror or fault}"]


def _read(folder: Path) -> KeptExport:
    """Reads manifest.json.

    Raises:
        OSError: It is not there, or cannot be read.
        WeightsError: It is damaged.
    """
    path = folder / ENTRY_MANIFEST
    try:
        document = read_document(path, follow_links=False)
        kept = read_object(document.values, KeptExport)
    except (DamagedDocumentError, JsonObjectError) as fault:
        raise WeightsError(f"{path}: is damaged ({fault})") from None
    if kept.key != folder.name or not document.is_sealed:
        raise WeightsError(f"{path}: is not what zoo wrote here")
    return kept


def _faults(folder: Path, kept: KeptExport) -> list[str]:
    found: list[str] = []
    for name, expected in kept.sha256.items():
        if not is_inside(name):
            found.append(f"{folder / ENTRY_MANIFEST}: lists {name[:80]!a}, which lies outside its folder")
            continue
        try:
            with open_below(folder, name, limit=MOST_BYTES) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as fault:
            found.append(f"{folder / name}: {fault.strerror}")
            continue
        if digest != expected:
            found.append(f"{folder / name}: its SHA-256 is not the one in {ENTRY_MANIFEST}; it is damaged")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in {ENTRY_MANIFEST, *kept.sha256} and (path.is_symlink() or not path.is_dir()):
            found.append(f"{path}: is not listed in {ENTRY_MANIFEST}")
    if not kept.sha256 and kept.refused is None:
        found.append(f"{folder / ENTRY_MANIFEST}: lists no file")
    return found
