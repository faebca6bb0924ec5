"""The check of a private name, and the fault where it does not hold."""

import importlib
from typing import Any

from zoo.errors import ZooError

# The oldest and the newest releases that all tests were run with.
TESTED = {
    "keras": ("3.13.0", "3.15.1"),
    "tensorflow": ("2.18.0", "2.21.0"),
    "datasets": ("4.0.0", "5.2.0"),
    "jax": ("0.10.2", "0.10.2"),
}


def unsupported(found: str, *, expected: str, source: str, package: str = "keras") -> ZooError:
    """Returns the fault of a release that differs from those that zoo was made for.

    Args:
        found: What differs.
        expected: What zoo relies on.
        source: The file of the package that has it, from the root of its repository.
        package: Its module.
    """
    oldest, newest = TESTED[package]
    version = importlib.import_module(package).__version__
    return ZooError(
        f"{package} {version}: {found}; expected {expected} ({source}); "
        f"install a release that zoo was tested with: pip install '{package}>={oldest},<={newest}'"
    )


def private(owner: Any, name: str, *, source: str, package: str = "keras") -> Any:
    """Reads a private attribute.

    Raises:
        ZooError: The installed release does not have it.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        kind = owner if isinstance(owner, type) else type(owner)
        named = getattr(owner, "__name__", kind.__name__)
        raise unsupported(
            f"{named} has no '{name}'", expected="what zoo relies on", source=source, package=package
        ) from None
