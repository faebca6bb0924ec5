"""Where files that can be had again are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns `$XDG_CACHE_HOME/zoo`, by default `~/.cache/zoo`; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"
