"""An export's call.py, run as others run it: by a Python of its own, with the packages that this one has."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from zoo.errors import ContractError, printable
from zoo.inference.export_folder import CALL_FILE

# -P: no module of a folder that happens to be the current one; -B: nothing is left in the export. Not -I: it hides
# packages that were installed with pip's --user, or that PYTHONPATH leads to, and with them NumPy.
_PYTHON = (sys.executable, "-PB")
# What the classifier in call.py reads, and what it computes of pixels that are given, as arrays in files.
_LOOK = """
import sys
import numpy as np
folder, given, read, computed, *photos = sys.argv[1:]
sys.path.insert(0, folder)
from call import Classifier
classifier = Classifier()
np.save(read, np.stack([classifier.read(photo) for photo in photos]))
np.save(computed, classifier.compute(np.load(given)))
"""
_SHOWN = 300


@contextmanager
def answers(folder: Path, photos: Sequence[Path]) -> Generator[Iterator[dict[str, Any]]]:
    """Gives what call.py prints of photos, line by line while it runs; where the block ends before it, so does it.

    Args:
        folder: The export.
        photos: Files, as many as there are.

    Raises:
        ContractError: It gave another number of lines, or something else than JSON.
    """
    with tempfile.TemporaryFile() as listed, tempfile.TemporaryFile() as said:
        listed.write(b"".join(os.fsencode(photo) + b"\0" for photo in photos))
        listed.seek(0)
        command = [*_PYTHON, str(folder / CALL_FILE), "--json", "--paths-from", "-"]
        with subprocess.Popen(command, stdin=listed, stdout=subprocess.PIPE, stderr=said, env=_environment()) as child:
            try:
                yield _lines(child, said, len(photos))
            finally:
                child.kill()


def _lines(child: "subprocess.Popen[bytes]", said: IO[bytes], expected: int) -> Iterator[dict[str, Any]]:
    count = 0
    assert child.stdout is not None
    for line in child.stdout:
        try:
            answer = json.loads(line)
        except ValueError:
            raise ContractError(f"{CALL_FILE}: printed {printable(line[:_SHOWN])!r}; expected a JSON line") from None
        count += 1
        if count > expected:
            break
        yield answer
    code = child.wait()
    if count != expected or code not in (0, 1):
        of = f"{count:,} of {expected:,} photos"
        raise ContractError(f"{CALL_FILE}: ended with exit code {code} after {of}{_last(said)}")


def look_inside(folder: Path, photos: Sequence[Path], pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what call.py reads of photos, and what it computes of other pixels.

    Args:
        folder: The export.
        photos: A few that it can read.
        pixels: uint8[n, height, width, channels] in [0, 255].

    Returns:
        What should be uint8[m, height, width, channels], and float32[n, classes].

    Raises:
        ContractError: It fails.
    """
    with tempfile.TemporaryDirectory(prefix="zoo-proof-") as temporary, tempfile.TemporaryFile() as said:
        given, read, computed = (Path(temporary) / f"{name}.npy" for name in ("given", "read", "computed"))
        np.save(given, pixels)
        arguments = [os.fspath(one) for one in (folder, given, read, computed, *photos)]
        done = subprocess.run(
            [*_PYTHON, "-c", _LOOK, *arguments], stdout=subprocess.DEVNULL, stderr=said, env=_environment(), check=False
        )
        if done.returncode:
            raise ContractError(f"{CALL_FILE}: its Classifier fails (exit code {done.returncode}){_last(said)}")
        return np.load(read, allow_pickle=False), np.load(computed, allow_pickle=False)


def _environment() -> dict[str, str]:
    """Keeps frameworks quiet, and off a GPU whose memory this process has taken."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def _last(said: IO[bytes]) -> str:
    """Returns the last line that was said on stderr, for a message."""
    said.seek(max(said.seek(0, os.SEEK_END) - 10 * _SHOWN, 0))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return f": {printable(lines[-1], at_most=_SHOWN)}" if lines else ""
