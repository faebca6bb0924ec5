"""A recipe for GPUs on photos: killed after its first epoch of all layers, and resumed."""

import time
from pathlib import Path

from gpu_steps import photos
from gpu_steps.plan import Sizes
from gpu_steps.running import finetune, finished, lines_of, say, settings

KILLED_IN = "all"
# Seconds until a card has the memory back of a process that was killed.
SETTLED = 2.0


def main(sizes: Sizes, work: Path, _: str) -> None:
    """Trains, kills, resumes, and says what each half took.

    Raises:
        RuntimeError: The run failed, or was over before it could be killed.
    """
    data, run = photos.ready(sizes, work), work / "runs" / "resume"
    began = time.perf_counter()
    changes = settings(f"data.image_size={sizes.side}", *sizes.of_recipe)
    process = finetune(sizes.recipe, "--data", str(data), "--run", str(run), *changes)
    while process.poll() is None and not any(row["phase"] == KILLED_IN for row in lines_of(run)):
        time.sleep(0.01)
    if process.poll() is not None:
        raise RuntimeError(f"{sizes.recipe} ended with exit code {process.returncode} before it was killed")
    process.kill()
    process.wait()
    time.sleep(SETTLED)
    before = len(lines_of(run))
    say(recipe=sizes.recipe, killed_after_epochs=before, seconds=round(time.perf_counter() - began, 1))
    began = time.perf_counter()
    record, rows = finished(finetune("--run", str(run), "--resume"), run)
    say(
        recipe=sizes.recipe,
        status=record["status"],
        epochs=len(rows),
        exactness=record.get("exactness"),
        precision=record["precision"],
        accuracy=record["metrics"].get("accuracy"),
        images_per_second=[row["images_per_second"] for row in rows],
        mfu=[row.get("mfu") for row in rows],
        data_wait_share=rows[-1]["data_wait_share"],
        seconds=round(time.perf_counter() - began, 1),
        where_the_seconds_went=record["seconds"],
    )
