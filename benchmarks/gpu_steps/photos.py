"""JPEGs that a net can learn, made here: stripes whose direction is the class, on noise of any colour."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from gpu_steps.plan import Sizes
from gpu_steps.running import say
from PIL import Image

CLASSES = 8


def main(sizes: Sizes, work: Path, _: str) -> None:
    """Makes the photos."""
    began = time.perf_counter()
    folder = make(work / "photos", sizes.photos, sizes.photo_side)
    size = sum(path.stat().st_size for path in folder.glob("*/*.jpg"))
    say(photos=sizes.photos, megabytes=round(size / 1e6, 1), made_in=round(time.perf_counter() - began, 2))


def make(folder: Path, count: int, side: int) -> Path:
    """Makes as many JPEGs, a folder for each class; they are the same on each machine."""

    def one(number: int) -> None:
        label = number % CLASSES
        path = folder / f"class{label}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number, label, side)).save(path, quality=90)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, range(count)))
    return folder


def pixels(number: int, label: int, side: int) -> np.ndarray:
    """Draws a photo: uint8[side, 4/3 side, 3]."""
    drawn = np.random.default_rng(number)
    width = side * 4 // 3
    rows, columns = np.mgrid[0:side, 0:width]
    angle = np.pi * label / CLASSES
    wave = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) * 25 / side + drawn.uniform(0, 6))
    # Noise as coarse as a photo's, not as a television's: JPEG and decoding then cost what they cost with photos.
    coarse = drawn.normal(0, 25, (side // 8 + 1, width // 8 + 1, 3)).repeat(8, axis=0).repeat(8, axis=1)
    ground = drawn.uniform(60, 190, 3) + coarse[:side, :width] + drawn.normal(0, 4, (side, width, 3))
    return np.clip(ground + 40 * wave[..., None], 0, 255).astype(np.uint8)


def ready(sizes: Sizes, work: Path) -> Path:
    """Returns the folder of the photos; made where an earlier step did not."""
    folder = work / "photos"
    there = sum(1 for _ in folder.glob("*/*.jpg"))
    return folder if there == sizes.photos else make(folder, sizes.photos, sizes.photo_side)
