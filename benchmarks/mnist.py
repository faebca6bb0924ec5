"""The MNIST nets on the full data set, each by its own recipe through `zoo finetune`.

    python benchmarks/mnist.py nets --data mnist.npz --runs runs/mnist      all eight, the same 6 epochs
    python benchmarks/mnist.py chapter --data mnist.npz --runs runs/mnist   the text's 100 epochs, beside its figures
    python benchmarks/mnist.py seeds --data mnist.npz --runs runs/mnist     our two nets' recipes with three seeds

A run that was cut goes on from its last epoch, and a finished one is read, so a script may be started again at will.
Each prints one Markdown table and writes one JSON document under results/.

The figure of a net is its accuracy on the 10,000 test images after the last epoch, never the best epoch's: to choose
an epoch by the test images is to measure on what was chosen. Seconds are an epoch's of training and validation as the
run recorded them; only `nets` gives them, and wants a machine with nothing else to do.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from reporting import report

import zoo

# The net and the validation accuracy at epoch 100 that the text has for it.
TEXT_ACCURACY = {
    "mnist_simple": 0.9846,
    "mnist_bigger": 0.9889,
    "mnist_pooling": 0.9928,
    "mnist_striding": 0.9923,
    "mnist_striding_batchnorm": 0.9902,
    "mnist_pattern_pooling": 0.9883,
    "mnist_pattern_striding": 0.9843,
}
OURS = ("mnist_conv", "mnist_conv_tiny")


def recipe_of(net: str) -> str:
    """Returns the name of the net's own recipe."""
    return f"pretrain/{net}" if net in OURS else f"seed/{net}"


def train(net: str, data: Path, run: Path, settings: Sequence[str]) -> list[dict[str, Any]]:
    """Trains a net in a process of its own, or goes on with it, and returns its epochs."""
    command = ["finetune", recipe_of(net), "--data", str(data), "--run", str(run), "--resume"]
    for setting in settings:
        command += ["--set", setting]
    click.echo(f"$ zoo {' '.join(command)}", err=True)
    subprocess.run(
        [sys.executable, "-c", "from zoo.cli import main; main()", *command], check=True, stdout=subprocess.DEVNULL
    )
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def _median_seconds(epochs: list[dict[str, Any]]) -> float:
    # The first epoch has the compilation in it.
    return round(statistics.median(epoch["seconds"] for epoch in epochs[1:] or epochs), 2)


@click.group()
def main() -> None:
    """Trains the MNIST nets and prints how good they became."""


def _shared_options(command: Any) -> Any:
    existing = click.Path(exists=True, path_type=Path)
    command = click.option("--data", type=existing, required=True, help="mnist.npz.")(command)
    return click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where the runs go.")(command)


@main.command()
@_shared_options
@click.option("--epochs", default=6, show_default=True)
def nets(data: Path, runs: Path, epochs: int) -> None:
    """All eight nets for the same number of epochs; a schedule is that of so many epochs."""
    rows: list[dict[str, Any]] = []
    for net in (*TEXT_ACCURACY, "mnist_conv"):
        phase = "phases.0.epochs"
        history = train(net, data, runs / f"{net}-{epochs}", [f"{phase}={epochs}", "data.validation=test"])
        rows.append(
            {
                "net": net,
                "parameters": zoo.info(net).params,
                "test accuracy": history[-1]["val_accuracy"],
                "seconds an epoch": _median_seconds(history),
            }
        )
    report("mnist_nets", rows)


@main.command()
@_shared_options
@click.option("--net", "names", multiple=True, type=click.Choice(list(TEXT_ACCURACY)), default=["mnist_striding"])
def chapter(data: Path, runs: Path, names: tuple[str, ...]) -> None:
    """The text's recipe for the text's 100 epochs."""
    rows: list[dict[str, Any]] = []
    for net in names:
        history = train(net, data, runs / f"{net}-chapter", [])
        rows.append(
            {
                "net": net,
                "the text": TEXT_ACCURACY[net],
                "here, last epoch": history[-1]["val_accuracy"],
                "mean of the last ten": round(statistics.mean(epoch["val_accuracy"] for epoch in history[-10:]), 4),
                "epochs": len(history),
            }
        )
    report("mnist_chapter", rows)


@main.command()
@_shared_options
@click.option("--seeds", "count", default=3, show_default=True)
def seeds(data: Path, runs: Path, count: int) -> None:
    """Our nets' recipes as they are, with seeds 0, 1, ...: all 60,000 images train, and the last model is measured."""
    rows: list[dict[str, Any]] = []
    for net in OURS:
        accuracies: list[float] = []
        epochs = 0
        for seed in range(count):
            run = runs / f"{net}-seed{seed}"
            history = train(net, data, run, [f"train.seed={seed}"])
            accuracies.append(_test_accuracy(run, data))
            epochs = len(history)
        rows.append(
            {
                "net": net,
                "parameters": zoo.info(net).params,
                "epochs": epochs,
                "test accuracy": accuracies,
                "mean": round(statistics.mean(accuracies), 5),
                "standard deviation": round(statistics.stdev(accuracies), 5) if count > 1 else 0.0,
            }
        )
    report("mnist_seeds", rows)


def _test_accuracy(run: Path, data: Path) -> float:
    command = ["evaluate", str(run), "--data", str(data), "--split", "test", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from zoo.cli import main; main()", *command], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)["metrics"]["accuracy"]


if __name__ == "__main__":
    main()
