"""One card, in under eight minutes: what zoo does on a GPU with JAX, beside bare JAX and PyTorch.

    python benchmarks/gpu.py --wheels DIR                where there is a network: fills DIR with what zoo needs
    python benchmarks/gpu.py --from DIR --out DIR        on the machine: JAX for CUDA, PyTorch, this checkout, and DIR
    python benchmarks/gpu.py --rehearse                  all of it on a CPU, with tiny nets and few photos

Each step is a process of its own with its own time limit, and prints its lines of JSON as they are known, so that a
cut loses only the rest. A step that fails is a line with `error`, and the next begins. In this order: versions, the
card and a matrix product; photos, which are made here; the quickstart; a recipe for GPUs that is killed and resumed;
ResNet-50's training rate, beside the same net by hand in JAX (`gpu_steps/bare_jax.py`) and in PyTorch
(`gpu_steps/bare_torch.py`); the rates of the other nets; a linear probe on frozen layers that run once; and the same
fine-tuning in float32 and bfloat16. `gpu_steps/plan.py` has the sizes and the limits.

TensorFlow is not needed, and not looked for: KERAS_BACKEND is jax. zoo is the checkout's, whatever is installed.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu_steps import plan, running
from gpu_steps.plan import Step

HERE = Path(__file__).resolve()
# Seconds that a rehearsal may take.
PATIENCE = 3600.0


def main() -> None:
    """Runs what is asked for."""
    options = _options()
    if options.step:
        module = importlib.import_module(f"gpu_steps.{options.step}")
        module.main(running.from_text(options.sizes), Path(options.work), options.argument)
    elif options.wheels:
        options.wheels.mkdir(parents=True, exist_ok=True)
        importlib.import_module("gpu_steps.wheels").download(options.wheels, options.python)
    else:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
            _measure(options, Path(work))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="fill DIR with wheels, and do nothing else")
    parser.add_argument("--python", default="3.12", help="of the machine that the wheels are for (3.12)")
    parser.add_argument("--from", dest="wheels_from", type=Path, metavar="DIR", help="install the wheels of DIR first")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep lines.jsonl and log.txt there")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with tiny sizes")
    parser.add_argument("--only", action="append", default=[], metavar="STEP", help="this step; may be given again")
    parser.add_argument("--seconds", type=float, default=plan.SECONDS, help=f"for all steps ({plan.SECONDS:.0f})")
    for hidden in ("--step", "--sizes", "--work", "--argument"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(options: argparse.Namespace, work: Path) -> None:
    began = time.monotonic()
    sizes = plan.REHEARSAL if options.rehearse else plan.CARD
    known = plan.steps(sizes)
    unknown = sorted(set(options.only) - {step.name for step in known})
    if unknown:
        sys.exit(f"--only {unknown[0]}: not a step; expected one of {', '.join(step.name for step in known)}")
    out = options.out or work / "out"
    out.mkdir(parents=True, exist_ok=True)
    path = [str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    if options.wheels_from:
        importlib.import_module("gpu_steps.wheels").install(options.wheels_from, work / "site")
        path.insert(1, str(work / "site"))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
        "KERAS_BACKEND": "jax",
        "XDG_CACHE_HOME": str(work / "cache"),
        # A resumed run compiles what it compiled before it was killed.
        "JAX_COMPILATION_CACHE_DIR": str(work / "compiled"),
        **({"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""} if options.rehearse else {}),
    }

    def command(step: Step) -> list[str]:
        given = ["--step", step.module, "--work", str(work), "--argument", step.argument]
        return [sys.executable, str(HERE), *given, "--sizes", running.to_text(sizes)]

    with (out / "lines.jsonl").open("w", encoding="utf-8") as lines, (out / "log.txt").open("w") as log:

        def emit(values: dict[str, Any]) -> None:
            line = json.dumps(values)
            print(line, flush=True)
            print(line, file=lines, flush=True)

        steps = [step for step in known if not options.only or step.name in options.only]
        left = options.seconds - (time.monotonic() - began)
        if options.rehearse:  # a CPU takes as long as it takes
            steps, left = [replace(step, limit=PATIENCE, least=0) for step in steps], PATIENCE
        running.run_steps(steps, command, seconds=left, environment=environment, log=log, emit=emit)
        emit({"step": "all", "seconds": round(time.monotonic() - began, 1), "rehearsed": options.rehearse})


if __name__ == "__main__":
    main()
