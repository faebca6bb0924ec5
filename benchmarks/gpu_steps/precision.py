"""A small fine-tuning in float32 beside the same in bfloat16: what the accuracy is."""

from pathlib import Path

from gpu_steps.plan import Sizes
from gpu_steps.running import finetune, finished, say, settings


def main(sizes: Sizes, work: Path, _: str) -> None:
    """Trains the quickstart in both."""
    for policy in ("float32", "mixed_bfloat16"):
        run = work / "runs" / f"precision-{policy}"
        changes = settings(f"train.precision={policy}", *sizes.of_quickstart)
        record, rows = finished(finetune("quickstart", "--run", str(run), *changes), run)
        say(
            precision=record["precision"],
            accuracy=record["metrics"]["accuracy"],
            interval=record["intervals"]["accuracy"] if "intervals" in record else None,
            loss=rows[-1]["loss"],
            val_loss=rows[-1]["val_loss"],
            images_per_second=rows[-1]["images_per_second"],
            tf32=record["environment"].get("tf32"),
        )
