"""Many kills over all trainings: which instants they aim at, where they landed, and what they cost."""

import json
import random
import shutil
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.survival.driver import Aim, Chain, Job, Kill, Outcome, chain, in_lanes, straight
from tests.survival.starting import Starter, Zygote
from tests.survival.trainings import TRAININGS, write_images

SAVING, PACKING, FIRST_PASS = "run/checkpoints/.step-*", "cache/zoo/packs/.part-*", "cache/zoo/activations/.part-*"
# Seconds from the instant at which a folder is seen to the kill, at most: about how long it is there.
DELAYS = {SAVING: 0.012, PACKING: 0.25, FIRST_PASS: 0.25}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many kills, and where.

    Attributes:
        kills: In all.
        saves: How many of them are aimed into a save.
        cached: How many are aimed into packing or the first pass.
        in_a_row: How often one run is killed.
        seed: Of the instants.
        trainings: Names.
        every: Values of `checkpoint.every`, in turns; what an undisturbed run gives does not depend on it.
    """

    kills: int
    saves: int
    cached: int
    in_a_row: int = 4
    seed: int = 0
    trainings: Sequence[str] = tuple(TRAININGS)
    every: Sequence[str] = ("epoch", "3 steps", "10 steps", "1s")


@dataclass
class Result:
    """What became of all chains.

    Attributes:
        backend: Keras'.
        chains: All of them.
    """

    backend: str
    chains: list[Chain] = field(default_factory=list)

    @property
    def kills(self) -> list[Kill]:
        return [kill for one in self.chains for kill in one.kills]

    @property
    def most_batches_lost(self) -> int:
        """Trained batches that a kill cost at most; of seconds, which depend on the machine, the rows tell."""
        return max((kill.batches_lost for kill in self.kills), default=0)

    @property
    def faults(self) -> list[str]:
        return [f"{one.training}, {_told(one)}: {fault}" for one in self.chains for fault in one.faults]

    @property
    def places(self) -> Mapping[str, int]:
        return Counter(kill.place for kill in self.kills)

    def rows(self) -> list[dict[str, Any]]:
        """Sums up by place, and all."""
        places = {place: [kill for kill in self.kills if kill.place == place] for place in sorted(self.places)}
        return [_row(place, kills, self.chains) for place, kills in {**places, "all": self.kills}.items()]

    def to_json(self) -> dict[str, Any]:
        """Returns what is kept: the table, and each kill."""
        kills = [
            {
                "training": one.training,
                "settings": list(one.settings),
                "equal": not one.faults,
                **asdict(kill),
                "output": "",
            }
            for one in self.chains
            for kill in one.kills
        ]
        return {"schema": 1, "kind": "survival", "backend": self.backend, "rows": self.rows(), "kills": kills}


def _told(one: Chain) -> str:
    return "killed in " + ", ".join(kill.place for kill in one.kills)


def _row(place: str, kills: Sequence[Kill], chains: Sequence[Chain]) -> dict[str, Any]:
    good = sum(not one.faults for one in chains for kill in one.kills if kill in kills)
    lost = [kill.lost for kill in kills] or [0.0]
    return {
        "place": place,
        "kills": len(kills),
        "equal": good,
        "lost, median s": round(statistics.median(lost), 3),
        "lost, most s": round(max(lost), 3),
        "lost, most batches": max((kill.batches_lost for kill in kills), default=0),
    }


class Bench:
    """What all chains share: images, recipes, what undisturbed runs give, and processes that start others."""

    def __init__(self, folder: Path, *, backend: str = "tensorflow", lanes: int = 2, nice: int = 0) -> None:
        self.backend = backend
        self.folder = folder
        self._images = write_images(folder / "images")
        # Fonts are searched for once.
        self._shared = {"MPLCONFIGDIR": str(folder / "matplotlib")}
        self.starters: list[Starter] = [Zygote(backend=backend, nice=nice) for _ in range(lanes)]
        self._expected: dict[str, tuple[Outcome, float]] = {}

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        for starter in self.starters:
            starter.close()

    def job(self, training: str, name: str, settings: Sequence[str] = ()) -> Job:
        return Job(
            training=training,
            recipe=TRAININGS[training].write(self.folder),
            images=self._images,
            folder=self.folder / name,
            shared=self._shared,
            settings=settings,
        )

    def expected(self, training: str) -> tuple[Outcome, float]:
        """Returns what an undisturbed run gives, and its seconds."""
        if training not in self._expected:
            self._expected[training] = straight(self.job(training, f"{training}-straight"), self.starters[0])
        return self._expected[training]

    def work_off(self, plan: Plan, say: Callable[[str], None] = print, kept: Path | None = None) -> Result:
        """Kills as planned; what is found is kept from run to run, since all of it takes long."""
        result = Result(self.backend)
        for training in plan.trainings:
            self.expected(training)

        def work() -> Iterator[Callable[[Starter], Chain]]:
            number = 0
            chances = random.Random(plan.seed)
            # What lands elsewhere, or comes too late, is made up for.
            while len(result.kills) < plan.kills or _lacking(plan, result):
                training = plan.trainings[number % len(plan.trainings)]
                aims = self._aims(plan, result, training, chances)
                every = chances.choice(plan.every)
                yield partial(self._chain, training, number, [f"checkpoint.every={every}"], aims)
                number += 1

        def done(one: Chain) -> None:
            result.chains.append(one)
            if kept is not None:
                kept.write_text(json.dumps(result.to_json(), indent=2) + "\n", encoding="utf-8")
            say(f"{len(result.kills):4}  {one.training}  {_told(one)}  {'; '.join(one.faults) or 'equal'}")

        in_lanes(work(), self.starters, done)
        return result

    def _aims(self, plan: Plan, result: Result, training: str, chances: random.Random) -> list[Aim]:
        """Chooses the instants of one chain."""
        seconds = self.expected(training)[1]

        def at(watched: str, appearances: int = 1) -> Aim:
            return Aim(watched=watched, appearances=appearances, delay=chances.uniform(0, DELAYS[watched]))

        first = [at(PACKING)] + ([at(FIRST_PASS)] if training == "cached" else [])
        saves = [at(SAVING, chances.randint(1, 3)) for _ in range(2)]
        anywhere = [
            Aim(delay=chances.uniform(0.1, seconds))
            if chances.random() < 0.5
            else Aim(trains=True, delay=chances.uniform(0, seconds / 2))
            for _ in range(plan.in_a_row)
        ]
        wanted = _lacking(plan, result)
        aims = (first if "cached" in wanted else []) + (saves if "saves" in wanted else [])
        return (aims + anywhere)[: plan.in_a_row]

    def _chain(self, training: str, number: int, settings: Sequence[str], aims: Sequence[Aim], lane: Starter) -> Chain:
        job = self.job(training, f"chain-{number}", settings)
        found = chain(job, lane, aims, self.expected(training)[0])
        if not found.faults:  # what is wrong stays to be looked at
            shutil.rmtree(job.folder, ignore_errors=True)
        return found


def _lacking(plan: Plan, result: Result) -> set[str]:
    """Returns the kinds of kills of which there are too few."""
    places = result.places
    found = {"saves": places.get("save", 0), "cached": places.get("packing", 0) + places.get("first pass", 0)}
    return {name for name, count in found.items() if count < getattr(plan, name)}
