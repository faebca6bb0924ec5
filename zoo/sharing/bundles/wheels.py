"""The wheels of packages: their hashes from the index, or the wheels themselves, by pip in a process of its own.

What was not installed from an index is never asked of one: a package there of the same name is another's. With its
wheel it is built from where it was installed from.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from zoo.errors import ZooError, printable
from zoo.sharing.bundles.packages import local_source
from zoo.shelves.bundles.manifest import WheelRecord
from zoo.system.files import sha256

# Of pip, whose answer is not waited for longer.
MOST_SECONDS = 3600
# pip tries an index that does not answer once more, and no five times.
_QUICK = ("--retries", "1", "--timeout", "15")
_ONLY_THESE = ("--no-deps", "--only-binary", ":all:")
# The first second that a zip archive can hold, so that a wheel that is built twice is the same.
_BUILT_AT = "315532800"


class WheelsError(ZooError):
    """Wheels, or their hashes, cannot be found; the message ends in what pip said."""


def with_hashes(packages: Sequence[WheelRecord]) -> tuple[WheelRecord, ...]:
    """Asks the index that pip is set up for which wheels packages have on this machine, and what their hashes are.

    Raises:
        WheelsError: It cannot be reached, or lacks one.
    """
    asked = [one for one in packages if not one.is_local]
    if not asked:
        return tuple(packages)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ("--dry-run", "--ignore-installed", "--report", str(report))
        _pip("install", *options, *_ONLY_THESE, *_QUICK, "-r", str(_pins(asked, Path(folder))))
        known = _wheels_of_report(json.loads(report.read_text(encoding="utf-8")))
    return tuple(_with_wheel(one, known) for one in packages)


def downloaded(packages: Sequence[WheelRecord], folder: Path) -> tuple[WheelRecord, ...]:
    """Downloads the wheels of packages into a folder, and builds those of what was installed from elsewhere.

    Raises:
        WheelsError: One cannot be downloaded or built.
    """
    asked = [one for one in packages if not one.is_local]
    with tempfile.TemporaryDirectory() as pins:
        if asked:
            _pip("download", "--dest", str(folder), *_ONLY_THESE, *_QUICK, "-r", str(_pins(asked, Path(pins))))
    for one in packages:
        if one.is_local and (source := local_source(one.name)) is not None:
            _pip("wheel", "--wheel-dir", str(folder), "--no-deps", *_QUICK, source)
    known = {
        name: (path.name, sha256(path)) for path in sorted(folder.glob("*.whl")) if (name := _package_of(path.name))
    }
    found = tuple(_with_wheel(one, known) for one in packages)
    if missing := [f"{one.name}=={one.version}" for one in found if one.file is None]:
        raise WheelsError(f"wheels: pip brought none of {', '.join(missing)}; leave out --wheels, or install it anew")
    return found


def _with_wheel(one: WheelRecord, known: Mapping[str, tuple[str, str]]) -> WheelRecord:
    file, digest = known.get(one.name, (None, None))
    return replace(one, file=file, sha256=digest)


def _pins(packages: Sequence[WheelRecord], folder: Path) -> Path:
    path = folder / "pins.txt"
    path.write_text("".join(f"{one.name}=={one.version}\n" for one in packages), encoding="utf-8")
    return path


def _wheels_of_report(report: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Returns the name and hash of each wheel in what `pip install --report` wrote, by the package's name."""
    known: dict[str, tuple[str, str]] = {}
    for one in report.get("install", ()):
        told = one["download_info"]
        digest = told.get("archive_info", {}).get("hashes", {}).get("sha256")
        file = unquote(urlsplit(told["url"]).path).rpartition("/")[2]
        if digest and (name := _package_of(file)):
            known[name] = (file, digest)
    return known


def _package_of(file: str) -> str | None:
    try:
        return canonicalize_name(parse_wheel_filename(file)[0])
    except InvalidWheelFilename:
        return None


def _pip(verb: str, *options: str) -> None:
    command = [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--no-input", *options]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _BUILT_AT}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise WheelsError(f"wheels: pip {verb} took longer than {MOST_SECONDS:,} seconds; try again") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("[notice]")]
        said = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "nothing")
        raise WheelsError(f"wheels: pip {verb} failed; it said: {printable(said, at_most=300)}")
