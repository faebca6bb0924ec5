"""What a photo costs among few and among many: all of `zoo finetune finetune/default`, by step, and its memory.

    python benchmarks/scaling_of_cost.py --data clothing/
    python benchmarks/scaling_of_cost.py --data clothing/ --counts 1000,10000

Makes folders of so many photos: those of a folder with a sub-folder for each class, again and again, each time a little
darker and cut by some pixels more, so that no two are the same file. Each command has a process and an empty cache of
its own. `zoo data check` is timed too. The steps are those that `zoo finetune --json` prints.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
from PIL import Image
from reporting import report

SUFFIXES = (".jpg", ".jpeg", ".png")
RECIPE = "finetune/default"
# Runs a command in a process of its own, and prints its exit code and the most memory that it had.
WATCHED = """
import resource, subprocess, sys
with open(sys.argv[1], "wb") as out:
    code = subprocess.run(sys.argv[2:], stdout=out).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def make(photos: list[Path], folder: Path, count: int) -> None:
    """Writes so many photos below a folder for each class; each round over them is changed a little more."""

    def write(number: int) -> None:
        times, which = divmod(number, len(photos))
        source = photos[which]
        copied = folder / source.parent.name / f"{times}-{source.stem}.jpg"
        with Image.open(source) as opened:
            photo = opened.convert("RGB")
        left = times % 16
        photo = photo.crop((left, left // 2, photo.width, photo.height)).point(lambda value: value - times // 2)
        photo.save(copied, quality=85)

    for name in {photo.parent.name for photo in photos}:
        (folder / name).mkdir(parents=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(count)))


def run(words: list[str], cache: Path) -> tuple[dict[str, Any], float, float]:
    """Runs a command with an empty cache; returns what it prints, seconds, and the most memory in MB."""
    shutil.rmtree(cache, ignore_errors=True)
    said = cache.with_suffix(".json")
    command = [sys.executable, "-c", WATCHED, str(said), sys.executable, "-m", "zoo", *words, "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "XDG_CACHE_HOME": str(cache)}
    )
    seconds = time.perf_counter() - began
    code, peak = map(int, done.stdout.split())
    document = json.loads(said.read_text())
    if code not in (0, 3) or document["kind"] == "error":
        raise click.ClickException(f"zoo {' '.join(words)}: {document.get('error', code)}")
    return document, seconds, peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def rows_of(count: int, photos: Path, place: Path) -> list[dict[str, Any]]:
    """Measures both commands on a folder."""
    words = ["finetune", RECIPE, "--data", str(photos), "--run", str(place / f"run-{count}")]
    trained, seconds, peak = run(words, place / "cache")
    _, checking, peak_of_check = run(["data", "check", str(photos)], place / "cache")
    steps = dict(trained["seconds"])
    steps.pop("total")
    steps |= {f"phase {name}": taken for name, taken in steps.pop("phases").items()}
    rows = [(RECIPE, seconds, peak), ("data check", checking, peak_of_check)]
    rows += [(f"  {name}", taken, None) for name, taken in steps.items()]
    return [
        {
            "what": what,
            "photos": count,
            "seconds": round(taken, 2),
            "ms a photo": round(1000 * taken / count, 3),
            "peak MB": None if peak is None else round(peak),
        }
        for what, taken, peak in rows
    ]


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, path_type=Path), required=True, help="Photos, a folder for each class."
)
@click.option("--counts", default="1000,10000,50000", show_default=True, help="How many photos.")
def main(data: Path, counts: str) -> None:
    """Trains the default recipe on more and more photos, and prints what each step costs a photo."""
    photos = sorted(path for path in data.rglob("*") if path.suffix.lower() in SUFFIXES)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for count in map(int, counts.split(",")):
            folder = Path(name) / str(count)
            make(photos, folder, count)
            rows += rows_of(count, folder, Path(name))
            click.echo(f"{rows[-1]}", err=True)
            shutil.rmtree(folder)
    report("scaling_of_cost", sorted(rows, key=lambda row: [one["what"] for one in rows].index(row["what"])))


if __name__ == "__main__":
    main()
