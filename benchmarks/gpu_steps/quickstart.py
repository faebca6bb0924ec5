"""The quickstart, whose images ship."""

import time
from pathlib import Path

from gpu_steps.plan import Sizes
from gpu_steps.running import finetune, finished, say, settings


def main(sizes: Sizes, work: Path, _: str) -> None:
    """Runs it to its end."""
    began = time.perf_counter()
    run = work / "runs" / "quickstart"
    record, rows = finished(finetune("quickstart", "--run", str(run), *settings(*sizes.of_quickstart)), run)
    say(
        seconds=round(time.perf_counter() - began, 1),
        device=record["environment"]["device"],
        precision=record["precision"],
        accuracy=record["metrics"]["accuracy"],
        images_per_second=rows[-1]["images_per_second"],
        where_the_seconds_went=record["seconds"],
    )
