"""bundle.json: what a bundle holds, where it came from, and what it needs. The only module that knows its keys.

    {"schema": 1, "kind": "bundle", "sealed": true, "name": "pets", "files": {"recipe.toml": {"sha256": ...}, ...},
     "metadata": {"model": "resnet50", ...}, "weights": {"set": "imagenet", "file": ...}, "wheels": [...],
     "seal": "..."}

Its SHA-256 is the bundle's identity: it names every other file by its hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo.errors import ContractError
from zoo.shelves.names import fault_of_file_names, is_recipe_name, is_sha256
from zoo.shelves.versions import FileRecord, VersionMetadata
from zoo.system.json_objects import LEFT_OUT, JsonObject, JsonObjectError, read_object
from zoo.system.sealing import DamagedDocumentError, parse_document, sealed

SCHEMA, KIND = 1, "bundle"
MANIFEST, SIGNATURE = "bundle.json", "signature.json"
# Of a version that was bundled: its document, and who signed it on its shelf.
VERSION, VERSION_SIGNATURE = "version.json", "version-signature.json"
WEIGHTS, WHEELS, MODULE, MODEL = "weights/", "wheels/", "module/", "model/"
# Most bytes of bundle.json, and of any file that is neither weights nor a program.
LIMIT, MOST_SMALL = 4_000_000, 16_000_000
_LARGE = (WEIGHTS, WHEELS, MODULE, MODEL + "model.safetensors")


@dataclass(frozen=True, kw_only=True)
class OriginOfBundle(JsonObject):
    """The version on a shelf that was bundled: its name, number, and the SHA-256 of its document."""

    name: str
    version: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CarriedWeights(JsonObject):
    """What the model begins with.

    Attributes:
        model: The model's name.
        set: A set of its card; `given` for another model's numbers; `none` for random ones.
        file: The file in the bundle, or its folder where a card lies beside it; None where none is needed.
        sha256: Of the file of numbers.
    """

    model: str
    set: str
    file: str | None = field(default=None, metadata=LEFT_OUT)
    sha256: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class WheelRecord(JsonObject):
    """A package that is needed.

    Attributes:
        name: As it is installed by.
        version: The one that was used.
        content: The SHA-256 of the list of its installed files with their hashes, `name sha256=...` a line, sorted,
            without what an installer adds: the same wherever the same wheel is installed. None where it lists none.
        is_local: Whether it was installed from a folder, an archive or a repository, and not from an index.
        file: The wheel's name; None where it is not known.
        sha256: Of the wheel.
    """

    name: str
    version: str
    content: str | None = field(default=None, metadata=LEFT_OUT)
    is_local: bool = False
    file: str | None = field(default=None, metadata=LEFT_OUT)
    sha256: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True, kw_only=True)
class BundleDocument(JsonObject):
    """bundle.json.

    Attributes:
        name: The recipe's name.
        zoo: The version of zoo that wrote it.
        origin: The version on a shelf that it was made of; None of a run, or a recipe's file.
        metadata: What is said of it, as of a version on a shelf.
        weights: What the model begins with.
        python: The Python that the wheels are for: `3.11`.
        platform: The platform that they are for: `linux-x86_64`.
        wheels: The packages that are needed.
        files: Every other file but the signature, by its name.
    """

    name: str
    zoo: str
    origin: OriginOfBundle | None = field(default=None, metadata=LEFT_OUT)
    metadata: VersionMetadata
    weights: CarriedWeights
    python: str
    platform: str
    wheels: tuple[WheelRecord, ...] = ()
    files: Mapping[str, FileRecord]

    @property
    def has_module(self) -> bool:
        """Whether it carries a SavedModel."""
        return any(name.startswith(MODULE) for name in self.files)


def bundle_text(document: BundleDocument) -> bytes:
    """Returns bundle.json; equal documents give equal bytes.

    Raises:
        ContractError: No reader would take it.
    """
    text = sealed({"schema": SCHEMA, "kind": KIND, **document.to_json()}).encode()
    read_bundle(text, MANIFEST)
    return text


def read_bundle(text: bytes, place: str) -> BundleDocument:
    """Reads bundle.json, and refuses one that could harm who opens the bundle.

    Args:
        text: Its bytes.
        place: Where they are from, for messages.

    Raises:
        ContractError: It is damaged, or not one that zoo writes.
    """
    try:
        if len(text) > LIMIT:
            raise DamagedDocumentError(f"holds {len(text):,} bytes; expected at most {LIMIT:,}")
        read = parse_document(text, finite=True)
        values = dict(read.values)
        if values.pop("kind", None) != KIND or not read.is_sealed:
            raise DamagedDocumentError("is not a sealed document of a bundle")
        if (schema := values.pop("schema", None)) != SCHEMA:
            raise DamagedDocumentError(f"schema is {schema!r:.40}; expected {SCHEMA}; use a newer zoo")
        document = read_object(values, BundleDocument)
        _check(document)
    except (DamagedDocumentError, JsonObjectError) as fault:
        raise ContractError(f"{place}: {fault}; expected what zoo wrote; get the bundle again") from None
    return document


def _check(document: BundleDocument) -> None:
    """Refuses names and sizes that no bundle has."""
    if not is_recipe_name(document.name):
        raise DamagedDocumentError(f"name {document.name!a:.60} is not allowed; expected letters, digits and '-'")
    if (origin := document.origin) is not None and not (is_recipe_name(origin.name) and is_sha256(origin.sha256)):
        raise DamagedDocumentError("origin does not name a version")
    if fault := fault_of_file_names([*document.files, MANIFEST, SIGNATURE]):
        raise DamagedDocumentError(fault)
    for name, one in document.files.items():
        if not is_sha256(one.sha256) or one.size < 0:
            raise DamagedDocumentError(f"files.{name} has no SHA-256 or size")
        if one.size > MOST_SMALL and not name.startswith(_LARGE):
            raise DamagedDocumentError(f"{name} has {one.size:,} bytes; expected at most {MOST_SMALL:,}")
    if (file := document.weights.file) is not None:
        hashes = [one.sha256 for name, one in document.files.items() if name == file or name.startswith(f"{file}/")]
        if document.weights.sha256 not in hashes:
            raise DamagedDocumentError("weights.file and weights.sha256 are not those of a file that it lists")
