"""Turns a finished run into weights that ship: the numbers, and the receipt of the run that made them.

    zoo finetune pretrain/mnist_conv --data mnist.npz --run runs/mnist_conv
    python benchmarks/ship_weights.py runs/mnist_conv --data mnist.npz

Prints what the weight set in `zoo/architectures/mnist_conv.py` has to say.
"""

import json
import shutil
from pathlib import Path

import click

from zoo.cli.shell.start import start_backend
from zoo.models.weights import ASSETS
from zoo.runs.folder import RunFolder
from zoo.system.files import sha256, write_atomic

LEFT_OUT = ("schema", "kind", "status", "inputs", "plan", "kept")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="mnist.npz, for its test images.")
def main(run: Path, data: Path) -> None:
    """Ships the best model of RUN as zoo/assets/<model>.safetensors with its receipt."""
    start_backend()
    from zoo.evaluation.measuring import evaluate
    from zoo.report.progress import Display

    folder = RunFolder.open(run)
    weights = ASSETS / f"{folder.record().model}.safetensors"
    shutil.copyfile(folder.model / "model.safetensors", weights)
    with Display() as display:
        evaluation = evaluate(run, data, split="test", display=display)
    receipt = {
        "schema": 1,
        "kind": "receipt",
        "weights": {"file": weights.name, "sha256": sha256(weights), "bytes": weights.stat().st_size},
        "recipe": folder.recipe_path.read_text(encoding="utf-8"),
        "run": {key: value for key, value in folder.record().to_json().items() if key not in LEFT_OUT},
        "epochs": folder.metrics(),
        "test": evaluation.to_json(),
    }
    write_atomic(weights.with_suffix(".receipt.json"), json.dumps(receipt, indent=2, ensure_ascii=False) + "\n")
    click.echo(f'sha256="{receipt["weights"]["sha256"]}", bytes={receipt["weights"]["bytes"]}')
    click.echo(f"test accuracy {evaluation.metrics['accuracy']}")


if __name__ == "__main__":
    main()
