"""Whether reading photos costs as much for each of many as for each of few, and in how much memory.

    python benchmarks/packing_scale.py
    python benchmarks/packing_scale.py --counts 500,2000

Makes folders of so many JPEGs of 160x120 in ten classes, each with colours and noise of its own (about 1.5 GB for
100,000, and as much again while they are packed), and works on each in a process of its own for each of

    open          `zoo.data.open_dataset`, which lists the files
    pack          `zoo.data.pack(..., keep=True)` at 64 pixels, from an empty cache
    pack again    the same with the pack there: the files' times and the pack's hashes are compared
    inspect       `zoo.data.check.inspection.inspect`, from an empty cache: all decoded, and those found that are alike

Memory is the most that the process held (`ru_maxrss`); only on Linux is it in the unit that is named. The fewest photos
are read in each round, the others in the middle one only, so that what the machine does besides is in both.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
from reporting import report

SIZE, CLASSES = 64, 10
WIDTH, HEIGHT = 160, 120


def make(folder: Path, count: int) -> None:
    """Writes photos: smooth random colours, as low frequencies tell pictures apart, under noise."""
    import numpy as np
    from PIL import Image

    for label in range(CLASSES):
        (folder / f"class-{label}").mkdir(parents=True, exist_ok=True)

    def write(number: int) -> None:
        random = np.random.default_rng((count, number))
        rough = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8))
        smooth = np.asarray(rough.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
        noisy = smooth + random.integers(-12, 13, smooth.shape, np.int8)
        path = folder / f"class-{number % CLASSES}" / f"{number:06}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=75)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(write, range(count), chunksize=100):
            pass


def _open(photos: Path) -> Callable[[], Any]:
    from zoo.data import open_dataset

    return lambda: open_dataset("folder", photos)


def _pack(photos: Path) -> Callable[[], object]:
    from zoo.data import Packing, Settings, pack

    split = _open(photos)().train
    return lambda: pack(split, Settings(height=SIZE, width=SIZE, channels=3), Packing(keep=True))


def _inspect(photos: Path) -> Callable[[], object]:
    import imagehash
    from PIL import Image

    from zoo.data.check.inspection import inspect

    dataset = _open(photos)()
    imagehash.phash(Image.new("L", (WIDTH, HEIGHT)))  # imports more when it is first called
    return lambda: inspect(dataset, on_progress=lambda _done, _total: None)


# Prepares what is timed; the cache is emptied before each but "pack again".
JOBS: dict[str, Callable[[Path], Callable[[], object]]] = {
    "open": _open,
    "pack": _pack,
    "pack again": _pack,
    "inspect": _inspect,
}


def _measure(job: str, photos: Path) -> tuple[float, float]:
    """Returns seconds, and the most memory in MB."""
    run = JOBS[job](photos)
    began = time.perf_counter()
    run()
    seconds = time.perf_counter() - began
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _counts(_context: click.Context, _option: click.Parameter, text: str) -> list[int]:
    try:
        return sorted({int(count) for count in text.split(",")})
    except ValueError as fault:
        raise click.BadParameter("expected whole numbers, such as 5000,100000") from fault


@click.command()
@click.option("--counts", default="5000,100000", show_default=True, callback=_counts, help="How many photos.")
@click.option("--rounds", default=3, show_default=True, help="Of the fewest photos.")
@click.option("--child", nargs=2, hidden=True, help="JOB or make, PHOTOS: in this process.")
def main(counts: list[int], rounds: int, child: tuple[str, str] | None) -> None:
    """Times each job on each number of photos and prints time per photo and memory."""
    if child is not None:
        job, place = child
        if job == "make":
            make(Path(place), counts[0])
        else:
            click.echo(json.dumps(_measure(job, Path(place))))
        return
    found: dict[tuple[str, int], list[tuple[float, float]]] = {(job, count): [] for job in JOBS for count in counts}
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name) / "cache"
        for count in counts:
            _in_child("make", folder / str(count), cache, count)
        for turn in range(rounds):
            for count in counts if turn == rounds // 2 else counts[:1]:
                for job in JOBS:
                    if job != "pack again":
                        shutil.rmtree(cache, ignore_errors=True)
                    seconds, peak = json.loads(_in_child(job, folder / str(count), cache, count))
                    found[job, count].append((seconds, peak))
                    click.echo(f"round {turn + 1}  {job}  {count:,}: {seconds:.1f} s, {peak:,.0f} MB", err=True)
    medians = {key: statistics.median(seconds for seconds, _ in runs) for key, runs in found.items()}
    rows = [
        {
            "what": job,
            "photos": count,
            "median seconds": round(medians[job, count], 3),
            "ms a photo": round(1000 * medians[job, count] / count, 3),
            "times that of the fewest": round(medians[job, count] / count / (medians[job, counts[0]] / counts[0]), 2),
            "peak MB": round(max(peak for _, peak in runs)),
            "runs": [round(seconds, 3) for seconds, _ in runs],
        }
        for (job, count), runs in found.items()
    ]
    report("packing_scale", rows)


def _in_child(job: str, photos: Path, cache: Path, count: int) -> str:
    """Works in a process of its own; this one stays small, as a child's peak begins with its parent's."""
    command = [sys.executable, __file__, "--counts", str(count), "--child", job, str(photos)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout


if __name__ == "__main__":
    main()
