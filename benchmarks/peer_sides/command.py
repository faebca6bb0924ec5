"""The command line of a peer's script, which runs in the peer's own environment: it needs Python only.

python PEER.py train --photos FOLDER --weights FOLDER --way probe --epochs 10 --seed 0 --out FOLDER
python PEER.py predict --photos FOLDER --out FOLDER --to predictions.json
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SIZE, BATCH = 224, 32
BACKBONE = "tf_efficientnet_lite0"
# Where a peer documents no rate for training all layers: that of the recipe finetune/full.
RATE_OF_ALL = 3e-4


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained.

    Attributes:
        photos: A folder with train/, validation/ and test/, and in each a folder per class.
        weights: Where the same ImageNet weights lie for each library.
        way: `probe`, `default` or `all`.
        epochs: Of the head, then of what else trains; one number where a way has one phase.
        seed: Of all chance.
        out: Where the model goes.
    """

    photos: Path
    weights: Path
    way: str
    epochs: tuple[int, ...]
    seed: int
    out: Path

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return sorted(folder.name for folder in (self.photos / "train").iterdir())


def photos_in(folder: Path) -> list[Path]:
    """Returns all photos of a split, in order."""
    return sorted(path for path in folder.glob("*/*") if path.is_file())


def carry_out(
    train: Callable[[Task], None], predict: Callable[[Path, list[Path]], Iterable[str]]
) -> Mapping[str, str] | None:
    """Trains, or predicts and writes a label for each photo by its path below the split, as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["train", "predict"])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--way", choices=["probe", "default", "all"])
    parser.add_argument("--epochs", type=int, nargs="+")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    if given.what == "train":
        given.out.mkdir(parents=True, exist_ok=True)
        train(
            Task(
                photos=given.photos,
                weights=given.weights,
                way=given.way,
                epochs=tuple(given.epochs),
                seed=given.seed,
                out=given.out,
            )
        )
        return None
    files = photos_in(given.photos)
    labels = predict(given.out, files)
    found = {file.relative_to(given.photos).as_posix(): str(label) for file, label in zip(files, labels, strict=True)}
    given.to.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found
