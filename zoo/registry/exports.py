"""What a model is exported to: the open table of `zoo export --to`, with the facts of each format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from zoo.errors import ZooError
from zoo.registry.tables import Row, Table

# What numbers may become of 32-bit ones.
Quantize = Literal["int8", "float16"]
# What every export takes and gives, by name.
PIXELS, PROBABILITIES = "pixels", "probabilities"


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What a writer is asked for.

    Attributes:
        model: The Keras model, in float32: raw pixels in [0, 255] in, probabilities out.
        folder: Where its files go; it is there, and empty of them.
        metadata: What goes into the file where the format has a place: texts by name, lists and objects as JSON.
        classes: The class names in the order of the probabilities.
        quantize: What the numbers become; None for float32.
        float_layers: The names of the layers that stay in float32 all the same.
        photos: Gives training photos for calibration, uint8[1, height, width, channels] each; None without `quantize`.
    """

    model: Any
    folder: Path
    metadata: Mapping[str, str]
    classes: Sequence[str]
    quantize: Quantize | None = None
    float_layers: Sequence[str] = ()
    photos: Callable[[], Iterator[Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class ExportFormat(Row):
    """A format that models are exported to.

    Its `build` takes an `ExportRequest`, and writes the row's `files` into its folder. The model in them takes
    `pixels`, uint8[n, height, width, channels] with n free, and gives `probabilities`, float32[n, classes].

    Attributes:
        files: The names of the files and folders that it writes.
        runtime: The module that runs them: it has `open_model(folder, threads=None)`, and imports the standard library,
            NumPy and the format's own runtime only. Empty where only zoo opens the format.
        writes_with: The packages that write it, beside zoo's own.
        runs_with: The packages that run it, beside NumPy.
        extra: The extra of zoo that has these packages.
        quantizes: What its numbers can become.
        is_program: Whether to open such a file is to run what others wrote, so that it has to be trusted.
    """

    files: tuple[str, ...] = ()
    runtime: str = ""
    writes_with: tuple[str, ...] = ()
    runs_with: tuple[str, ...] = ()
    extra: str = ""
    quantizes: tuple[Quantize, ...] = ()
    is_program: bool = False

    def faults(self) -> Iterator[str]:
        """Yields what is wrong about the row itself."""
        yield from super().faults()
        if not self.files:
            yield "files is empty; expected the names of the files that it writes"

    @property
    def can_write(self) -> bool:
        """Whether the packages that write it are installed."""
        return not _missing(self.writes_with)

    @property
    def can_run(self) -> bool:
        """Whether it has a runtime, whose packages are installed."""
        return bool(self.runtime) and not _missing(self.runs_with)

    def require(self) -> None:
        """Checks that it can be written and run here.

        Raises:
            ZooError: A package is not installed.
        """
        self._require((*self.writes_with, *self.runs_with))

    def require_runtime(self) -> None:
        """Checks that it can be run here.

        Raises:
            ZooError: A package is not installed.
        """
        self._require(self.runs_with)

    def _require(self, packages: Sequence[str]) -> None:
        missing = _missing(packages)
        if missing:
            are = "is" if len(missing) == 1 else "are"
            how = f"'zoo[{self.extra}]'" if self.extra else " ".join(missing)
            raise ZooError(f"format '{self.name}': {', '.join(missing)} {are} not installed; type pip install {how}")

    @property
    def runtime_name(self) -> str:
        """What runs it, with its version, as `ai-edge-litert 2.3.0`; empty where nothing does, or not here."""
        found = installed_version(self.runs_with[0]) if self.runtime and self.runs_with else None
        return f"{self.runs_with[0]} {found}" if found else ""


def _missing(packages: Sequence[str]) -> list[str]:
    return [name for name in packages if installed_version(name) is None]


def installed_version(package: str) -> str | None:
    """Returns the version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


EXPORTS = Table("export format", group="zoo.exports", row=ExportFormat, built_in=["zoo.export.rows"])
