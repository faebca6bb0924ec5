"""What `zoo export` leaves: export.json, typed, the only place that knows its keys; and the files beside it.

    {"schema": 1, "kind": "export", "sealed": true, "format": "onnx", "quantize": null, "in_float": [],
     "files": {"model.onnx": "3f0c..."}, "model": "efficientnet_lite0", "classes": ["cat", "dog"],
     "input": {"name": "pixels", "shape": [224, 224, 3], "dtype": "uint8"},
     "output": {"name": "probabilities", "dtype": "float32"},
     "fit": {"resize": "crop", "crop_share": 1.0, "interpolation": "bilinear", "white": 0},
     "weights": "9a41...", "recipe": "77b2...", "run": "pets", "licence": "Apache-2.0", "zoo": "0.1.0",
     "packages": {"onnxruntime": "1.32.0", ...}, "proof": {"photos": 100, "disagreements": 0, ...}, "seal": "..."}

A folder may come from anywhere: each value is checked, and each file compared with its hash, before it is opened.
"""

import hashlib
import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from zoo.errors import NotFoundError, RunError, printable, shown
from zoo.inference.prediction import Compute
from zoo.models.saved_card import CardError, read_classes, read_fit, read_input_shape, read_name
from zoo.registry.exports import EXPORTS, PIXELS, PROBABILITIES, ExportFormat
from zoo.registry.fitting import ImageFit
from zoo.system.files import sha256_of, write_atomic
from zoo.system.integrity.verification import MOST_BYTES
from zoo.system.json_objects import JsonObject, JsonObjectError, read_object
from zoo.system.regular_files import open_below
from zoo.system.sealing import DamagedDocumentError, read_document, sealed
from zoo.system.text_tables import counted

EXPORT_FILE = "export.json"
CALL_FILE, REQUIREMENTS_FILE, PREDICTIONS_FILE = "call.py", "requirements.txt", "predictions.jsonl"
# What lies beside the model's files; the last is Python's, of an import of call.py.
BESIDE_THE_MODEL = frozenset({EXPORT_FILE, CALL_FILE, REQUIREMENTS_FILE, PREDICTIONS_FILE, "__pycache__"})
SCHEMA, KIND = 1, "export"
ANEW = "export the run anew with 'zoo export'"
# A SavedModel has five.
MOST_FILES = 1_000
_HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class ExportInput(JsonObject):
    """What an export takes.

    Attributes:
        name: `pixels`.
        shape: Height, width and channels of an image; their number is free.
        dtype: `uint8`, in [0, 255].
    """

    name: str = PIXELS
    shape: tuple[int, ...]
    dtype: str = "uint8"


@dataclass(frozen=True, kw_only=True)
class ExportOutput(JsonObject):
    """What an export gives.

    Attributes:
        name: `probabilities`, of each image in the order of the classes.
        dtype: `float32`.
    """

    name: str = PROBABILITIES
    dtype: str = "float32"


@dataclass(frozen=True, kw_only=True)
class ExportFit(JsonObject):
    """How photos are brought to the input size; see `zoo.registry.fitting.ImageFit`, whose fields these are."""

    resize: str
    crop_share: float
    interpolation: str
    white: int

    @classmethod
    def of(cls, fit: ImageFit) -> "ExportFit":
        """Writes a fit out, defaults too."""
        return cls(**asdict(fit))


@dataclass(frozen=True, kw_only=True)
class Proof(JsonObject):
    """What came of calling an export on photos, beside Keras.

    Attributes:
        photos: How many were compared.
        disagreements: Of how many the likeliest class is another.
        largest_difference: Of any probability.
        accuracy: Of the export; None where the labels are not known.
        accuracy_of_keras: Of the run's model, on the same photos.
        tolerance: What the largest difference may be.
        runtime: What computed, with its version.
        split: Which of the run's photos these were: `validation`, `test` or `train`; `given` where the run's own were
            given in code, and these are others; None of an earlier zoo, which did not say.
    """

    photos: int
    disagreements: int
    largest_difference: float
    accuracy: float | None
    accuracy_of_keras: float | None
    tolerance: float
    runtime: str
    split: str | None = None

    def count_photos(self) -> str:
        """Returns how many photos of which kind, as `1,000 validation photos`."""
        return counted(self.photos, " ".join(filter(None, [self.split, "photo"])))


@dataclass(frozen=True, kw_only=True)
class ExportDocument(JsonObject):
    """export.json.

    Attributes:
        format: A row of the table of formats.
        quantize: What the numbers became; None for float32.
        in_float: Stages that stayed in float32 all the same.
        files: SHA-256 of each file that the model is in, by its path below the folder.
        model: The architecture.
        classes: Class names in the order of the probabilities.
        input: What it takes.
        output: What it gives.
        fit: How photos are brought to the input size.
        weights: SHA-256 of the run's model.safetensors.
        recipe: SHA-256 of the run's recipe.toml; None of a model that no run trained.
        run: The run's name, or the model's.
        licence: Of the weights that training began from; None where they were random.
        zoo: The version that wrote it.
        packages: Versions of the packages that wrote and ran it.
        proof: What came of calling it; None where nothing but zoo opens the format.
    """

    format: str
    quantize: str | None = None
    in_float: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    model: str
    classes: tuple[str, ...]
    input: ExportInput
    output: ExportOutput = field(default_factory=ExportOutput)
    fit: ExportFit
    weights: str
    recipe: str | None
    run: str
    licence: str | None
    zoo: str
    packages: Mapping[str, str]
    proof: Proof | None = None

    @property
    def program(self) -> str:
        """What an export that is a program is trusted by: a hash of its files' names and hashes."""
        return sha256_of(json.dumps(dict(self.files), sort_keys=True))

    @property
    def image_fit(self) -> ImageFit:
        """How photos are brought to the input size."""
        return read_fit(self.fit.to_json())


@dataclass(frozen=True)
class ExportFolder:
    """An export whose export.json was read and checked.

    Attributes:
        path: The folder.
        document: What export.json says.
    """

    path: Path
    document: ExportDocument

    @property
    def row(self) -> ExportFormat:
        """The row of its format.

        Raises:
            NotFoundError: The package that registers the format is not installed.
        """
        return EXPORTS.lookup(self.document.format)

    def verify(self) -> None:
        """Compares the model's files with their hashes.

        Raises:
            RunError: One is missing, damaged, too large or not a regular file; or a runtime would open a file that
                export.json does not list, which would be compared with nothing, and trusted unseen.
            NotFoundError: The package that registers the format is not installed.
        """
        for name in self.unlisted():
            raise RunError(f"{self.path / name}: is not listed in {EXPORT_FILE}; expected its SHA-256; {ANEW}")
        for name, expected in self.document.files.items():
            try:
                with open_below(self.path, name, limit=MOST_BYTES) as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except FileNotFoundError:
                raise RunError(f"{self.path / name}: is missing; {EXPORT_FILE} lists it; {ANEW}") from None
            except OSError as fault:
                raise RunError(f"{fault.filename or self.path / name}: {fault.strerror}; {ANEW}") from None
            if found != expected:
                raise RunError(f"{self.path / name}: is damaged: its SHA-256 is not the one in {EXPORT_FILE}; {ANEW}")

    def unlisted(self) -> list[str]:
        """Lists the format's own files, and whatever lies in its folders, of which export.json has no hash.

        Raises:
            NotFoundError: The package that registers the format is not installed.
        """
        places = [self.path / name for name in self.row.files]
        found = [one for place in places for one in ([place, *place.rglob("*")] if place.is_dir() else [place])]
        names = [one.relative_to(self.path).as_posix() for one in found if one.is_symlink() or not one.is_dir()]
        return sorted(name for name in names if name not in self.document.files)

    def open(self, *, threads: int | None = None) -> Compute:
        """Verifies the files, and opens the model by its format's runtime.

        To open a format that is a program runs what is in it: who calls this for one asks for trust first.

        Args:
            threads: How many compute; None for all cores.

        Raises:
            RunError: A file is damaged, or the format has no runtime.
            ZooError: The runtime's package is not installed.
        """
        row = self.row
        if not row.runtime:
            raise RunError(f"{self.path}: format '{row.name}' is opened by zoo alone; type zoo predict {self.path}")
        row.require_runtime()
        self.verify()
        return open_runtime(row, self.path, threads=threads)


def open_runtime(row: ExportFormat, folder: Path, *, threads: int | None = None) -> Compute:
    """Opens a model's files by the runtime of their format; the caller has verified them."""
    module = importlib.import_module(row.runtime)
    compute: Compute = module.open_model(folder, threads)
    return compute


def is_export(path: Path) -> bool:
    """Returns whether a folder says of itself that `zoo export` made it."""
    return (path / EXPORT_FILE).is_file()


def write_document(folder: Path, document: ExportDocument) -> None:
    """Writes export.json, with its seal.

    Raises:
        OSError: It cannot be written.
    """
    write_atomic(folder / EXPORT_FILE, sealed({"schema": SCHEMA, "kind": KIND, **document.to_json()}))


def read_export(path: Path) -> ExportFolder:
    """Reads and checks export.json.

    Raises:
        NotFoundError: The folder is not an export.
        RunError: export.json is damaged, or of a newer zoo.
    """
    place = path / EXPORT_FILE
    try:
        read = read_document(place, follow_links=False)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: is not an export (no {EXPORT_FILE} in it); make one with 'zoo export'") from None
    except DamagedDocumentError as fault:
        raise RunError(f"{place}: {fault}; {ANEW}") from None
    except OSError as fault:
        raise RunError(f"{place}: {printable(fault.strerror or fault)}; {ANEW}") from None
    if not read.is_sealed:
        raise RunError(f"{place}: has no seal; expected what zoo wrote; {ANEW}")
    try:
        return ExportFolder(path, parse_document(read.values))
    except (JsonObjectError, CardError) as fault:
        raise RunError(f"{place}: {fault}; {ANEW}") from None


def parse_document(values: Mapping[str, Any]) -> ExportDocument:
    """Reads export.json from plain data.

    Raises:
        JsonObjectError: A key is missing, of another type, or out of range.
        CardError: The same, of what card.json has too.
    """
    rest = {key: value for key, value in values.items() if key not in ("schema", "kind")}
    for key, found, expected in (("schema", values.get("schema"), SCHEMA), ("kind", values.get("kind"), KIND)):
        if found != expected:
            raise JsonObjectError(f"{key} is {shown(found)}; expected {shown(expected)}; use a newer zoo")
    document = read_object(rest, ExportDocument)
    for key in ("format", "model", "run", "zoo"):
        read_name(values, key)
    read_classes(values)
    read_fit(document.fit.to_json())
    shape = read_input_shape({"input_shape": list(document.input.shape)})
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise JsonObjectError(f"input.shape is {shown(list(shape))}; expected height, width, and 1 or 3 channels")
    told = (document.input.name, document.input.dtype, document.output.name, document.output.dtype)
    if told != (PIXELS, "uint8", PROBABILITIES, "float32"):
        raise JsonObjectError(f"input and output are {shown(told)}; expected uint8 pixels and float32 probabilities")
    hashes = (document.weights, *document.files.values(), *filter(None, [document.recipe]))
    if not all(_HASH.fullmatch(one) for one in hashes):
        raise JsonObjectError("weights, recipe or files has a hash that is not one; expected 64 hexadecimal digits")
    if not document.files or len(document.files) > MOST_FILES:
        raise JsonObjectError(f"files has {len(document.files):,} entries; expected 1 to {MOST_FILES:,}")
    for name in document.files:
        if not _is_below(name):
            raise JsonObjectError(f"files has {shown(name)}; expected paths below the folder")
    return document


def _is_below(name: str) -> bool:
    """Whether a name is a path that stays in its folder, wherever it is read."""
    parts = name.split("/")
    plain = not any(sign in name for sign in "\\:\0") and not PurePosixPath(name).is_absolute()
    return plain and all(part not in ("", ".", "..") for part in parts)
