"""A linear probe: frozen layers run once, and the head trains on what they gave."""

from pathlib import Path

from gpu_steps import photos
from gpu_steps.plan import Sizes
from gpu_steps.running import finetune, finished, say, settings


def main(sizes: Sizes, work: Path, _: str) -> None:
    """Trains a head on frozen layers, and says how many images a second the first pass took."""
    data, run = photos.ready(sizes, work), work / "runs" / "probe"
    changes = settings(f"data.image_size={sizes.side}", "train.prefix_cache=required", *sizes.of_probe)
    process = finetune("finetune/linear-probe", "--data", str(data), "--run", str(run), *changes)
    record, rows = finished(process, run)
    (phase,) = record["phases"]
    first_pass = record["seconds"]["first_pass"]
    say(
        cut=phase["prefix_cache"]["cut"],
        computed=phase["prefix_cache"]["computed"],
        first_pass_seconds=first_pass,
        first_pass_images_per_second=round(phase["prefix_cache"]["computed"] / first_pass, 1),
        images_per_second=[row["images_per_second"] for row in rows],
        accuracy=record["metrics"].get("accuracy"),
        where_the_seconds_went=record["seconds"],
    )
