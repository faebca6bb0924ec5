"""From photos to classes: a class for programs, and a command."""

import argparse
import hashlib
import io
import itertools
import json
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from zoo.export.call.reader import Photo, read_photo
from zoo.inference.runtimes.onnx import open_model

BATCH_SIZE, READERS, SHOWN_CLASSES = 32, 4, 3
# Ends export.json: its own SHA-256, which was taken with zeros in this place.
SEAL = re.compile(rb'"seal": ?"([0-9a-f]{64})"\s*\}\s*\Z')
# What a terminal would obey: control characters, ends of lines, marks of direction.
UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Classifier:
    """The model in a folder: `Classifier().predict(["cat.jpg"])[0]["label"]`; for one thread at a time.

    Attributes:
        classes: Class names in the order of the probabilities.
        shape: Height, width and channels of its input.
        fit: How photos are brought to that size.
        compute: Takes uint8[n, height, width, channels] in [0, 255], gives probabilities, float32[n, classes].
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, threads: int | None = None) -> None:
        """Opens the model beside this file, or in another folder, once its files are what was exported."""
        place = Path(__file__).resolve().parent if folder is None else Path(folder)
        export = read_export(place / "export.json")
        for name, expected in export["files"].items():
            digest = hashlib.sha256()
            with (place / name).open("rb") as file:
                while part := file.read(1 << 20):
                    digest.update(part)
            if digest.hexdigest() != expected:
                raise ValueError(f"{place / name}: is not the file that was exported (its SHA-256 is another)")
        self.classes: list[str] = export["classes"]
        self.shape: list[int] = export["input"]["shape"]
        self.fit: dict[str, Any] = export["fit"]
        try:
            self.compute = open_model(place, threads)
        except ImportError:
            raise
        except Exception as fault:  # runtimes have classes of their own
            advice = "pip install -r requirements.txt has the versions that it was proved with"
            raise ValueError(f"{place}: cannot be opened ({type(fault).__name__}: {fault}); {advice}") from fault

    def read(self, photo: Photo) -> np.ndarray:
        """Reads a photo as training did: uint8[height, width, channels]; raises ValueError where it gives no pixels."""
        return read_photo(photo, self.shape, self.fit)

    def predict(self, photos: Iterable[Photo]) -> list[dict[str, Any]]:
        """Classifies photos, files or the bytes of files; see `predict_each`."""
        return list(self.predict_each(photos))

    def predict_each(self, photos: Iterable[Photo]) -> Iterator[dict[str, Any]]:
        """Yields `path`, `label`, `probability` and `probabilities` of each photo, or `path` and `error`."""
        left = iter(photos)
        with ThreadPoolExecutor(READERS) as readers:
            while batch := list(itertools.islice(left, BATCH_SIZE)):
                found = list(readers.map(self._read_or_fault, batch))
                good = [one for one in found if isinstance(one, np.ndarray)]
                rows = iter(self.compute(np.stack(good)) if good else ())
                for photo, one in zip(batch, found, strict=True):
                    path = None if isinstance(photo, bytes) else os.fspath(photo)
                    yield {"path": path, **({"error": one} if isinstance(one, str) else self._answer(next(rows)))}

    def _read_or_fault(self, photo: Photo) -> np.ndarray | str:
        try:
            return self.read(photo)
        except ValueError as fault:
            return str(fault)

    def _answer(self, row: np.ndarray) -> dict[str, Any]:
        best = int(row.argmax())
        probabilities = dict(zip(self.classes, map(float, row), strict=True))
        return {"label": self.classes[best], "probability": float(row[best]), "probabilities": probabilities}


def read_export(path: Path) -> dict[str, Any]:
    """Reads export.json; raises ValueError where it is damaged, or is not what zoo wrote."""
    advice = "copy the whole folder again, or export the run anew"
    try:
        content = path.read_bytes()
        export = json.loads(content)
    except OSError as fault:
        raise ValueError(
            f"{path}: cannot be read ({fault.strerror}), and call.py belongs beside it; {advice}"
        ) from None
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"{path}: is damaged: not JSON ({fault}); {advice}") from None
    seal = SEAL.search(content)
    unsealed = content if seal is None else content[: seal.start(1)] + b"0" * 64 + content[seal.end(1) :]
    if seal is None or hashlib.sha256(unsealed).hexdigest().encode() != seal[1]:
        raise ValueError(f"{path}: was changed after it was written (its seal is not that of its content); {advice}")
    if wrong := next(wrong_in(export), None):
        raise ValueError(f"{path}: {wrong}; expected what zoo export wrote; {advice}")
    return export


def wrong_in(export: Any) -> Iterator[str]:
    """Yields which of the keys that call.py needs are missing or of another kind."""
    kinds = {
        "files": (dict, lambda found: found and all(isinstance(one, str) for one in found.values())),
        "classes": (list, lambda found: found and all(isinstance(one, str) for one in found)),
        "input.shape": (list, lambda found: len(found) == 3 and all(type(one) is int and one > 0 for one in found)),
        "fit.resize": (str, lambda found: found in ("crop", "pad", "stretch")),
        "fit.crop_share": (int | float, lambda found: 0 < found <= 1),
        "fit.interpolation": (str, lambda found: found in ("bilinear", "bicubic")),
        "fit.white": (int, lambda found: 0 <= found <= 65535),
    }
    for name, (kind, is_right) in kinds.items():
        found = export
        for key in name.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found is None:
            yield f"has no {name}"
        elif not isinstance(found, kind) or isinstance(found, bool) or not is_right(found):
            yield f"{name} is {str(found)[:60]!a}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each photo; returns 1 where some could not be read."""
    parser = argparse.ArgumentParser(description="Classify photos.")
    parser.add_argument("photos", nargs="*", metavar="PHOTO")
    parser.add_argument("--json", action="store_true", help="print a JSON line for each photo")
    parser.add_argument("--top", type=int, metavar="K", help="name the K likeliest classes only")
    parser.add_argument("--paths-from", metavar="FILE", help="take paths from a file too, one a line; - is stdin")
    asked = parser.parse_args(arguments)
    photos: list[str] = asked.photos
    if asked.paths_from:
        text = sys.stdin.buffer.read() if asked.paths_from == "-" else Path(asked.paths_from).read_bytes()
        lines = text.split(b"\0") if b"\0" in text else text.splitlines()  # as find -print0 ends paths
        photos += [os.fsdecode(line) for line in lines if line.strip()]
    if not photos or (asked.top is not None and asked.top < 1):
        parser.error("expected one PHOTO or more, and a K of 1 or more")
    warnings.filterwarnings("ignore", module="PIL")  # of odd metadata; what matters is raised
    failed = 0
    for answer in Classifier().predict_each(photos):
        failed += "error" in answer
        if "error" not in answer:
            ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
            answer["probabilities"] = dict(ranked[: asked.top]) if asked.top else answer["probabilities"]
            shown = [f"{name} {100 * share:.1f} %" for name, share in ranked[: asked.top or SHOWN_CLASSES]]
            line = json.dumps(answer) if asked.json else "  ".join([answer["path"], *shown])
        else:
            line = json.dumps(answer) if asked.json else answer["error"]
        line = UNSHOWABLE.sub(lambda found: ascii(found[0])[1:-1], line)
        print(line, flush=True, file=sys.stderr if "error" in answer and not asked.json else sys.stdout)
    return int(failed > 0)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that a terminal cannot show
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # as head leaves it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ImportError, OSError, ValueError) as fault:
        advice = "; type pip install -r requirements.txt" if isinstance(fault, ImportError) else ""
        text = UNSHOWABLE.sub(lambda found: ascii(found[0])[1:-1], " ".join(str(fault).split()))
        sys.exit(f"call.py: {text}{advice}")
