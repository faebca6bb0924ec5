"""`zoo features`: images in, a file of vectors out."""

import io
from pathlib import Path

import click

from zoo import registry
from zoo.cli.completion import complete_model_or_run
from zoo.cli.options import InPath, Reference
from zoo.cli.output import TRUST_OPTION, OutFile, echo, echo_json, start_backend
from zoo.cli.runs import listed_files
from zoo.errors import NotFoundError, did_you_mean
from zoo.staging import HEAD


@click.command("features")
@click.argument("source", type=Reference(), metavar="NAME|RUN", shell_complete=complete_model_or_run)
@click.argument("paths", nargs=-1, required=True, type=InPath(), metavar="PATH...")
@click.option("--out", type=OutFile(), required=True, help="The .npz file to write.")
@click.option("--at", metavar="STAGE", help="The stage whose output is taken; by default the last before the head.")
@click.option("--pooling", type=click.Choice(["avg", "max", "none"]), default="avg", show_default=True)
@TRUST_OPTION
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document and nothing else.")
def features_command(
    source: str, paths: tuple[Path, ...], out: Path, at: str | None, pooling: str, as_json: bool
) -> None:
    """Compute features of images, or of all images below folders, with a model NAME or a finished RUN.

    The file holds `features`, float32, and `paths`, in the same order. Exit code 1 when some images could not be read;
    the others are in the file all the same.

    \b
    Examples:
      zoo features efficientnet_lite0 photos/ --out photos.npz
      zoo features runs/pets cat.jpg dog.jpg --at stage4 --pooling max --out pets.npz
    """
    _refuse_unknown(source, at)
    start_backend()
    import numpy as np

    from zoo.errors import DataError
    from zoo.extraction import feature_model
    from zoo.files import write_atomic
    from zoo.prediction import Classifier, load
    from zoo.training.progress import Display

    if (Path(source) / "run.json").is_file() or (Path(source) / "card.json").is_file():
        classifier = load(source)
    else:
        from zoo.models import build

        classifier = Classifier(build(source))
    model = feature_model(classifier.model, at=at, pooling=pooling)  # pyright: ignore[reportArgumentType]: click checked
    files = list(listed_files(paths))
    read: list[str] = []
    rows: list[np.ndarray] = []
    with Display() as display, display.bar("features", len(files)) as move:
        for done, (path, found) in enumerate(classifier.compute_each(files, model), 1):
            if isinstance(found, DataError):
                echo(f"zoo: {found}", err=True)
            else:
                read.append(str(path))
                rows.append(found)
            move(done, "")
    if not rows:
        raise DataError(f"features: none of {len(files)} files could be read; nothing was written")
    vectors = np.stack(rows)
    packed = io.BytesIO()
    np.savez(packed, features=vectors, paths=np.array(read))
    write_atomic(out, packed.getvalue())
    if as_json:
        document = {"schema": 1, "kind": "features", "out": str(out), "shape": vectors.shape, "stage": model.name}
        echo_json(document)
    else:
        shape = " x ".join(f"{side:,}" for side in vectors.shape)
        echo(f"features of {len(read):,} images, {shape}: {out}")
    if len(read) < len(files):
        raise click.exceptions.Exit(1)


def _refuse_unknown(source: str, at: str | None) -> None:
    """Looks whether NAME|RUN and STAGE are there, before TensorFlow is loaded.

    Raises:
        NotFoundError: There is no such run or model, or the model has no such stage.
    """
    if (Path(source) / "run.json").is_file() or (Path(source) / "card.json").is_file():
        return
    if Path(source).exists() and source not in registry.list_models():
        raise NotFoundError(
            f"{source}: not a run folder (no run.json in it) and not a model's name; see 'zoo list' for models"
        )
    names = [stage.name for stage in registry.info(source).stages if stage.name != HEAD]
    if at is not None and names and at not in names:
        raise NotFoundError(
            f"model '{source}' has no stage '{at}' to take features at.{did_you_mean(at, names)} "
            f"It has: {', '.join(names)}."
        )
