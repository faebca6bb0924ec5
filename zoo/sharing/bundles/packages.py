"""The packages that a bundle needs: zoo, the plug-ins that its recipe names, and all that these require here."""

import json
import platform
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from zoo.recipe.schema import Recipe
from zoo.registry.sources import row_name, source_row
from zoo.runs.packages import OF_BACKENDS, plug_in_packages
from zoo.shelves.bundles.manifest import WheelRecord
from zoo.system.files import sha256_of

ZOO = "zoo"
# What an installer adds to the files of a wheel, beside scripts in other folders.
_BY_INSTALLERS = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD", ".pyc")


def needed_packages(recipe: Recipe, *, backend: str = "tensorflow") -> list[WheelRecord]:
    """Lists what has to be installed to train a recipe, each in the version that is installed here.

    Args:
        recipe: The recipe.
        backend: What it is computed by.
    """
    return [_record(one) for one in installed_closure(_roots(recipe, backend))]


def missing_packages(recipe: Recipe, *, backend: str = "tensorflow") -> list[str]:
    """Lists what is required to train a recipe and is not installed here, so that no version of it is known.

    Args:
        recipe: The recipe.
        backend: What it is computed by.
    """
    return _followed(_roots(recipe, backend))[1]


def _roots(recipe: Recipe, backend: str) -> list[str]:
    extra = "" if row_name(recipe.data.source) is None else source_row(recipe.data.source).extra
    return [f"{ZOO}[{extra}]" if extra else ZOO, *plug_in_packages(recipe), *OF_BACKENDS.get(backend, ())]


def installed_closure(roots: Iterable[str]) -> list[metadata.Distribution]:
    """Returns installed packages with all that they require, sorted by name; what is not installed is left out.

    Args:
        roots: Their names, which may have extras: `zoo[hf]`.
    """
    return _followed(roots)[0]


def _followed(roots: Iterable[str]) -> tuple[list[metadata.Distribution], list[str]]:
    """Follows what packages require; gives those that are installed, and the names of those that are not."""
    missing: set[str] = set()
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    left = [pair for name in roots for pair in _required(name, "")]
    while left:
        name, extra = left.pop()
        if (canonicalize_name(name), extra) in seen:
            continue
        seen.add((canonicalize_name(name), extra))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            missing.add(canonicalize_name(name))
            continue
        found[canonicalize_name(name)] = package
        left += [pair for text in package.requires or () for pair in _required(text, extra)]
    return [found[name] for name in sorted(found)], sorted(missing)


def _required(text: str, extra: str) -> list[tuple[str, str]]:
    """Returns what a requirement asks for on this machine, once for each extra that it names."""
    try:
        asked = Requirement(text)
    except InvalidRequirement:
        return []
    if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
        return []
    return [(asked.name, one) for one in ("", *sorted(asked.extras))]


def _record(package: metadata.Distribution) -> WheelRecord:
    return WheelRecord(
        name=canonicalize_name(package.name),
        version=package.version,
        content=_content(package),
        is_local=package.read_text("direct_url.json") is not None,
    )


def _content(package: metadata.Distribution) -> str | None:
    """Returns one hash of all files that a package's wheel brought, by its RECORD; None where there is none."""
    lines = [
        f"{file.as_posix()} {file.hash.mode}={file.hash.value}\n"
        for file in package.files or ()
        if file.hash is not None and ".." not in file.parts and not file.name.endswith(_BY_INSTALLERS)
    ]
    return sha256_of("".join(sorted(lines))) if lines else None


def local_source(name: str) -> str | None:
    """Returns what pip takes to build a package anew from where it was installed from; None where that is an index.

    See https://packaging.python.org/en/latest/specifications/direct-url/.
    """
    text = metadata.distribution(name).read_text("direct_url.json")
    try:
        found: dict[str, Any] = {} if text is None else json.loads(text)
        url, below = str(found["url"]), found.get("subdirectory")
        if (repository := found.get("vcs_info")) is not None:
            url = f"{repository['vcs']}+{url}@{repository['commit_id']}"
        return f"{url}#subdirectory={below}" if below else url
    except (ValueError, KeyError, TypeError):
        return None


def installed_bytes(packages: Sequence[WheelRecord]) -> int:
    """Returns how many bytes packages have as they are installed, by their RECORD; their wheels have fewer."""
    sizes = 0
    for one in packages:
        for file in metadata.distribution(one.name).files or ():
            sizes += file.size or 0
    return sizes


def python_version() -> str:
    """Returns the Python that wheels are for: `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def platform_name() -> str:
    """Returns the platform that wheels are for: `linux-x86_64`."""
    name = sysconfig.get_platform()
    return f"{name}-{platform.libc_ver()[0] or 'libc'}" if name.startswith("linux") else name


def requirements_text(packages: Sequence[WheelRecord], missing: Sequence[str] = ()) -> str:
    """Returns requirements.txt for `pip install --require-hashes`; what has no known hash stands in it as a comment.

    Args:
        packages: What was installed here.
        missing: The names of what is required and was not.
    """
    lines = [f"# For Python {python_version()} on {platform_name()}."]
    for one in packages:
        if one.sha256 is not None:
            lines.append(f"{one.name}=={one.version} --hash=sha256:{one.sha256}")
        else:
            why = "was not installed from an index" if one.is_local else "the hash of its wheel is not known"
            lines.append(f"# {one.name}=={one.version}: {why}")
    lines += [f"# {name}: is required too, and was not installed where this was made" for name in missing]
    return "\n".join(lines) + "\n"
