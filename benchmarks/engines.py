"""Forward passes of the same nets by TensorFlow, OpenVINO, LiteRT, ONNX Runtime and PyTorch.

    python benchmarks/engines.py --rounds 5

Batches of 32 images at 224 pixels, float32, as many threads as cores. Each measurement is a process of its own, the
sides in turn, each round in another order. `prepared` is what a side takes before its first batch is there, imports
included. Where a side has the weights of TensorFlow's, its largest difference of a probability from that is said.
ONNX Runtime has timm's net, exported by PyTorch.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from environments import TORCH, CannotInstallError, last_line, make_environment
from reporting import report

HERE = Path(__file__).parent
NETS = ("efficientnet_lite0", "mobilenet_v2", "resnet50")
SIDES = ("tensorflow", "openvino", "litert", "onnxruntime", "pytorch")
PINS = {
    "zoo": (str(HERE.parent), "openvino==2026.4.1", "ai-edge-litert==2.3.0"),
    "pytorch": (*TORCH, "timm==1.0.31", "onnx==1.23.2", "onnxscript==0.7.2", "onnxruntime==1.31.1"),
}
SIZE, BATCH = 224, 32


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Measurements of each side and net.")
@click.option("--seconds", default=10, show_default=True, help="Of each.")
@click.option("--environments", default="environments", type=click.Path(path_type=Path), help="Where they are made.")
def main(rounds: int, seconds: int, environments: Path) -> None:
    """Measures, prints a table and writes results/engines.json."""
    pythons: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, pins in PINS.items():
        try:
            pythons[name] = str(make_environment(environments, f"engines-{name}", pins))
        except CannotInstallError as fault:
            faults[name] = str(fault)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as place:
        for turn in range(rounds):
            for net in NETS:
                for side in (*SIDES[turn % len(SIDES) :], *SIDES[: turn % len(SIDES)]):
                    home = "pytorch" if side in ("pytorch", "onnxruntime") else "zoo"
                    one = {"reason": faults[home]} if home in faults else _run(pythons[home], side, net, seconds, place)
                    found.setdefault((net, side), []).append(one)
        report("engines", [row for net in NETS for row in rows_of(net, found, Path(place))])


def _run(python: str, side: str, net: str, seconds: int, place: str) -> dict[str, Any]:
    """Measures a side once; says why not where it fails."""
    threads = str(len(os.sched_getaffinity(0)))
    numbers = [str(SIZE), str(BATCH), threads, str(seconds), f"{net}-{side}.npy"]
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [python, str(HERE / "forward_passes.py"), side, net, *numbers]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place, env=variables)
    return {"reason": last_line(ran.stderr)} if ran.returncode else json.loads(ran.stdout.splitlines()[-1])


def rows_of(
    net: str, found: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], place: Path
) -> list[dict[str, object]]:
    """Makes a net's rows: medians, and how many times as fast as TensorFlow a side is."""
    speeds = {side: [one["speed"] for one in found[net, side] if "speed" in one] for side in SIDES}
    rows: list[dict[str, object]] = []
    for side in SIDES:
        runs = speeds[side]
        base = speeds["tensorflow"]
        rows.append(
            {
                "net": net,
                "side": side,
                "images a second": statistics.median(runs) if runs else None,
                "least": min(runs, default=None),
                "most": max(runs, default=None),
                "times tensorflow": statistics.median(runs) / statistics.median(base) if runs and base else None,
                "prepared": statistics.median(one["prepared"] for one in found[net, side] if "prepared" in one)
                if runs
                else None,
                "largest difference": _difference(place / f"{net}-tensorflow.npy", place / f"{net}-{side}.npy"),
                "note": next((one["reason"] for one in found[net, side] if "reason" in one), None),
                "runs": runs,
            }
        )
    return rows


def _difference(one: Path, other: Path) -> float | None:
    if not (one.is_file() and other.is_file()):
        return None
    return float(np.abs(np.load(one) - np.load(other)).max())


if __name__ == "__main__":
    sys.exit(main())
