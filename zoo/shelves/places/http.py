"""A shelf on an HTTP server, which is read and never written: plain files, as any static server gives them.

A server may be slow, send for ever, or send elsewhere: there are limits on what is waited for, taken and followed. A
connection that ends early is made again, and asks for the rest (RFC 9110, section 14).
"""

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo.shelves.faults import ShelfError, UnreachableError

# A server that has not answered, or sends nothing, for so long is not waited for.
ANSWER_SECONDS = 8.0
# After that time, one that sends less in a second is too slow.
SLOWEST = 10_000
MOST_REDIRECTS = 5
# A connection that was cut is made again so often.
ATTEMPTS = 4
_CHUNK = 1 << 18
_AGAIN = "check the connection and try again"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows few redirects, only to HTTP, and none from an encrypted connection to an open one."""

    max_repeats = 2
    max_redirections = MOST_REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Refuses a redirect that leads where no shelf is."""
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("http", "https") or (before, after) == ("https", "http"):
            fp.close()
            raise ShelfError(f"{req.full_url}: redirects to {newurl}, which is not followed; expected {before}://")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _CutError(Exception):
    """The connection ended before the file did."""


class HttpPlace:
    """A shelf on an HTTP server; see `Place` for what it offers."""

    is_listed = False
    is_near = False
    why_read_only = "HTTP servers are only read; push to the folder or the bucket that it serves"
    after_writing = ""

    def __init__(self, url: str) -> None:
        """Takes the address of the folder that holds index.json."""
        self.url = url.rstrip("/")
        self._opener = urllib.request.build_opener(_Redirects)

    def documents(self, name: str | None = None) -> list[tuple[str, int]]:
        """Lists nothing: servers have no lists."""
        raise ShelfError(f"{self.url}: cannot be listed")

    def read(self, path: str, *, limit: int) -> bytes:
        """Reads a small file whole."""
        content = bytearray()
        for piece in self._pieces(path, limit):
            content += piece
        if len(content) > limit:
            raise ShelfError(f"{self.url}/{path}: sends more than {limit:,} bytes; expected at most that")
        return bytes(content)

    def stream(self, path: str, *, size: int) -> Iterator[bytes]:
        """Yields a file in pieces."""
        return self._pieces(path, size)

    def create(self, path: str, content: bytes) -> bool:
        """Refuses to write."""
        raise ShelfError(f"{self.url}: {self.why_read_only}")

    def put(self, path: str, source: Path | bytes, *, sha256: str) -> None:
        """Refuses to write."""
        raise ShelfError(f"{self.url}: {self.why_read_only}")

    def alone(self) -> AbstractContextManager[None]:
        """Keeps nobody waiting."""
        return nullcontext()

    def replace(self, path: str, content: bytes) -> None:
        """Refuses to write."""
        raise ShelfError(f"{self.url}: {self.why_read_only}")

    def _pieces(self, path: str, size: int) -> Iterator[bytes]:
        """Yields what a server sends, at most a byte more than `size`; goes on where a connection was cut."""
        done, began = 0, time.monotonic()
        for attempt in range(ATTEMPTS):
            before = done
            try:
                for piece in self._once(path, done, size):
                    done += len(piece)
                    yield piece
                    seconds = time.monotonic() - began
                    if seconds > ANSWER_SECONDS and done < SLOWEST * seconds:
                        sent = f"sent {done:,} bytes in {seconds:.0f} s"
                        raise UnreachableError(f"{self.url}/{path}: the server is too slow ({sent}); {_AGAIN}")
            except _CutError as fault:
                if done > before and attempt < ATTEMPTS - 1:
                    continue
                raise UnreachableError(f"{self.url}/{path}: {fault}; {_AGAIN}") from None
            else:
                return

    def _once(self, path: str, done: int, size: int) -> Iterator[bytes]:
        """Yields what one connection brings."""
        with self._answer(path, done) as answer:
            length = answer.headers.get("Content-Length", "")
            expected = int(length) if length.isdecimal() else None
            if expected is not None and done + expected > size:
                too_much = f"sends {done + expected:,} bytes; expected at most {size:,}"
                raise ShelfError(f"{self.url}/{path}: {too_much}")
            left, got = size + 1 - done, 0
            while left:
                try:
                    piece = answer.read1(min(left, _CHUNK))
                except TimeoutError:
                    silent = f"the server sent nothing for {ANSWER_SECONDS:g} s"
                    raise UnreachableError(f"{self.url}/{path}: timed out: {silent}; {_AGAIN}") from None
                except (OSError, http.client.HTTPException) as fault:
                    raise _CutError(f"the connection ended: {getattr(fault, 'strerror', None) or fault}") from None
                if not piece:
                    break
                yield piece
                left, got = left - len(piece), got + len(piece)
            if left and expected is not None and got < expected:
                raise _CutError(f"the connection ended: got only {done + got:,} of {done + expected:,} bytes")

    def _answer(self, path: str, done: int) -> Any:
        """Asks for a file, or the rest of it, and waits a bounded time for the beginning of the answer."""
        url = f"{self.url}/{path}"
        request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
        answers: list[Any] = []
        given_up = threading.Event()

        def ask() -> None:
            try:
                answer = self._opener.open(request, timeout=ANSWER_SECONDS)
            except Exception as fault:  # handed to who waits
                answers.append(fault)
            else:
                answers.append(answer)
                if given_up.is_set():
                    answer.close()

        # A server may send its headers a byte at a time, each within the timeout.
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(ANSWER_SECONDS)
        if not answers:
            given_up.set()
            raise UnreachableError(f"{url}: timed out: no answer within {ANSWER_SECONDS:g} s; {_AGAIN}")
        answer = answers[0]
        if isinstance(answer, Exception):
            raise _as_fault(answer, url) from None
        if done and answer.status != http.client.PARTIAL_CONTENT:
            answer.close()
            raise _CutError("the connection ended, and the server does not send the rest alone")
        return answer


def _as_fault(fault: Exception, url: str) -> Exception:
    """Says why a server did not give a file."""
    if isinstance(fault, ShelfError):
        return fault
    if isinstance(fault, urllib.error.HTTPError):
        fault.close()
        if fault.code in (http.client.NOT_FOUND, http.client.GONE):
            return FileNotFoundError(fault.code, f"{fault.code} {fault.msg}", url)
        if "redirect" in str(fault.msg):
            return ShelfError(f"{url}: redirects more than {MOST_REDIRECTS} times, or in a circle")
        kind = UnreachableError if fault.code >= http.client.INTERNAL_SERVER_ERROR else ShelfError
        return kind(f"{url}: the server answers {fault.code} {str(fault.msg)[:100]}")
    reason = getattr(fault, "reason", fault)
    if isinstance(reason, ValueError | http.client.HTTPException) and not isinstance(reason, OSError):
        return ShelfError(f"{url}: the answer is not HTTP ({type(reason).__name__})")
    return UnreachableError(f"{url}: {getattr(reason, 'strerror', None) or reason}; {_AGAIN}")
