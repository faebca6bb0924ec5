"""A folder of wheels for a machine without a network: what zoo needs beside JAX, TensorFlow left out.

Which: all that pyproject.toml declares and what that needs, by the metadata of the packages that are installed here, in
their versions; without TensorFlow, which the JAX backend does without, and without what comes with JAX (`WITH_JAX`) and
so fits the JAX that the machine has. They are wheels for the machine's Python on Linux with glibc up to 2.39. zoo
itself runs from the checkout that this script lies in.
"""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
WITH_JAX = ("jax", "jaxlib", "ml-dtypes", "numpy", "opt-einsum", "scipy")
LEFT_OUT = ("tensorflow", *WITH_JAX)
# pip takes each of them by its name only.
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(39, 16, -1)),
    "manylinux2014_x86_64",
    "manylinux_2_12_x86_64",
    "manylinux2010_x86_64",
    "manylinux_2_5_x86_64",
    "manylinux1_x86_64",
)


def needed(python: str) -> dict[str, str]:
    """Returns the packages that are needed for a Python, as `3.12`, with the version that is installed here.

    Raises:
        PackageNotFoundError: One is not installed here.
    """
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["dependencies"]
    there = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "extra": ""}
    found: dict[str, str] = {}
    left = [Requirement(one) for one in declared]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name in found or name in LEFT_OUT or (requirement.marker and not requirement.marker.evaluate(there)):
            continue
        distribution = importlib.metadata.distribution(name)
        found[name] = distribution.version
        left += [Requirement(one) for one in distribution.requires or ()]
    return found


def download(folder: Path, python: str) -> None:
    """Fills a folder with wheels for a Python, and says how large it is."""
    names = [f"{name}=={version}" for name, version in sorted(needed(python).items())]
    platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python, *platforms, "--dest", str(folder)]
    for old in folder.glob("*.whl"):
        old.unlink()
    subprocess.run([*command, *names], check=True)
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        print(f"{wheel.stat().st_size / 1e6:6.2f} MB  {wheel.name}")
    print(f"{sum(wheel.stat().st_size for wheel in wheels) / 1e6:6.2f} MB  {len(wheels)} wheels for Python {python}")


def install(folder: Path, place: Path) -> None:
    """Installs all wheels of a folder into another, without a network and without looking at what they need."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    wheels = sorted(map(str, folder.glob("*.whl")))
    subprocess.run([*command, "--no-cache-dir", "--upgrade", "--target", str(place), *wheels], check=True)
