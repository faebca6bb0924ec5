"""Two teams share a run over shelves of three kinds: A trains and pushes it, B lists, compares, pulls, reproduces it.

    pip install '.[dev]'
    python benchmarks/two_teams.py
    python benchmarks/two_teams.py --python a/bin/python --python b/bin/python

Each team has a home, caches, settings, a working folder and a copy of the photos of its own, and with --python an
interpreter of its own, in which zoo is installed. All is typed at the command line, in a process each. The shelves:

    drive    a folder that both see
    web      a folder of A's, which B reads from a static HTTP server; the first answer for each file is cut in its
             middle, so that B has to ask for the rest
    bucket   a bucket on moto's server, which speaks S3

A signs what it pushes, and B takes only what A's key signed. The run is trained with two threads. B is to come to
the same bits with as many, within tolerance with one thread, and not at all with an image of another class.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from loopback_servers import s3_server, web_server
from reporting import markdown
from reproduction_changes import write_photos

HERE = Path(__file__).parents[1]
RECIPE = """name = "pets"
[model]
name = "mnist_conv"
weights = "none"
[data]
validation = 0.25
[train]
batch_size = 16
deterministic = true
[[phases]]
name = "all"
train = "all"
epochs = 3
learning_rate = 0.01
"""
MINE = """name = "pets"
extends = "{shelf}/pets"
[set]
"phases.all.learning_rate" = 0.02
"""
MODEL = Path("model", "model.safetensors")
# What a process inherits of these decides what it trains, or where it keeps things.
OWN = ("AWS_", "KERAS_", "NPROC", "PYTHON", "TF_", "XDG_", "ZOO_")


def threads(number: int) -> dict[str, str]:
    """Returns the variables that let so many threads compute."""
    return dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(number))


class UnexpectedError(Exception):
    """A command came to something else than it was to."""


@dataclass(frozen=True)
class Answer:
    """What a command came to.

    Attributes:
        command: What was typed.
        code: The exit code.
        out: What it printed.
        err: What it said on stderr.
        seconds: How long it took.
    """

    command: str
    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """What --json printed."""
        return json.loads(self.out)

    def expect(self, holds: bool, what: str) -> None:
        """Ends the story where something does not hold."""
        if not holds:
            raise UnexpectedError(f"{self.command}: expected {what}; exit code {self.code}\n{self.out}\n{self.err}")


@dataclass(frozen=True)
class Team:
    """A team.

    Attributes:
        python: Its interpreter.
        root: The folder around all that it has.
        given: Variables that its processes have from outside.
    """

    python: str
    root: Path
    given: dict[str, str]

    @property
    def desk(self) -> Path:
        """The folder that it works in."""
        return self.root / "work"

    def environment(self, **variables: str) -> dict[str, str]:
        """Returns the variables of its processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        homes = {"HOME": "home", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config"}
        own = {name: str(self.root / folder) for name, folder in homes.items()}
        return {**kept, **own, "TF_CPP_MIN_LOG_LEVEL": "3", **self.given, **variables}

    def types(self, *words: object, code: int = 0, **variables: str) -> Answer:
        """Types a command, and expects it to end with an exit code."""
        command = [self.python, "-m", "zoo", *map(str, words)]
        began = time.perf_counter()
        ran = subprocess.run(
            command, cwd=self.desk, env=self.environment(**variables), capture_output=True, text=True, check=False
        )
        typed = " ".join(["zoo", *map(str, words)])
        answer = Answer(typed, ran.returncode, ran.stdout, ran.stderr, time.perf_counter() - began)
        answer.expect(ran.returncode == code, f"exit code {code}")
        return answer


@dataclass(frozen=True)
class Shelf:
    """A shelf: its name, and where each of both teams finds it."""

    name: str
    of_a: str
    of_b: str


@dataclass
class Table:
    """What was typed, and what came of it."""

    rows: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    def add(self, shelf: str, answer: Answer, came_to: str) -> None:
        """Adds a row, and shows it."""
        words = [word for word in answer.command.split()[1:] if not word.startswith("/")]
        self.rows.append(
            {"shelf": shelf, "zoo": " ".join(words), "came to": came_to, "seconds": round(answer.seconds, 1)}
        )
        click.echo(f"{shelf:<7} {answer.seconds:6.1f} s  zoo {' '.join(words)}: {came_to}", err=True)


def a_trains_and_pushes(a: Team, shelves: Sequence[Shelf], table: Table) -> dict[str, str]:
    """Lets A train and publish a run; returns the identity of each shelf's version."""
    (a.desk / "pets.toml").write_text(RECIPE)
    trained = a.types("finetune", "pets.toml", "--data", "photos", "--run", "runs/pets", **threads(2))
    table.add("-", trained, "trained by A")
    a.types("shelf", "key", "team.key")
    identities: dict[str, str] = {}
    for shelf in shelves:
        a.types("shelf", "add", shelf.name, shelf.of_a)
        words = ("recipe", "push", "runs/pets", f"{shelf.name}/pets", "--weights", "--sign", "team.key", "--json")
        pushed = a.types(*words)
        identities[shelf.name] = pushed.document["identity"]
        table.add(shelf.name, pushed, pushed.document["version"])
    return identities


def b_finds_it(b: Team, a: Team, shelf: Shelf, identity: str, table: Table) -> None:
    """Lets B list, compare and pull what A pushed."""
    b.types("shelf", "add", shelf.name, shelf.of_b, "--require-key", "team.key.pub")
    listed = b.types("recipe", "ls", "--shelf", shelf.name, "--json")
    measured = json.loads((a.desk / "runs" / "pets" / "run.json").read_text())["metrics"]
    found = [(one["name"], one["version"], one["metrics"]["accuracy"]) for one in listed.document["recipes"]]
    expected = [(f"{shelf.name}/pets", 1, measured["accuracy"])]
    listed.expect(found == expected, f"{expected}")
    table.add(shelf.name, listed, f"{shelf.name}/pets@1, accuracy {found[0][2]:.4g}")

    (b.desk / "mine.toml").write_text(MINE.format(shelf=shelf.name))
    compared = b.types("recipe", "diff", f"{shelf.name}/pets", "mine.toml", "--json")
    keys = [(one["key"], one["a"], one["b"]) for one in compared.document["keys"]]
    compared.expect(keys == [("phases.all.learning_rate", 0.01, 0.02)], "the one key that B sets")
    table.add(shelf.name, compared, "phases.all.learning_rate: 0.01, 0.02")

    pulled = b.types("recipe", "pull", f"{shelf.name}/pets", "--json")
    document = pulled.document
    pulled.expect(f"pets@sha256:{document['sha256']}" in identity, f"the version that A pushed, {identity}")
    pulled.expect(document["signed_by"] is not None and not document["offline"], "a signed version from the shelf")
    same = (Path(document["path"]) / MODEL).read_bytes() == (a.desk / "runs" / "pets" / MODEL).read_bytes()
    pulled.expect(same, "the weights of A")
    table.add(shelf.name, pulled, f"{len(document['files'])} files, every hash verified, signed")


def b_reproduces_quickly(b: Team, shelf: Shelf, table: Table) -> None:
    """Lets B come to the same bits of the first batches."""
    quick = b.types("reproduce", f"{shelf.name}/pets", "--data", "images", "--quick", "--json")
    _expect_verdict(quick, "bitwise equal", causes=[])
    table.add(shelf.name, quick, quick.document["verdict"])


def b_reproduces_it(b: Team, a: Team, shelf: Shelf, table: Table) -> None:
    """Lets B come to the same bits of the whole run."""
    reference = ("reproduce", f"{shelf.name}/pets", "--data", "images")
    whole = b.types(*reference, "--run", f"runs/{shelf.name}")
    whole.expect(whole.out.splitlines()[0] == "verdict    bitwise equal", "bitwise equal")
    run = b.desk / whole.out.splitlines()[-1]
    same = (run / MODEL).read_bytes() == (a.desk / "runs" / "pets" / MODEL).read_bytes()
    whole.expect(same, "the same bytes of the model as A's")
    table.add(shelf.name, whole, "bitwise equal")


def b_has_something_else(b: Team, a: Team, shelf: Shelf, table: Table, *, is_short: bool) -> None:
    """Lets B reproduce with another number of threads, and with an image of another class."""
    reference = ("reproduce", f"{shelf.name}/pets", "--data", "images")
    whole = b.types(*reference, "--run", "runs/one-thread", "--json", **threads(1))
    # How sums are parted among threads, and so whether the last bits are others, is the processor's.
    then, now = ((desk / MODEL).read_bytes() for desk in (a.desk / "runs" / "pets", b.desk / "runs" / "one-thread"))
    with_one_thread(whole, table, shelf, is_same=then == now)
    if not is_short:
        quick = b.types(*reference, "--quick", "--json", **threads(1))
        with_one_thread(
            quick, table, shelf, is_same=quick.document["losses"]["equal"] == quick.document["losses"]["batches"]
        )
    shutil.move(b.desk / "images" / "cat" / "000.png", b.desk / "images" / "dog" / "000.png")
    answer = b.types(*reference, "--quick", "--json", code=3)
    _expect_verdict(answer, "does not hold", causes=["data: dog/000.png in train is of another class, and was cat"])
    table.add(shelf.name, answer, "with an image of another class: does not hold; cause: dog/000.png")


def with_one_thread(answer: Answer, table: Table, shelf: Shelf, *, is_same: bool) -> None:
    """Expects that the number of threads is named where other bits came out, and nothing else."""
    if is_same:
        _expect_verdict(answer, "bitwise equal", causes=[])
        table.add(shelf.name, answer, "with 1 thread: bitwise equal")
        return
    _expect_verdict(answer, "within tolerance", causes=["threads: 2, now 1"])
    answer.expect(answer.document["confirmed"] is True, "that a run confirms it")
    table.add(shelf.name, answer, "with 1 thread: within tolerance; cause: threads")


def _expect_verdict(answer: Answer, verdict: str, *, causes: Sequence[str]) -> None:
    document = answer.document
    answer.expect(document["verdict"] == verdict, verdict)
    named = [
        one["name"] if one["kind"] == "data" else f"{one['name']}: {one['then']}, now {one['now']}"
        for one in (*document["causes"], *document["left"])
    ]
    answer.expect(named == list(causes), f"causes {list(causes)}")


def tell(work: Path, pythons: Sequence[str] = (), *, is_short: bool = False) -> list[dict[str, object]]:
    """Tells the story.

    Args:
        work: An empty folder.
        pythons: The interpreters of both teams, in which zoo is installed; by default this one and the zoo beside it.
        is_short: Whether B reproduces what is on each shelf in one way only, quickly on the first and wholly on others.

    Returns:
        A row for each command whose answer was compared.

    Raises:
        UnexpectedError: A command came to something else than it was to.
    """
    table = Table()
    with contextlib.ExitStack() as running:
        (work / "drive").mkdir()
        (work / "published").mkdir()
        web = running.enter_context(web_server(work / "published"))
        shelves = [Shelf("drive", f"{work}/drive", f"{work}/drive"), Shelf("web", f"{work}/published", web.url)]
        given = {} if pythons else {"PYTHONPATH": str(HERE)}
        if importlib.util.find_spec("moto") is None:
            click.echo("moto is not installed: nothing is pushed to a bucket; pip install 'moto[s3]' flask", err=True)
        else:
            given |= running.enter_context(s3_server(work))
            shelves.append(Shelf("bucket", "s3://team/shelf", "s3://team/shelf"))
        a, b = (
            Team(python, work / name, given) for python, name in zip(pythons or [sys.executable] * 2, "ab", strict=True)
        )
        for team in (a, b):
            team.desk.mkdir(parents=True)
        write_photos(a.desk / "photos", count=32)
        shutil.copytree(a.desk / "photos", b.desk / "images", copy_function=shutil.copyfile)
        if shelves[2:]:
            make = "import s3fs; s3fs.S3FileSystem().mkdir('team')"
            subprocess.run([a.python, "-c", make], env=a.environment(), check=True)
        identities = a_trains_and_pushes(a, shelves, table)
        shutil.copyfile(a.desk / "team.key.pub", b.desk / "team.key.pub")
        for shelf in shelves:
            b_finds_it(b, a, shelf, identities[shelf.name], table)
            if shelf is shelves[0] or not is_short:
                b_reproduces_quickly(b, shelf, table)
            if shelf is not shelves[0] or not is_short:
                b_reproduces_it(b, a, shelf, table)
        if not web.parts:
            raise UnexpectedError("web: no part of a file was asked for, though each answer was cut")
        b_has_something_else(b, a, shelves[0], table, is_short=is_short)
    return table.rows


@click.command()
@click.option("--python", "pythons", multiple=True, metavar="PYTHON", help="A's interpreter, then B's.")
def main(pythons: tuple[str, ...]) -> None:
    """Lets two teams share a run, and prints what each command came to."""
    if len(pythons) not in (0, 2):
        raise click.UsageError("give --python twice, for A and for B, or not at all")
    with tempfile.TemporaryDirectory(prefix="two-teams-") as work:
        try:
            rows = tell(Path(work), [str(Path(one).absolute()) for one in pythons])
        except UnexpectedError as fault:
            raise click.ClickException(str(fault)) from None
    click.echo(markdown(rows))


if __name__ == "__main__":
    main()
