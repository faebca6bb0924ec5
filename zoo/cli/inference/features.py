"""`zoo features`: images in, a file of vectors out."""

import contextlib
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from zoo import registry
from zoo.cli.inference.images import PATHS_FROM_OPTION, all_names, fault_of, listed
from zoo.cli.options import Choice, OutFile, Reference, json_option, trust_option
from zoo.cli.output import counted, echo, emit
from zoo.cli.shell.completion import complete_model_or_run
from zoo.cli.shell.start import start_backend
from zoo.errors import DataError, NotFoundError, did_you_mean, offering
from zoo.freezing.stages import HEAD
from zoo.system.files import write_atomic
from zoo.system.sealing import read_document
from zoo.system.text_tables import of_these

if TYPE_CHECKING:
    import numpy as np

NPZ, CSV = ".npz", ".csv"
# One whose features are those of layers that have learnt nothing.
RANDOM = "warning: model '{name}' has no pretrained weights: its features are those of random layers"


@click.command("features")
@click.argument("source", type=Reference(), metavar="NAME|RUN", shell_complete=complete_model_or_run)
@click.argument("paths", nargs=-1, metavar="PATH...")
@PATHS_FROM_OPTION
@click.option("--out", type=OutFile(NPZ, CSV), required=True, help="The .npz or .csv file to write.")
@click.option("--at", metavar="STAGE", help="The stage whose output is taken; by default the last before the head.")
@click.option("--pooling", type=Choice(["avg", "max", "none"]), default="avg", show_default=True)
@trust_option
@json_option()
def features_command(
    source: str,
    paths: tuple[str, ...],
    paths_from: IO[bytes] | None,
    out: Path,
    at: str | None,
    pooling: str,
    as_json: bool,
) -> None:
    """Compute features of images, or of all images below folders, with a model NAME or a finished RUN.

    An .npz file holds `features`, float32, and `paths`, in the same order; a .csv file a line an image. Exit code 1
    when some images could not be read; the others are in the file all the same.

    \b
    Examples:
      zoo features efficientnet_lite0 photos/ --out photos.npz
      zoo features runs/pets cat.jpg dog.jpg --at stage4 --pooling max --out pets.csv
    """
    if out.suffix.lower() == CSV and pooling == "none":
        raise click.UsageError("--pooling none gives maps, and a .csv file holds vectors; expected --out FILE.npz")
    names = all_names(paths, paths_from)
    _refuse_unknown(source, at)
    images = list(listed(names))
    faults = [fault_of(image) for image in images]
    if all(faults):  # nothing to load TensorFlow for
        for fault in faults:
            echo(f"zoo: {fault}", err=True)
        raise _none_read(len(images))
    start_backend()
    import numpy as np

    from zoo.inference.features import feature_model
    from zoo.report.progress import Display

    classifier = _classifier(source)
    model = feature_model(classifier.model, at=at, pooling=pooling)  # pyright: ignore[reportArgumentType]: click checked
    read: list[str] = []
    rows: list[np.ndarray] = []
    with Display() as display, display.bar("features", len(images)) as move:
        if classifier.has_random_weights:
            display.line(RANDOM.format(name=source))
        for done, (image, found) in enumerate(classifier.compute_each(images, model), 1):
            if isinstance(found, DataError):
                echo(f"zoo: {found}", err=True)
            else:
                read.append(image.name)
                rows.append(found)
            move(done, "")
    if not rows:
        raise _none_read(len(images))
    vectors = np.stack(rows)
    write_atomic(out, _as_csv(vectors, read) if out.suffix.lower() == CSV else _as_npz(vectors, read))
    trained_on = _count_trained_on(source, read)
    if trained_on:
        echo(f"note: {source} was trained on {of_these(trained_on, len(read))}", err=True)
    if as_json:
        document = {"out": str(out), "shape": vectors.shape, "stage": model.name, "trained_on": trained_on}
        emit("features", document)
    else:
        shape = " x ".join(f"{side:,}" for side in vectors.shape)
        echo(f"features of {counted(len(read), 'image')}, {shape}: {out}")
    if len(read) < len(images):
        raise click.exceptions.Exit(1)


def _none_read(files: int) -> DataError:
    return DataError(f"features: none of {counted(files, 'file')} could be read; nothing was written")


def _classifier(source: str) -> Any:
    from zoo.inference.classifier import Classifier, load
    from zoo.models.building import build

    with offering(""):
        return load(source) if _is_a_run(source) else Classifier(build(source))


def _count_trained_on(source: str, names: Sequence[str]) -> int:
    """Counts the images that a run was trained on, whose features are optimistic; 0 for a model's name."""
    from zoo.training.preparation.kept_images import count_trained_on

    files = [Path(name) for name in names if Path(name).is_file()]
    return count_trained_on(Path(source), files) if (Path(source) / "run.json").is_file() else 0


def _is_a_run(source: str) -> bool:
    return (Path(source) / "run.json").is_file() or (Path(source) / "card.json").is_file()


def _architecture(run: str) -> str | None:
    """Reads on a run's card of which model it is; None where no card says it: loading reports that."""
    for card in (Path(run, "model", "card.json"), Path(run, "card.json")):
        with contextlib.suppress(OSError, ValueError):
            name = read_document(card).values.get("architecture")
            return name if isinstance(name, str) and name in registry.list_models() else None
    return None


def _as_npz(vectors: "np.ndarray", paths: Sequence[str]) -> bytes:
    import numpy as np

    packed = io.BytesIO()
    np.savez(packed, features=vectors, paths=np.array(paths))
    return packed.getvalue()


def _as_csv(vectors: "np.ndarray", paths: Sequence[str]) -> bytes:
    """Writes a line an image: its path, and numbers that read back as the same float32."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", *(f"f{number}" for number in range(vectors.shape[1]))])
    for path, vector in zip(paths, vectors, strict=True):
        writer.writerow([path, *(f"{value:.9g}" for value in vector.tolist())])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _refuse_unknown(source: str, at: str | None) -> None:
    """Checks that NAME|RUN and STAGE exist, before TensorFlow is loaded.

    Raises:
        NotFoundError: The run or model does not exist, or the model has no such stage.
    """
    model = _architecture(source) if _is_a_run(source) else source
    if model is None:
        return
    if Path(source).exists() and model not in registry.list_models():
        from zoo.runs.folder import holds_runs

        if held := holds_runs(Path(source)):
            raise NotFoundError(held)
        raise NotFoundError(
            f"{source}: not a run folder (no run.json in it) and not a model's name; see 'zoo list' for models"
        )
    names = [stage.name for stage in registry.info(model).stages if stage.name != HEAD]
    if at is not None and names and at not in names:
        raise NotFoundError(
            f"model '{model}' has no stage '{at}' to take features at.{did_you_mean(at, names)} "
            f"It has: {', '.join(names)}."
        )
