"""A run of `zoo finetune` in a process of its own, as the scripts of this folder measure it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def train(recipe: str, settings: Sequence[str], *, data: Path, run: Path, cache: Path) -> dict[str, Any]:
    """Trains, or goes on with a run that was cut; a finished one is read.

    Args:
        recipe: Its name.
        settings: Changes to it, as `--set` takes them.
        data: A folder of photos.
        run: The run's folder.
        cache: Where packs and what frozen stages gave are kept.

    Returns:
        run.json, with the seconds of all attempts as `wall_seconds`.
    """
    clock = run.with_suffix(".seconds")
    before = float(clock.read_text(encoding="utf-8")) if clock.is_file() else 0.0
    if _is_done(run):
        return {**_record(run), "wall_seconds": before}
    command = ["finetune", recipe, "--data", str(data), "--run", str(run), "--resume"]
    for setting in settings:
        command += ["--set", setting]
    run.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    try:
        subprocess.run(
            [sys.executable, "-c", "from zoo.cli import main; main()", *command],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        )
    finally:
        spent = time.perf_counter() - began
        clock.write_text(f"{before + spent}", encoding="utf-8")
    return {**_record(run), "wall_seconds": before + spent}


def _is_done(run: Path) -> bool:
    return (run / "run.json").is_file() and _record(run)["status"] == "done"


def _record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))
