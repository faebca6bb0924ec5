"""How much memory this process takes, and took at most."""

import resource
import sys
from pathlib import Path


def peak_from_now() -> int:
    """Lets the peak of memory begin here, where the system can, and returns what is taken now, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # macOS has none: the peak is then that of the process so far
        return peak()
    return _status("VmRSS")


def peak() -> int:
    """Returns what was taken at most, in bytes; not by what started the process, as `getrusage` counts it."""
    return _status("VmHWM")


def _status(key: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
