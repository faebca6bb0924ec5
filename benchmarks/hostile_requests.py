"""Fifty requests that mean no good: each is to be refused within limits, and to harm none that does."""

import asyncio
import io
import json
import struct
import time
import zlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from http_load import read_answer
from PIL import Image

GIBIBYTE = 1 << 30
_LONGEST_SECONDS = 60
# What a server may do with them: say no, or end the connection.
REFUSED = {"400", "401", "403", "404", "405", "408", "411", "413", "414", "415", "422", "431", "501", "503", "closed"}


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A request.

    Attributes:
        name: What it tries.
        parts: What is sent, piece by piece.
        pause: Seconds between two pieces.
    """

    name: str
    parts: Callable[[], AsyncGenerator[bytes]]
    pause: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of it: a status, `closed`, or `no answer`; and after how long."""

    name: str
    outcome: str
    seconds: float


async def send(port: int, hostile: Hostile) -> Outcome:
    """Sends a request, and hears what becomes of it."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_sent(writer, hostile))
    try:
        async with asyncio.timeout(_LONGEST_SECONDS):
            status, _ = await read_answer(reader)
            outcome = str(status)
    except TimeoutError:
        outcome = "no answer"
    except (OSError, asyncio.IncompleteReadError):
        outcome = "closed"
    sending.cancel()
    writer.close()
    return Outcome(name=hostile.name, outcome=outcome, seconds=time.perf_counter() - began)


async def _sent(writer: asyncio.StreamWriter, hostile: Hostile) -> None:
    try:
        async for part in hostile.parts():
            writer.write(part)
            await writer.drain()
            if hostile.pause:
                await asyncio.sleep(hostile.pause)
    except OSError:  # the server has ended it
        pass


def fifty(model: str) -> list[Hostile]:
    """Returns the requests: ten kinds of bombs and lies, slow ones, and those of a gibibyte, some of them repeated."""
    bomb, small = _png(30_000, 30_000, rows=0), _photo()
    once = {
        "a bomb by its header": _whole(bomb),
        "a bomb that unpacks": _whole(_png(20_000, 20_000, rows=20_000)),
        "a bomb in a form": _form(bomb),
        "ten bombs in a form": _form(*[bomb] * 10),
        "a photo that is cut off": _whole(small[: len(small) // 2]),
        "no photo": _whole(b"<html>" + bytes(1000)),
        "nothing": _whole(b""),
        "an address in JSON": _whole(b'{"url": "http://127.0.0.1:1/"}', "application/json"),
        "an address in a form": _raw_form(b'name="url"\r\n\r\nhttp://127.0.0.1:1/'),
        "a thousand files": _form(*[b"x"] * 1000),
        "a long name": _raw_form(b'name="f"; filename="' + b"x" * 100_000 + b'"\r\n\r\nx'),
        "a form without an end": _once(_head(60, "multipart/form-data; boundary=b") + b"--b\r\n" + bytes(55)),
        "packed bytes": _whole(zlib.compress(bytes(10_000_000)), "image/png", "Content-Encoding: gzip\r\n"),
        "a deep JSON": _whole(b"[" * 1_000_000, "application/json", path=f"/v2/models/{model}/infer"),
        "a tensor that lies": _whole(_lying_tensor(), "application/json", path=f"/v2/models/{model}/infer"),
        "a long head": _once(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000),
        "a long address": _once(b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        "not HTTP": _once(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n"),
        "a length that is none": _once(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
        "another method": _once(b"DELETE /predict HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    }
    found = [Hostile(name=name, parts=parts) for name, parts in once.items()]
    found += [Hostile(name="a gibibyte that is said", parts=_gibibyte(is_said=True)) for _ in range(5)]
    found += [Hostile(name="a gibibyte that is not said", parts=_gibibyte(is_said=False)) for _ in range(5)]
    found += [Hostile(name="a slow body", parts=_slowly(_head(100_000), b"x"), pause=0.5) for _ in range(10)]
    found += [
        Hostile(name="a slow head", parts=_slowly(b"GET / HTTP/1.1\r\n", b"X: y\r\n"), pause=0.5) for _ in range(10)
    ]
    return found


def _head(length: int, kind: str = "image/png", more: str = "", path: str = "/predict") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{more}Content-Length: {length}\r\n\r\n"
    ).encode()


def _once(content: bytes) -> Callable[[], AsyncGenerator[bytes]]:
    async def parts() -> AsyncGenerator[bytes]:
        yield content

    return parts


def _whole(
    body: bytes, kind: str = "image/png", more: str = "", path: str = "/predict"
) -> Callable[[], AsyncGenerator[bytes]]:
    return _once(_head(len(body), kind, more, path) + body)


def _form(*files: bytes) -> Callable[[], AsyncGenerator[bytes]]:
    return _raw_form(*(b'name="file"; filename="x"\r\n\r\n' + content for content in files))


def _raw_form(*parts: bytes) -> Callable[[], AsyncGenerator[bytes]]:
    body = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return _whole(body, "multipart/form-data; boundary=b")


def _slowly(start: bytes, again: bytes) -> Callable[[], AsyncGenerator[bytes]]:
    async def parts() -> AsyncGenerator[bytes]:
        yield start
        while True:
            yield again

    return parts


def _gibibyte(*, is_said: bool) -> Callable[[], AsyncGenerator[bytes]]:
    block = bytes(1 << 16)

    async def parts() -> AsyncGenerator[bytes]:
        if is_said:
            yield _head(GIBIBYTE)
        else:
            yield b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        for _ in range(GIBIBYTE // len(block)):
            yield block if is_said else b"10000\r\n" + block + b"\r\n"

    return parts


def _png(width: int, height: int, *, rows: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(1)
    content = b"".join(packer.compress(bytes(1 + width)) for _ in range(rows)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def _photo() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((640, 480), 60).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def _lying_tensor() -> bytes:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [10**9, 10**9, 10**9, 3], "data": [0]}
    return json.dumps({"inputs": [tensor]}).encode()
