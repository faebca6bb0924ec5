"""Five nets in each format, proved on every validation photo: disagreements, differences, sizes and seconds.

    pip install '.[export,lite]'
    python benchmarks/exports.py --data PHOTOS --mnist MNIST.npz --runs RUNS

PHOTOS holds the folders train and validation. A few photos of each class train for a few epochs: what is measured is
not how good it is. Where weights are here a new head is trained on frozen features; elsewhere all layers are, from
random ones, with statistics of BatchNorms that are those of photos, so that what layers give neither vanishes nor
explodes. A run that is finished is found again in RUNS. `seconds` is the whole export, proof included; `cold` is
call.py on one photo, from its start to its end.
"""

import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
from reporting import report

FORMATS = ("saved_model", "onnx", "litert", "openvino")
# Of `zoo list`, and the weights that they begin with where these are on this machine.
NETS = ("mnist_conv", "efficientnet_lite0", "mobilenet_v2", "resnet50", "convnext_tiny")
TRAINED_ON = 8


@click.command()
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True), help="Photos.")
@click.option("--mnist", required=True, type=click.Path(path_type=Path, exists=True), help="MNIST, as Keras has it.")
@click.option("--runs", required=True, type=click.Path(path_type=Path), help="Where photos and runs go.")
@click.option("--net", "nets", multiple=True, type=click.Choice(NETS), default=NETS, help="Which; repeatable.")
@click.option("--to", "formats", multiple=True, default=FORMATS, help="Which formats; repeatable.")
@click.option("--quantize", type=click.Choice(["int8", "float16"]), help="Make numbers smaller.")
def main(
    data: Path, mnist: Path, runs: Path, nets: tuple[str, ...], formats: tuple[str, ...], quantize: str | None
) -> None:
    """Measures, prints a table and writes results/exports.json."""
    rows: list[dict[str, object]] = []
    photos = _few(data, runs.absolute() / "photos")
    for net in nets:
        run = runs / net
        if not (run / "model" / "card.json").is_file():
            _train(net, mnist if net.startswith("mnist") else photos, run)
        with tempfile.TemporaryDirectory() as made:
            for row in _exported(net, run, Path(made), formats, quantize):
                rows.append(row)
                click.echo(row, err=True)
    report("exports" if quantize is None else f"exports_{quantize}", rows)


def _few(data: Path, place: Path) -> Path:
    """Copies all photos that validate, and a few of each class that train, once."""
    for split in ("train", "validation"):
        for folder in sorted(path for path in (data / split).iterdir() if path.is_dir()):
            copy = place / split / folder.name
            copy.mkdir(parents=True, exist_ok=True)
            files = sorted(folder.iterdir())
            for file in files[:TRAINED_ON] if split == "train" else files:
                if not (copy / file.name).exists():
                    shutil.copy(file, copy / file.name)
    return place


def _train(net: str, data: Path, run: Path) -> None:
    import zoo

    is_here = net in ("mnist_conv", "efficientnet_lite0")
    head = {"name": "head", "train": "head", "epochs": 1 if data.is_file() else 5, "learning_rate": 5e-3}
    whole = {
        "name": "all",
        "train": "all",
        "epochs": 3,
        "learning_rate": 3e-4,
        "schedule": "one_cycle",
        "batchnorm": "frozen",  # in so few steps moving statistics do not follow: another net would be exported
    }
    recipe = zoo.Recipe.model_validate(
        {
            "name": "export",
            "model": {"name": net, "weights": "default" if is_here else "none"},
            "data": {"source": "npz" if data.is_file() else "folder"},
            "train": {"batch_size": 16},
            "phases": [head if is_here else whole],
        }
    )
    weights = None if is_here else _random_weights(net, data, run.with_suffix(".weights.h5"))
    zoo.finetune(recipe, data, run=run, weights=weights, verbose=0)


def _random_weights(net: str, data: Path, path: Path) -> Path:
    """Writes random weights of a net, its BatchNorms' statistics and ConvNeXt's scales those of a net at work."""
    import keras
    import numpy as np
    from PIL import Image

    import zoo

    keras.utils.set_random_seed(0)
    model = zoo.build(net, weights=None, classes=10)
    files = sorted((data / "train").rglob("*.*"))
    size = model.input_shape[1:3]
    photos = np.stack([np.asarray(Image.open(file).convert("RGB").resize(size)) for file in files])
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        for weight in layer.weights:
            if "layer_scale" in weight.path and weight.path.endswith("gamma"):
                weight.assign(keras.ops.ones_like(weight))  # 1e-6 before training: blocks would give nothing
    model(photos.astype("float32"), training=True)
    model.save_weights(path)
    return path


def _exported(
    net: str, run: Path, into: Path, formats: tuple[str, ...], quantize: str | None
) -> Iterator[dict[str, object]]:
    import zoo

    for name in formats:
        begun = time.perf_counter()
        row: dict[str, object] = {"net": net, "format": name}
        smaller = {} if quantize is None else {"quantize": quantize}
        try:
            made = zoo.export_run(run, name, out=into / f"{net}-{name}", **smaller)
        except zoo.ZooError as fault:
            yield {**row, **dict.fromkeys(_FIGURES), "note": str(fault)}
            continue
        proof = made.document.proof
        assert proof is not None
        figures = (
            proof.photos,
            proof.disagreements,
            proof.largest_difference,
            100 * (proof.accuracy or 0),
            100 * (proof.accuracy_of_keras or 0),
            sum((made.path / file).stat().st_size for file in made.document.files) / 1e6,
            time.perf_counter() - begun,
            _cold(made.path),
        )
        yield {**row, **dict(zip(_FIGURES, figures, strict=True)), "note": None}


_FIGURES = ("photos", "disagreements", "largest difference", "accuracy", "of Keras", "MB", "seconds", "cold")


def _cold(folder: Path) -> float:
    """Returns the least seconds of five that call.py takes for one photo."""
    from PIL import Image

    photo = folder.parent / "photo.jpg"
    Image.effect_noise((640, 480), 60).convert("RGB").save(photo)
    command = [sys.executable, "-IB", str(folder / "call.py"), str(photo)]
    taken: list[float] = []
    for _ in itertools.repeat(None, 5):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - begun)
    return min(taken)


if __name__ == "__main__":
    main()
