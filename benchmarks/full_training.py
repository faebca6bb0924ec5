"""Images a second where all layers train, from random weights: ours beside plain Keras and PyTorch.

    pip install .
    python benchmarks/full_training.py --runs runs/full-training --environments environments

The images are uint8 in memory, at random; all is float32, BatchNorm uses each batch, and every core computes. Sides:

    zoo               `zoo.finetune`: an epoch's `seconds` in metrics.jsonl
    keras             the same model under plain Keras: `compile` and `fit` with NumPy arrays
    pytorch           a loop over torchvision's or timm's net, in channels_last, with a fused optimizer
    pytorch compiled  the same by `torch.compile`

PyTorch is installed into an environment of its own. All sides of a net are processes that live through its rounds; an
epoch warms each up, and in a round one after another trains an epoch, while the others wait. Nets that are measured
already are read. A side that cannot run is listed with the reason; its log lies beside the net's figures.

What differs: our ResNet-50 is Keras', whose convolutions have biases before BatchNorm. PyTorch pads strided
convolutions evenly, which takes as many multiply-adds.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
from environments import TORCH, CannotInstallError, last_line, make_environment
from reporting import markdown, report

HERE = Path(__file__).parent
CLASSES = 10
RATE = 1e-3
PINS = (*TORCH, "timm==1.0.31")


@dataclass(frozen=True, kw_only=True)
class Net:
    """A net, and what it trains on.

    Attributes:
        size: Side of the images, in pixels.
        channels: Of the images.
        batch: Images of a batch.
        images: Of an epoch: a quarter of a minute or so on two cores.
    """

    size: int
    channels: int
    batch: int
    images: int


NETS = {
    "resnet50": Net(size=128, channels=3, batch=16, images=480),
    "mobilenet_v2": Net(size=128, channels=3, batch=16, images=1_920),
    "efficientnet_lite0": Net(size=128, channels=3, batch=16, images=1_920),
    "convnext_tiny": Net(size=128, channels=3, batch=16, images=320),
    "mnist_conv": Net(size=28, channels=1, batch=64, images=38_400),
}


@dataclass(frozen=True, kw_only=True)
class Side:
    """Who trains.

    Attributes:
        worker: A file of training_rounds/.
        compiled: Whether PyTorch compiles.
    """

    worker: str
    compiled: bool = False

    @property
    def needs_torch(self) -> bool:
        """Whether it runs in PyTorch's environment."""
        return self.worker == "pytorch.py"


SIDES = {
    "zoo": Side(worker="toolkit.py"),
    "keras": Side(worker="plain_keras.py"),
    "pytorch": Side(worker="pytorch.py"),
    "pytorch compiled": Side(worker="pytorch.py", compiled=True),
}


class WorkerError(Exception):
    """A worker ended before its time; the text is the last line of its log."""


class Worker:
    """A side's process."""

    def __init__(self, python: str, side: Side, spec: Mapping[str, Any], log: Path) -> None:
        """Starts it; it begins to warm up."""
        self._log = log
        threads = str(spec["threads"])
        own = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TF_NUM_INTRAOP_THREADS": threads}
        path = os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {**os.environ, **own, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"}
        with log.open("w", encoding="utf-8") as said:
            self._process = subprocess.Popen(
                [python, str(HERE / "training_rounds" / side.worker), json.dumps({**spec, "compiled": side.compiled})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=variables,
            )

    def train(self) -> None:
        """Lets it train an epoch, and waits until it has."""
        # A process that has ended is noticed where its answer is read.
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).write("round\n")
            _pipe(self._process.stdin).flush()
        self.answer()

    def answer(self) -> dict[str, Any]:
        """Waits for its next answer.

        Raises:
            WorkerError: It has ended.
        """
        line = _pipe(self._process.stdout).readline()
        if not line:
            code = self._process.wait()
            said = last_line(self._log.read_text(encoding="utf-8", errors="replace"))
            raise WorkerError(said or f"exit code {code}")
        return json.loads(line)

    def end(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()
        self._process.communicate()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # both are pipes
    return stream


@dataclass(frozen=True, kw_only=True)
class Session:
    """What is measured in one go.

    Attributes:
        runs: Where figures and logs go.
        pythons: The interpreter of each side; a side that has none is given its reason.
        missing: By side, why it cannot run.
        rounds: Epochs that count.
        optimizer: `adam` or `sgd`.
    """

    runs: Path
    pythons: Mapping[str, str]
    missing: Mapping[str, str]
    rounds: int
    optimizer: str


def measure(name: str, net: Net, session: Session) -> dict[str, dict[str, Any]]:
    """Trains a net by each side in turns.

    Returns:
        By side, what it answered at its end: `seconds`, `parameters` and `multiply_adds`; or `reason`.
    """
    import numpy as np

    found: dict[str, dict[str, Any]] = {side: {"reason": reason} for side, reason in session.missing.items()}
    with contextlib.ExitStack() as at_end:
        folder = Path(at_end.enter_context(tempfile.TemporaryDirectory()))
        chance = np.random.default_rng(0)
        pixels = chance.integers(256, size=(net.images, net.size, net.size, net.channels), dtype=np.uint8)
        np.savez(folder / "images.npz", x=pixels, y=np.arange(net.images) % CLASSES)
        spec = {
            "net": name,
            "images": str(folder / "images.npz"),
            "size": net.size,
            "channels": net.channels,
            "classes": CLASSES,
            "batch": net.batch,
            "rounds": session.rounds,
            "optimizer": session.optimizer,
            "rate": RATE,
            "threads": os.cpu_count(),
        }
        workers: dict[str, Worker] = {}
        for side, python in session.pythons.items():
            log = session.runs / f"{name}-{side.replace(' ', '-')}.log"
            worker = Worker(python, SIDES[side], spec, log)
            at_end.callback(worker.end)
            if _goes_on(worker.answer, side, found):  # when it has warmed up
                workers[side] = worker
        for turn in range(session.rounds):
            for side in in_turn(list(workers), turn):
                if not _goes_on(workers[side].train, side, found):
                    del workers[side]
            click.echo(f"{name}: round {turn + 1} of {session.rounds}", err=True)
        for side, worker in workers.items():
            found[side] = worker.answer()
    return {side: found[side] for side in SIDES if side in found}


def _goes_on(step: Any, side: str, found: dict[str, dict[str, Any]]) -> bool:
    """Lets a worker do something; notes the reason where it has ended instead."""
    try:
        step()
    except WorkerError as fault:
        found[side] = {"reason": str(fault)}
        click.echo(f"{side}: {fault}", err=True)
        return False
    return True


def in_turn(sides: Sequence[str], turn: int) -> list[str]:
    """Returns the sides in another order each round, so that none always comes after the same."""
    first = turn % max(len(sides), 1)
    return [*sides[first:], *sides[:first]]


def rows_of(name: str, net: Net, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sums up what the sides of a net answered, beside the toolkit."""
    ours = found.get("zoo", {})
    our_speed = statistics.median(speeds(ours, net)) if "seconds" in ours else None
    rows: list[dict[str, Any]] = []
    for side, answer in found.items():
        images = speeds(answer, net) if "seconds" in answer else []
        median = statistics.median(images) if images else None
        rows.append(
            {
                "net": name,
                "side": side,
                "images a second": round(median, 1) if median else None,
                "least": round(min(images), 1) if images else None,
                "most": round(max(images), 1) if images else None,
                "the toolkit is times as fast": round(our_speed / median, 2) if our_speed and median else None,
                "parameters": answer.get("parameters"),
                "multiply-adds": answer.get("multiply_adds"),
                "note": answer.get("reason") or differences(ours, answer),
                "runs": [round(one, 2) for one in images],
            }
        )
    return rows


def speeds(answer: Mapping[str, Any], net: Net) -> list[float]:
    """Returns the images a second of each round."""
    return [net.images / seconds for seconds in answer["seconds"]]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """Says in what another side's net differs from the toolkit's; None where it does not."""
    if "parameters" not in ours:
        return None
    words = {"parameters": "parameters", "multiply_adds": "multiply-adds"}
    by = {word: theirs[key] - ours[key] for key, word in words.items()}
    return ", ".join(f"{more:+,} {word}" for word, more in by.items() if more) or None


@click.command()
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where figures and logs go.")
@click.option(
    "--environments",
    type=click.Path(path_type=Path),
    required=True,
    help="Where PyTorch's environment lies, or is made: 1.1 GB.",
)
@click.option("--rounds", default=5, show_default=True)
@click.option("--net", "names", multiple=True, type=click.Choice(list(NETS)), default=list(NETS))
@click.option("--side", "sides", multiple=True, type=click.Choice(list(SIDES)), default=list(SIDES))
@click.option("--optimizer", type=click.Choice(["adam", "sgd"]), default="adam", show_default=True)
@click.option("--rehearse", is_flag=True, help="One round of three small batches, which is printed and not kept.")
# Many arguments because each is an option that a user types.
def main(
    runs: Path,
    environments: Path,
    rounds: int,
    names: tuple[str, ...],
    sides: tuple[str, ...],
    optimizer: str,
    rehearse: bool,
) -> None:
    """Trains each net by each side in turns and prints how fast."""
    runs.mkdir(parents=True, exist_ok=True)
    asked = [side for side in SIDES if side in sides]
    pythons = {side: sys.executable for side in asked if not SIDES[side].needs_torch}
    missing: dict[str, str] = {}
    with_torch = [side for side in asked if SIDES[side].needs_torch]
    if with_torch:
        try:
            pythons |= dict.fromkeys(with_torch, str(make_environment(environments, "pytorch", PINS)))
        except CannotInstallError as fault:
            missing |= dict.fromkeys(with_torch, str(fault))
    rounds = 1 if rehearse else rounds
    session = Session(runs=runs, pythons=pythons, missing=missing, rounds=rounds, optimizer=optimizer)
    rows: list[dict[str, Any]] = []
    for name in names:
        net = rehearsed(NETS[name]) if rehearse else NETS[name]
        kept = runs / f"{name}-{optimizer}-{rounds}.json"
        if kept.is_file() and not rehearse:
            found = json.loads(kept.read_text(encoding="utf-8"))
        else:
            found = measure(name, net, session)
            if not rehearse:
                kept.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        rows += rows_of(name, net, found)
    if rehearse:
        click.echo(markdown(rows))
    else:
        report("full_training" if optimizer == "adam" else f"full_training_{optimizer}", rows)


def rehearsed(net: Net) -> Net:
    """Returns a net with three batches, in which all classes are."""
    return Net(size=net.size, channels=net.channels, batch=4, images=12)


if __name__ == "__main__":
    main()
