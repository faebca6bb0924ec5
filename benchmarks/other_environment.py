"""An environment like this one, but with another version of Pillow installed, as it was released or patched."""

import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = "pillow"
# All that are known decode the images of the driver alike, so that one of them has to be patched to have an effect.
VERSIONS = ("12.3.0", "12.2.0", "12.1.1", "12.0.0", "11.3.0")
# Each pixel of a PNG is a step darker.
PATCH = """

_as_released = PngImageFile.load_end


def _darker(self):
    _as_released(self)
    self.im = self.im.point([max(value - 1, 0) for value in range(256)] * len(self.getbands()), None)


PngImageFile.load_end = _darker
"""


class CannotInstallError(Exception):
    """pip did not install the package; the text is its last line."""


@dataclass(frozen=True)
class Environment:
    """An environment: its interpreter, and the version that it has."""

    python: str
    version: str


def make_environment(folder: Path, *, is_patched: bool) -> Environment:
    """Makes an environment that sees all packages of this one, behind another Pillow of its own.

    Args:
        folder: Where; it is made.
        is_patched: Whether its Pillow decodes otherwise than as it was released. A patched one has a version of its
            own, since zoo keeps decoded images by Pillow's version.

    Raises:
        CannotInstallError: pip cannot install it.
    """
    others = [version for version in VERSIONS if version != metadata.version(PACKAGE)]
    version = others[1 if is_patched else 0]
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    # Wheels only, and nothing that Pillow needs: all else is to be what is here.
    options = ["--no-deps", "--only-binary", ":all:", "--target", str(packages), "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *options, f"{PACKAGE}=={version}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise CannotInstallError((ran.stderr.strip() or "pip said nothing").splitlines()[-1])
    # Added behind the environment's own, with what they lead to in turn.
    here = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (packages / "here.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in here))
    if is_patched:
        with (packages / "PIL" / "PngImagePlugin.py").open("a", encoding="utf-8") as file:
            file.write(PATCH)
    return Environment(python=str(python), version=version)
