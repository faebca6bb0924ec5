"""`zoo serve` under load, beside a plain FastAPI server with Keras and beside LitServe.

    zoo export runs/pets --to keras --out exports/pets-keras
    python benchmarks/serving.py --run runs/pets --keras exports/pets-keras --photos photos/ --environments environments

Clients on the loopback address each send a photo as a form and wait for its answer: what a server holds is what they
hear. Sides have environments of their own, made by pip, and take turns; the first seconds of each are not counted.
Requests a second, the median and the 99th percentile of the seconds, and all that is not status 200 are printed, with
the memory of the server's processes after the first fifth and at the end. What each peer does stands in serving_sides/.

`--hostile` sends fifty hostile requests to `zoo serve` while clients go on, and says what became of each. `--signals`
sends it SIGHUP twice and then SIGTERM, and says whether a client lost a request.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
from environments import CannotInstallError, make_environment
from hostile_requests import REFUSED, Outcome, fifty, send
from http_load import Heard, Target, load
from reporting import markdown, report
from whole_command import held_by, processes_of

HERE = Path(__file__).parent
ROOT = HERE.parent
KERAS = ("tensorflow==2.21.0", "keras==3.15.1", "pillow==13.0.0", "fastapi==0.165.0", "uvicorn==0.54.0")
PINS: Mapping[str, Sequence[str]] = {
    "zoo": ("-e", f"{ROOT}[export,serve]", "-c", str(ROOT / "constraints.txt")),
    "FastAPI and Keras": (*KERAS, "python-multipart==0.0.34"),
    "LitServe": (*KERAS, "python-multipart==0.0.34", "litserve==0.2.19"),
}
SCRIPTS = {"FastAPI and Keras": "plain_fastapi.py", "LitServe": "litserve_server.py"}
OURS = "zoo"
MODEL = "served"
MOST_PHOTOS = 64
START_SECONDS, STOP_SECONDS = 180, 60
WARM_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs."""

    port: int
    session: int

    @property
    def memory(self) -> int:
        """The bytes that its processes hold, what they share counted once."""
        return sum(map(held_by, processes_of(self.session)))


def command_of(side: str, python: str, run: str, keras_export: Path, port: int) -> list[str]:
    """Returns what starts a side's server."""
    if side == OURS:
        return [python, "-m", "zoo", "serve", f"{MODEL}={run}", "--port", str(port)]
    script, classes = HERE / "serving_sides" / SCRIPTS[side], keras_export / "classes.json"
    return [python, str(script), str(keras_export / "model.keras"), str(classes), str(port)]


@contextmanager
def started(side: str, python: str, run: str, keras_export: Path, log: Path) -> Generator[Server]:
    """Starts a server and waits until it answers; ends it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = command_of(side, python, run, keras_export, port)
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=quiet, start_new_session=True)
        try:
            wait_for(port, process)
            yield Server(port=port, session=process.pid)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            with suppress(ProcessLookupError):  # workers outlive a server that does not end them
                os.killpg(process.pid, signal.SIGKILL)


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Waits until a server answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise click.ClickException(f"the server does not answer: {' '.join(map(str, process.args))}")  # pyright: ignore


def target_of(port: int, photos: Path) -> Target:
    """Returns what clients ask: each photo as a form."""
    files = [path for path in sorted(photos.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="photo"\r\nContent-Type: image/jpeg\r\n\r\n'
    bodies = [
        head + path.read_bytes() + b"\r\n--b--\r\n"
        for path in islice(files[:: max(len(files) // MOST_PHOTOS, 1)], MOST_PHOTOS)
    ]
    if not bodies:
        raise click.ClickException(f"{photos}: holds no JPEG or PNG photos")
    return Target(port=port, path="/predict", bodies=bodies, content_type="multipart/form-data; boundary=b")


async def loaded(server: Server, target: Target, clients: int, seconds: float) -> tuple[Heard, int, int]:
    """Asks for some time; returns what was heard, and the memory after a fifth of the time and at the end."""
    await load(target, clients=clients, seconds=min(WARM_SECONDS, seconds))

    async def look() -> int:
        await asyncio.sleep(seconds / 5)
        return await asyncio.to_thread(lambda: server.memory)

    heard, early = await asyncio.gather(load(target, clients=clients, seconds=seconds), look())
    return heard, early, server.memory


def row_of(side: str, clients: int, seconds: float, heard: Heard, early: int, late: int) -> dict[str, Any]:
    """Returns a line of the table."""
    return {
        "server": side,
        "clients": clients,
        "requests a second": len(heard.seconds) / seconds,
        "median ms": 1000 * heard.percentile(0.5),
        "99 % ms": 1000 * heard.percentile(0.99),
        "errors": sum(heard.others.values()),
        "MB early": early / 1e6,
        "MB at the end": late / 1e6,
    }


async def attacked(server: Server, target: Target, clients: int, seconds: float) -> tuple[Heard, list[Outcome], int]:
    """Sends the hostile requests while clients go on; returns what both heard, and the most memory that was seen."""
    peak = 0

    async def look() -> None:
        nonlocal peak
        while True:
            peak = max(peak, await asyncio.to_thread(lambda: server.memory))
            await asyncio.sleep(0.3)

    looking = asyncio.create_task(look())
    good = asyncio.create_task(load(target, clients=clients, seconds=seconds))
    await asyncio.sleep(min(2.0, seconds / 5))
    outcomes = await asyncio.gather(*(send(server.port, hostile) for hostile in fifty(MODEL)))
    heard = await good
    looking.cancel()
    return heard, [*outcomes], peak


async def signalled(server: Server, target: Target, clients: int, seconds: float) -> Heard:
    """Lets a server reload twice and then stop while clients go on."""
    asking = asyncio.create_task(load(target, clients=clients, seconds=seconds))
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
        await asyncio.sleep(seconds / 4)
        os.kill(server.session, number)
    return await asking


def print_attack(heard: Heard, outcomes: Sequence[Outcome], before: int, peak: int, seconds: float) -> None:
    """Prints what became of the hostile requests, and of the good ones."""
    kinds = Counter((one.name, one.outcome) for one in outcomes)
    slowest = {one.name: max(other.seconds for other in outcomes if other.name == one.name) for one in outcomes}
    rows = [
        {"request": name, "times": count, "became": became, "seconds at most": slowest[name]}
        for (name, became), count in kinds.items()
    ]
    click.echo(markdown(rows))
    wrong = [one for one in outcomes if one.outcome not in REFUSED]
    click.echo(
        f"\n{len(outcomes)} hostile requests, {len(wrong)} not refused; meanwhile {len(heard.seconds):,} good ones in "
        f"{seconds:g} s, {sum(heard.others.values())} failed, 99 % within {1000 * heard.percentile(0.99):.0f} ms; "
        f"memory {before / 1e6:,.0f} MB before, {peak / 1e6:,.0f} MB at most"
    )


@click.command()
@click.option("--run", required=True, help="A run, an export of it, or a pretrained model's name.")
@click.option("--keras", "keras_export", type=click.Path(path_type=Path), help="Its export --to keras, for the peers.")
@click.option("--photos", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--environments", type=click.Path(path_type=Path), default=Path("environments"), show_default=True)
@click.option("--logs", type=click.Path(path_type=Path), default=Path("serving-logs"), show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(PINS)), default=list(PINS), help="These sides.")
@click.option("--clients", multiple=True, type=int, default=(1, 16), show_default=True)
@click.option("--seconds", default=300.0, show_default=True)
@click.option("--interpreter", "given", multiple=True, metavar="SIDE=PYTHON", help="Use it; make no environment.")
@click.option("--hostile", is_flag=True, help="Fifty hostile requests to zoo serve, while good ones go on.")
@click.option("--signals", is_flag=True, help="Two reloads and the end of zoo serve, while clients go on.")
@click.option("--rehearse", is_flag=True, help="Printed only.")
# Many arguments because each is an option that a user types.
def main(
    run: str,
    keras_export: Path | None,
    photos: Path,
    environments: Path,
    logs: Path,
    only: tuple[str, ...],
    clients: tuple[int, ...],
    seconds: float,
    given: tuple[str, ...],
    hostile: bool,
    signals: bool,
    rehearse: bool,
) -> None:
    """Asks each server in turn, and prints what was heard."""
    logs.mkdir(parents=True, exist_ok=True)
    pythons = dict(one.split("=", 1) for one in given)
    sides = [OURS] if hostile or signals else [side for side in PINS if side in only]
    rows = list[dict[str, Any]]()
    for side in sides:
        if side != OURS:
            write_classes(keras_export)
        try:
            python = pythons.get(side) or str(make_environment(environments, side.replace(" ", "-"), PINS[side]))
        except CannotInstallError as fault:
            click.echo(f"{side}: pip: {fault}", err=True)
            continue
        with started(side, python, run, keras_export or Path(), logs / f"{side}.log") as server:
            target = target_of(server.port, photos)
            if signals:
                heard = asyncio.run(signalled(server, target, clients[-1], seconds))
                click.echo(
                    f"{len(heard.seconds):,} answered, {sum(heard.others.values())} lost {dict(heard.others)}; "
                    f"{heard.refused} of {clients[-1]} clients could not connect after the end"
                )
                return
            if hostile:
                asyncio.run(load(target, clients=clients[-1], seconds=WARM_SECONDS))
                before = server.memory
                print_attack(*reordered(asyncio.run(attacked(server, target, clients[-1], seconds)), before), seconds)
                return
            for count in clients:
                heard, early, late = asyncio.run(loaded(server, target, count, seconds))
                rows.append(row_of(side, count, seconds, heard, early, late))
                click.echo(f"{side}, {count} clients: {heard.others or 'no errors'}", err=True)
    if rehearse:
        click.echo(markdown(rows))
    elif rows:
        report("serving", rows)


def reordered(found: tuple[Heard, list[Outcome], int], before: int) -> tuple[Heard, list[Outcome], int, int]:
    """Puts what was held before between what was heard and the most."""
    heard, outcomes, peak = found
    return heard, outcomes, before, peak


def write_classes(keras_export: Path | None) -> None:
    """Writes the classes where a peer reads them."""
    if keras_export is None:
        raise click.UsageError("the peers need --keras, an export --to keras of the same run")
    document = json.loads((keras_export / "export.json").read_text(encoding="utf-8"))
    (keras_export / "classes.json").write_text(json.dumps(document["classes"]), encoding="utf-8")


if __name__ == "__main__":
    main()
