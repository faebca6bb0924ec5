"""Which programs this machine may run: SavedModels are programs, and each is named by its SHA-256.

Nothing that a recipe, a run or a download says can grant trust; only the person at this machine can, by `--trust-code`
or `zoo.trust`, or by exporting a run here to a program, which zoo itself writes. What was trusted once stays so, by
hash: a changed file is another program.
"""

import contextlib
import json
import os
from collections.abc import Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from zoo.errors import TrustError
from zoo.system.files import write_atomic

_granting: ContextVar[bool] = ContextVar("granting", default=False)


def pins_path() -> Path:
    """Returns the file that lists what is trusted: `$XDG_CONFIG_HOME/zoo/trusted.json`, by default in `~/.config`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "zoo" / "trusted.json"


def is_trusted(sha256: str) -> bool:
    """Returns whether the program of this hash may run here."""
    return sha256 in _pins()


def pin(sha256: str, origin: str) -> None:
    """Trusts the program of this hash on this machine from now on.

    Args:
        sha256: In hex.
        origin: Where it came from, for the reader of the file.
    """
    path = pins_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"schema": 1, "kind": "trusted", "programs": {**_pins(), sha256: origin}}
    write_atomic(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def granting() -> Generator[None]:
    """Trusts, and pins, each program that is asked for meanwhile: what `--trust-code` says."""
    token = _granting.set(True)
    try:
        yield
    finally:
        _granting.reset(token)


def require(sha256: str, origin: str) -> None:
    """Lets a program pass that is trusted here.

    Raises:
        TrustError: It is not; the message says how it can be.
    """
    if is_trusted(sha256):
        return
    if not _granting.get():
        raise TrustError(
            f"{origin}: is a program (SHA-256 {sha256}) that is not trusted on this machine; if you trust whoever made "
            "it, add --trust-code to the command once, or call zoo.trust(...) in code"
        )
    pin(sha256, origin)


def _pins() -> dict[str, Any]:
    try:
        return dict(json.loads(pins_path().read_text(encoding="utf-8"))["programs"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as fault:
        raise TrustError(f"{pins_path()}: is damaged ({fault!r}); expected what zoo wrote; remove it") from fault
