"""`zoo serve`: answers photos by HTTP with finished runs, exports or pretrained models."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import Choice, InPath, Reference, gathered, trust_option
from zoo.cli.output import echo
from zoo.cli.shell.completion import complete_model_or_run
from zoo.cli.shell.start import start_backend
from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.inference.answerer import Answerer
    from zoo.inference.answering import Runtime
    from zoo.serving.models import Source
    from zoo.serving.settings import Limits

# What `zoo[serve]` installs, by the names that are imported.
PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
# As `zoo.inference.answering` has them, which help does not import.
RUNTIMES = ("auto", "keras", "litert", "onnx", "openvino")
SHORTEST_TOKEN, LONGEST_TOKEN = 16, 4096
MILLISECOND = 0.001


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """What is asked of the server, as it was typed."""

    host: str
    port: int
    token_file: Path | None
    without_token: bool
    runtime: "Runtime"
    unknown_below: float | None
    max_wait_ms: float
    max_batch: int
    queue: int
    max_bytes: int
    max_pixels: int
    body_seconds: float

    def limits(self) -> "Limits":
        """Returns what the server may take."""
        from zoo.serving.settings import Limits

        return Limits(
            max_wait=self.max_wait_ms * MILLISECOND,
            max_batch=self.max_batch,
            queue=self.queue,
            max_bytes=self.max_bytes,
            held_bytes=max(Limits.held_bytes, 2 * self.max_bytes),
            max_pixels=self.max_pixels,
            body_seconds=self.body_seconds,
        )


@click.command("serve")
@click.argument(
    "sources",
    type=Reference(),
    nargs=-1,
    required=True,
    metavar="[NAME=]RUN|EXPORT|MODEL...",
    shell_complete=complete_model_or_run,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--token-file", type=InPath(), metavar="FILE", help="Answer only those who send the token in FILE.")
@click.option("--without-token", is_flag=True, help="Let everybody ask, also from other machines.")
@click.option("--runtime", type=Choice(RUNTIMES), default=RUNTIMES[0], show_default=True, help="What computes.")
@click.option(
    "--unknown-below", type=click.FloatRange(0, 1), metavar="P", help="Say 'unknown' where no class has so much."
)
@click.option("--max-wait-ms", type=click.FloatRange(0, 1000), default=5, show_default=True, help="Wait for a batch.")
@click.option("--max-batch", type=click.IntRange(1, 256), default=16, show_default=True, help="Photos at once.")
@click.option(
    "--queue", type=click.IntRange(1, 100_000), default=128, show_default=True, help="Photos in hand, a model."
)
@click.option("--max-bytes", type=click.IntRange(1024), default=32 << 20, show_default=True, help="Of a request.")
@click.option("--max-pixels", type=click.IntRange(1), default=64_000_000, show_default=True, help="Of a photo.")
@click.option(
    "--body-seconds", type=click.FloatRange(0.1, 3600), default=30, show_default=True, help="For a request to arrive."
)
@trust_option
@gathered(ServeRequest)
def serve_command(sources: tuple[str, ...], asked: ServeRequest) -> None:
    """Answer photos by HTTP with finished runs, exports or pretrained models; the page at / takes some too.

    POST /predict takes files or a photo's bytes; /v2 is the Open Inference Protocol. The first model answers where a
    request names none. SIGHUP opens all models anew, SIGTERM and Ctrl-C stop when what was accepted is answered.

    \b
    Examples:
      zoo serve runs/pets
      zoo serve runs/pets --unknown-below 0.6
      zoo serve pets=exports/pets-onnx shoes=runs/shoes --port 9000
      zoo serve runs/pets --host 0.0.0.0 --token-file token.txt
    """
    from zoo.serving.settings import Access

    access = Access(host=asked.host, token=None if asked.token_file is None else read_token(asked.token_file))
    if not access.is_loopback and access.token is None and not asked.without_token:
        raise click.UsageError(
            f"--host {asked.host} lets other machines ask; expected --token-file FILE, or --without-token"
        )
    check_installed()
    from zoo.serving.server import serve

    serve(
        sources_of(sources, asked.runtime),
        port=asked.port,
        access=access,
        limits=asked.limits(),
        unknown_below=asked.unknown_below,
        say=functools.partial(echo, err=True, whole=True),
    )


def read_token(path: Path) -> str:
    """Reads the token that clients have to know.

    Raises:
        ZooError: The file cannot be read, or holds none that is hard to guess.
    """
    from zoo.system.regular_files import read_regular

    try:
        token = read_regular(path, limit=LONGEST_TOKEN).decode("ascii", "replace").strip()
    except OSError as fault:
        raise ZooError(
            f"{path}: cannot be read ({fault.strerror}); expected a file that holds the token; "
            f"type openssl rand -hex 32 > {path}"
        ) from None
    if not (len(token) >= SHORTEST_TOKEN and token.isascii() and token.isprintable() and " " not in token):
        raise ZooError(
            f"{path}: holds no token; expected one line of {SHORTEST_TOKEN} ASCII signs or more without spaces; "
            f"type openssl rand -hex 32 > {path}"
        )
    return token


def sources_of(typed: Sequence[str], runtime: "Runtime") -> "list[Source]":
    """Returns what is to be opened; `NAME=RUN` gives a name, unless a file or folder is called so.

    Raises:
        ZooError: Something is not there, or two have one name.
    """
    from zoo.inference.answering import check_answers, name_of
    from zoo.serving.models import Source, check_names

    found: list[Source] = []
    for one in typed:
        name, equals, rest = one.partition("=")
        is_named = bool(equals) and not Path(one).exists()
        source = rest if is_named else one
        check_answers(source)
        opening = functools.partial(_opened, source, runtime)
        found.append(Source(name=name if is_named else name_of(source), open=opening))
    check_names([one.name for one in found])
    return found


def _opened(source: str, runtime: "Runtime") -> "Answerer":
    """Opens a model; where Keras would answer and LiteRT can, an export is made, proved and kept first."""
    from zoo.export.keeping import keep, open_or_make, what_to_keep
    from zoo.inference.answerer import FirstBatch
    from zoo.inference.answering import AUTO, open_answerer

    answerer = open_or_make(source, runtime, start_keras=start_backend)
    identity = what_to_keep(source, answerer) if runtime == AUTO else None
    if identity is None:
        return answerer
    if refused := keep(answerer, identity, FirstBatch()):
        echo(f"note: no LiteRT export of {source} is kept: {refused}", err=True)
        return answerer
    return open_answerer(source, runtime, start_keras=start_backend)


def check_installed() -> None:
    """Looks whether what the server needs is installed.

    Raises:
        ZooError: A package is missing.
    """
    from importlib.util import find_spec

    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ZooError(f"zoo serve: {', '.join(missing)} cannot be imported; type pip install 'zoo[serve]'")
