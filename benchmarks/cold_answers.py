"""What a cold command takes, from the prompt to its last line: a prediction by a kept export, and verbs that only look.

    python benchmarks/cold_answers.py --model efficientnet_lite0 --photo docs/boot.png --rounds 20
    python benchmarks/cold_answers.py ... --also "yolo=env/bin/yolo classify predict model=yolo11n-cls.pt source=a.jpg"

Each command is a fresh process. The sides take turns, so that what else the machine does meets all of them alike, and
the medians are printed. `import numpy` is the floor: a prediction needs no less. `keras` loads the same model from
Keras' own file and predicts the same photo, as its documentation has it. Before the first round `zoo predict` answers
once, and keeps its export in a cache of this script's own.
"""

import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from reporting import report
from whole_command import Cost, run

KERAS = """
import sys
import numpy as np
import keras
model = keras.saving.load_model(sys.argv[1])
image = keras.utils.load_img(sys.argv[2], target_size=model.input_shape[1:3], color_mode=sys.argv[3])
probabilities = model.predict(keras.utils.img_to_array(image)[np.newaxis], verbose=0)[0]
print(int(probabilities.argmax()), float(probabilities.max()))
"""
SAVE = "import sys, zoo; zoo.build(sys.argv[1]).save(sys.argv[2])"
VERBS = ("--help", "list", "recipe ls", "recipe check quickstart", "cache ls", "shelf ls", "weights ls", "doctor")


class SideError(Exception):
    """A side did not do what it is measured for; the text says what it printed."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where sides are measured.

    Attributes:
        folder: For logs, and Keras' own file of the model.
        variables: Of each process; its cache is in the folder.
    """

    folder: Path
    variables: Mapping[str, str]

    def cost(self, name: str, command: Sequence[str], *, printing: str = "") -> Cost:
        """Runs a side once.

        Args:
            name: Of the side.
            command: Its words.
            printing: What it has to print.

        Raises:
            SideError: It failed, or did not print that.
        """
        log = self.folder / f"{name.replace(' ', '-')}.log"
        cost = run(command, log=log, variables=self.variables)
        said = log.read_text(encoding="utf-8", errors="replace")
        if cost.code or printing not in said:
            raise SideError(f"{name}: exit code {cost.code}; it said: {said.strip()[-300:]}")
        return cost


def variables(folder: Path) -> dict[str, str]:
    """Returns the variables of each process: compiled modules are kept, as of an installed package, in the folder."""
    others = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own = {"XDG_CACHE_HOME": str(folder), "PYTHONPYCACHEPREFIX": str(folder / "compiled"), "ZOO_RUNTIME": "auto"}
    return {**others, **own}


def sides(model: str, photo: Path, desk: Desk) -> dict[str, tuple[list[str], str]]:
    """Returns each side's command, and what it has to print."""
    import zoo

    zoo_command = [sys.executable, "-m", "zoo"]
    channels = zoo.info(model).input_shape[-1]
    colours = "grayscale" if channels == 1 else "rgb"
    predict = [*zoo_command, "predict", model, str(photo)]
    return {
        "import numpy": ([sys.executable, "-c", "import numpy"], ""),
        "predict": (predict, "note: litert "),
        "predict --runtime keras": ([*predict, "--runtime", "keras"], "note: keras "),
        "keras": ([sys.executable, "-c", KERAS, str(desk.folder / "model.keras"), str(photo), colours], ""),
        f"show {model}": ([*zoo_command, "show", model], ""),
        **{verb: ([*zoo_command, *verb.split()], "") for verb in VERBS},
    }


def rows_of(costs: Mapping[str, Sequence[Cost]]) -> list[dict[str, object]]:
    """Returns a row for each side: the median of its rounds, the fastest and the slowest, and CPU seconds."""
    return [
        {
            "command": name,
            "seconds": statistics.median(cost.seconds for cost in measured),
            "fastest": min(cost.seconds for cost in measured),
            "slowest": max(cost.seconds for cost in measured),
            "CPU seconds": statistics.median(cost.cpu_seconds for cost in measured),
            "runs": [cost.seconds for cost in measured],
        }
        for name, measured in costs.items()
    ]


@click.command()
@click.option("--model", default="efficientnet_lite0", show_default=True, help="A model with pretrained weights.")
@click.option("--photo", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--rounds", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--also", multiple=True, metavar="NAME=COMMAND", help="Another command that takes its turns; repeatable.")
def main(model: str, photo: Path, rounds: int, also: tuple[str, ...]) -> None:
    """Measures cold commands in turns."""
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(folder=Path(folder), variables=variables(Path(folder)))
        desk.cost("save", [sys.executable, "-c", SAVE, model, str(desk.folder / "model.keras")])
        measured = sides(model, photo, desk)
        measured |= {name: (shlex.split(command), "") for name, _, command in (one.partition("=") for one in also)}
        desk.cost("first predict", measured["predict"][0], printing="note: keras ")
        costs: dict[str, list[Cost]] = {name: [] for name in measured}
        for number in range(rounds + 1):  # the first round reads files into the system's cache
            for name, (command, printing) in measured.items():
                cost = desk.cost(name, command, printing=printing)
                if number:
                    costs[name].append(cost)
    report("cold_answers", rows_of(costs))


if __name__ == "__main__":
    main()
