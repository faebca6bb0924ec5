"""A version of a recipe on a shelf, and its document `recipes/NAME/N.json`. The only module that knows its keys.

    {"schema": 1, "kind": "version", "sealed": true, "name": "pets", "version": 3, "published": "2026-11-27T00:10:00Z",
     "files": {"recipe.toml": {"sha256": "3f0c...", "size": 912}, ...}, "metadata": {"model": "resnet50", ...},
     "seal": "..."}

A document is written once and never changed. Its SHA-256 is the version's identity: it names every file by its hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import ContractError
from zoo.shelves.names import fault_of_file_names, is_recipe_name, is_sha256
from zoo.system.files import sha256_of
from zoo.system.json_objects import LEFT_OUT, JsonObject, JsonObjectError, read_object
from zoo.system.sealing import DamagedDocumentError, parse_document, sealed

SCHEMA, KIND = 1, "version"
# Most bytes of a document: of 21,841 classes their count is listed, and not their names.
LIMIT = 256_000
# Most files of a version, and most bytes of them together.
MOST_FILES = 1_000
MOST_BYTES = 16 << 30
LARGEST_NUMBER = 999_999_999


@dataclass(frozen=True, kw_only=True)
class FileRecord(JsonObject):
    """A file of a version: the SHA-256 of its bytes in hex, and how many they are."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class VersionMetadata(JsonObject):
    """What is said of a version, for lists. It is what its author says, and proves nothing.

    Attributes:
        description: In a sentence.
        model: The model's name.
        classes: How many classes there are.
        class_names: The first of them, for search.
        images: How many images trained.
        metrics: Figures by name: accuracy, ...
        intervals: 95 % intervals by name of the figure.
        parent: The version that it was made from, as `name@sha256:...`.
        signed_by: The name of the key in signature.json; None where it is not signed.
        licence: Of the weights that the model begins with; None where it is not known, or they are random.
        weights_bytes: How large the model in it is; None where there is none.
        modules: SavedModels that it runs, which have to be trusted: `sha256:...`, or an address.
        packages: Packages with plug-ins that it needs, and their versions.
        split: What was measured.
        recipe: The name in the recipe.
        zoo: The version of zoo that pushed it.
    """

    description: str = ""
    model: str | None = field(default=None, metadata=LEFT_OUT)
    classes: int | None = field(default=None, metadata=LEFT_OUT)
    class_names: tuple[str, ...] = ()
    images: int | None = field(default=None, metadata=LEFT_OUT)
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    intervals: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    parent: str | None = field(default=None, metadata=LEFT_OUT)
    signed_by: str | None = field(default=None, metadata=LEFT_OUT)
    licence: str | None = field(default=None, metadata=LEFT_OUT)
    weights_bytes: int | None = field(default=None, metadata=LEFT_OUT)
    modules: tuple[str, ...] | None = field(default=None, metadata=LEFT_OUT)
    packages: Mapping[str, str | None] | None = field(default=None, metadata=LEFT_OUT)
    split: str | None = field(default=None, metadata=LEFT_OUT)
    recipe: str | None = field(default=None, metadata=LEFT_OUT)
    zoo: str | None = field(default=None, metadata=LEFT_OUT)

    @property
    def needs(self) -> tuple[str, ...]:
        """What whoever uses it has to trust or to install, each as a text."""
        modules = [f"module {one} (a program: it has to be trusted)" for one in self.modules or ()]
        packages = [
            f"package {name}{f'=={version}' if version else ''}" for name, version in (self.packages or {}).items()
        ]
        return (*modules, *packages)


@dataclass(frozen=True, kw_only=True)
class VersionDocument(JsonObject):
    """`recipes/NAME/N.json`.

    Attributes:
        name: The recipe's name on the shelf.
        version: Its number, counted from 1.
        published: When, in UTC: `2026-11-27T00:10:00Z`.
        files: Each file by its name.
        metadata: What is said of it.
    """

    name: str
    version: int
    published: str
    files: Mapping[str, FileRecord]
    metadata: VersionMetadata = field(default_factory=VersionMetadata)


@dataclass(frozen=True)
class Version:
    """A version of a recipe on a shelf.

    Attributes:
        shelf: The name of the shelf.
        document: What its document says.
        text: The document itself.
    """

    shelf: str
    document: VersionDocument
    text: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The recipe's name on the shelf."""
        return self.document.name

    @property
    def number(self) -> int:
        """The version's number, counted from 1."""
        return self.document.version

    @property
    def sha256(self) -> str:
        """The hash of its document, which is its identity."""
        return sha256_of(self.text)

    @property
    def reference(self) -> str:
        """What is typed for this version: `vision/pets@3`."""
        return f"{self.shelf}/{self.name}@{self.number}"

    @property
    def identity(self) -> str:
        """What names this version wherever it lies: `pets@sha256:...`."""
        return f"{self.name}@sha256:{self.sha256}"

    @property
    def metadata(self) -> VersionMetadata:
        """What its author says of it."""
        return self.document.metadata

    @property
    def files(self) -> Mapping[str, FileRecord]:
        """Its files by name."""
        return self.document.files

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of each file by its name: what is signed."""
        return {name: one.sha256 for name, one in self.files.items()}

    @property
    def size(self) -> int:
        """How many bytes its files have together."""
        return sum(one.size for one in self.files.values())


def version_text(document: VersionDocument) -> bytes:
    """Returns the bytes of a version's document.

    Raises:
        ContractError: No reader would take it.
    """
    text = sealed({"schema": SCHEMA, "kind": KIND, **document.to_json()}).encode()
    read_version("", text, f"recipes/{document.name}/{document.version}.json")
    return text


def read_metadata(metadata: Mapping[str, Any]) -> VersionMetadata:
    """Makes metadata from plain data.

    Raises:
        JsonObjectError: A key is of another type.
    """
    return read_object(metadata, VersionMetadata, "metadata")


def read_version(shelf: str, text: bytes, place: str, *, name: str | None = None, number: int | None = None) -> Version:
    """Reads a version's document, and refuses one that could harm who pulls it.

    Args:
        shelf: The shelf's name.
        text: The document's bytes.
        place: Where they are from, for messages.
        name: The recipe that it must be of, where the place says so.
        number: The version that it must be, where the place says so.

    Raises:
        ContractError: It is damaged, another's, or not one that zoo writes.
    """
    try:
        if len(text) > LIMIT:
            raise DamagedDocumentError(f"holds {len(text):,} bytes; expected at most {LIMIT:,}")
        read = parse_document(text)
        values = dict(read.values)
        if values.pop("kind", None) != KIND or not read.is_sealed:
            raise DamagedDocumentError("is not a sealed document of a version")
        if (schema := values.pop("schema", None)) != SCHEMA:
            raise DamagedDocumentError(f"schema is {schema!r:.40}; expected {SCHEMA}; use a newer zoo")
        document = read_object(values, VersionDocument)
        _check(document)
        if (name or document.name, number or document.version) != (document.name, document.version):
            raise DamagedDocumentError(f"is that of {document.name}@{document.version}")
    except (DamagedDocumentError, JsonObjectError) as fault:
        raise ContractError(f"{place}: {fault}; expected what zoo wrote; ask who keeps the shelf") from None
    return Version(shelf, document, text)


def _check(document: VersionDocument) -> None:
    """Refuses names, numbers and sizes that no version has."""
    if not is_recipe_name(document.name):
        raise DamagedDocumentError(f"name {document.name!a:.60} is not allowed; expected letters, digits and '-'")
    if not 1 <= document.version <= LARGEST_NUMBER:
        raise DamagedDocumentError(f"version is {document.version}; expected a number from 1")
    if not document.files or len(document.files) > MOST_FILES:
        raise DamagedDocumentError(f"lists {len(document.files):,} files; expected 1 to {MOST_FILES:,}")
    if fault := fault_of_file_names(document.files):
        raise DamagedDocumentError(fault)
    for name, one in document.files.items():
        if not is_sha256(one.sha256) or one.size < 0:
            raise DamagedDocumentError(f"files.{name} has no SHA-256 or size")
    if (size := sum(one.size for one in document.files.values())) > MOST_BYTES:
        raise DamagedDocumentError(f"its files have {size:,} bytes; expected at most {MOST_BYTES:,}")
