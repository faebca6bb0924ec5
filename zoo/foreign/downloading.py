"""Files from the net, fetched in pieces: what arrived before a kill or a cut connection is not fetched again.

    .part-NAME/content       the bytes so far
    .part-NAME/parts.jsonl   the address and what tells whether the server still has the same file; then, every other
                             second, how many bytes are on disk and their checksum

The rest is asked for by a range (RFC 9110, section 14), on the condition that the file is still the same (`If-Range`,
section 13.1.5). A server that gives no ranges, or has another file by now, sends all of it.
"""

import errno
import hashlib
import http.client
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from zoo.system.files import append, sync, write_atomic
from zoo.system.journal import journal_line, journal_lines, read_journal
from zoo.system.partial_entries import JOURNAL, discard
from zoo.system.regular_files import open_regular

CONTENT = "content"
# A server that sends nothing for so long has failed.
STALL_SECONDS = 60.0
NOTE_SECONDS = 2.0
# A connection that was cut is made again so often, as long as something arrives by it.
ATTEMPTS = 4
_CHUNK = 1 << 18


class DownloadError(Exception):
    """A file that could not be fetched; the message says why, and what of it is kept for the next try."""


class _CutError(Exception):
    """The connection ended before the file did."""


@dataclass(frozen=True)
class _Origin:
    """What a server says of a file.

    Attributes:
        url: Its address.
        validator: Its strong ETag, else when it was changed last; empty where the server says neither.
        total: Its bytes; None where the server does not say.
        ranges: Whether the server gives parts of it.
    """

    url: str
    validator: str = ""
    total: int | None = None
    ranges: bool = False


def download(url: str, partial: Path, *, sha256: str = "", md5: str = "", stall_seconds: float | None = None) -> Path:
    """Fetches a file, or what is missing of it; its size is shown on stderr.

    Args:
        url: Its address.
        partial: The folder to write it in, held by this process. It stays when the next try can go on; else it is gone.
        sha256: In hex; empty where it is not known.
        md5: The same.
        stall_seconds: How long to wait for a server that sends nothing; by default `STALL_SECONDS`.

    Returns:
        The whole file, in that folder, on disk.

    Raises:
        DownloadError: It cannot be fetched, arrived incomplete, or has another hash.
        OSError: It cannot be written.
    """
    partial.mkdir(exist_ok=True)
    state = _Download(url, partial, stall_seconds or STALL_SECONDS)
    try:
        went_on = state.done > 0
        state.fetch()
        if went_on and not _is_right(state.file, sha256, md5):
            # What was here already, or what the server gave as the rest, was not what it seemed.
            state.begin_anew(_Origin(url))
            state.fetch()
        if not _is_right(state.file, sha256, md5):
            state.begin_anew(_Origin(url))
            raise DownloadError("the file's hash does not match that of the card; it is incomplete or another file")
    except BaseException as fault:  # Ctrl-C too
        if not state.is_resumable:
            discard(partial)
        elif isinstance(fault, DownloadError):
            raise DownloadError(f"{fault}; {state.described()} kept") from fault
        raise
    return state.file


def _is_right(path: Path, sha256: str, md5: str) -> bool:
    if not (sha256 or md5):
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256" if sha256 else "md5").hexdigest() == (sha256 or md5).lower()


class _Download:
    """What is here of a file, and how the rest is fetched."""

    def __init__(self, url: str, partial: Path, stall_seconds: float) -> None:
        self.file = partial / CONTENT
        self.done = 0
        self._journal = partial / JOURNAL
        self._stall_seconds = stall_seconds
        self._origin = _Origin(url)
        self._checksum = 0
        self._noted_at = time.monotonic()
        with suppress(OSError, ValueError, KeyError, TypeError):
            self._take_up()
        if not self.done:
            self.begin_anew(_Origin(url))

    @property
    def is_resumable(self) -> bool:
        """Whether another try can go on from what is here."""
        return self.done > 0 and self._origin.ranges and bool(self._origin.validator)

    def described(self) -> str:
        """Says how much is here."""
        total = "" if self._origin.total is None else f" of {_megabytes(self._origin.total)}"
        return f"{_megabytes(self.done)}{total} are"

    def begin_anew(self, origin: _Origin) -> None:
        """Forgets what is here."""
        self.file.unlink(missing_ok=True)
        self.file.touch()
        self._origin, self.done, self._checksum = origin, 0, 0
        described = {"url": origin.url, "validator": origin.validator, "total": origin.total, "ranges": origin.ranges}
        write_atomic(self._journal, journal_lines([described]))

    def fetch(self) -> None:
        """Fetches what is missing.

        Raises:
            DownloadError: It cannot be fetched.
            OSError: It cannot be written.
        """
        for attempt in range(ATTEMPTS):
            before = self.done
            try:
                self._fetch_once()
            except _CutError as fault:
                if self.done > before and self.is_resumable and attempt < ATTEMPTS - 1:
                    continue
                raise DownloadError(str(fault)) from fault
            else:
                sync(self.file)
                return

    def _fetch_once(self) -> None:
        if self.done and self.done == self._origin.total:
            return
        goes_on = {"Range": f"bytes={self.done}-", "If-Range": self._origin.validator}
        headers = goes_on if self.is_resumable else {}
        request = urllib.request.Request(self._origin.url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self._stall_seconds) as answer:
                if not self._goes_on(answer):
                    self.begin_anew(_origin_of(self._origin.url, answer))
                self._check_space()
                if not self.done:
                    print(f"Downloading data from {self._origin.url}", file=sys.stderr)
                self._receive(answer)
        except urllib.error.HTTPError as fault:
            fault.close()
            if headers and fault.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.begin_anew(_Origin(self._origin.url))
                self._fetch_once()
                return
            raise DownloadError(f"{fault.code} {fault.msg}") from fault
        except urllib.error.URLError as fault:
            raise DownloadError(str(getattr(fault.reason, "strerror", None) or fault.reason)) from fault
        except (http.client.HTTPException, ValueError) as fault:
            raise DownloadError(f"{type(fault).__name__}: {fault}") from fault

    def _goes_on(self, answer: Any) -> bool:
        """Returns whether an answer is the rest of what is here."""
        if getattr(answer, "status", None) != http.client.PARTIAL_CONTENT:
            return False
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", ""))
        total = None if found is None or found[3] == "*" else int(found[3])
        same = _validator(answer.headers) in ("", self._origin.validator) and total == self._origin.total
        if found is None or int(found[1]) != self.done or not same:
            raise DownloadError("the server answers with another part of the file than was asked for")
        return True

    def _check_space(self) -> None:
        missing = (self._origin.total or 0) - self.done
        if missing > (free := shutil.disk_usage(self.file.parent).free):
            why = f"{_megabytes(free)} are free; the file needs {_megabytes(missing)} more"
            raise OSError(errno.ENOSPC, why, str(self.file.parent.parent))

    def _receive(self, answer: Any) -> None:
        try:
            with self.file.open("r+b") as file:
                file.seek(self.done)
                while piece := self._next(answer):
                    file.write(piece)
                    self._checksum = zlib.crc32(piece, self._checksum)
                    self.done += len(piece)
                    if time.monotonic() - self._noted_at > NOTE_SECONDS:
                        self._note(file)
        finally:
            with suppress(OSError), self.file.open("r+b") as file:
                self._note(file)
            if sys.stderr.isatty():
                print(f"\r{self._progress()}", file=sys.stderr)
        total = self._origin.total
        if total is not None and self.done != total:
            raise _CutError(f"the connection ended: got only {self.done:,} of {total:,} bytes")

    def _next(self, answer: Any) -> bytes:
        try:
            return answer.read1(_CHUNK) if hasattr(answer, "read1") else answer.read(_CHUNK)
        except TimeoutError as fault:
            raise DownloadError(f"timed out: the server sent nothing for {self._stall_seconds:g} s") from fault
        except (ConnectionError, http.client.HTTPException) as fault:
            raise _CutError(f"the connection ended: {getattr(fault, 'strerror', None) or fault}") from fault

    def _note(self, file: IO[bytes]) -> None:
        file.flush()
        os.fsync(file.fileno())
        append(self._journal, journal_line({"bytes": self.done, "crc32": self._checksum}))
        self._noted_at = time.monotonic()
        if sys.stderr.isatty():
            print(f"\r{self._progress()}", end="", file=sys.stderr, flush=True)

    def _progress(self) -> str:
        total = self._origin.total
        return _megabytes(self.done) + ("" if total is None else f" of {_megabytes(total)}")

    def _take_up(self) -> None:
        """Goes on behind what is here, as far as its checksums hold."""
        first, *notes = read_journal(self._journal)
        if first["url"] != self._origin.url:
            return
        origin = _Origin(first["url"], str(first["validator"]), first["total"], bool(first["ranges"]))
        with open_regular(self.file, follow_links=False) as file:
            for note in notes:
                piece = file.read(note["bytes"] - self.done)
                checksum = zlib.crc32(piece, self._checksum)
                if self.done + len(piece) != note["bytes"] or checksum != note["crc32"]:
                    break
                self.done, self._checksum = note["bytes"], checksum
        self._origin = origin
        if not self.is_resumable:
            self.done = 0
            return
        os.truncate(self.file, self.done)


def _origin_of(url: str, answer: Any) -> _Origin:
    length = answer.headers.get("Content-Length", "")
    return _Origin(
        url,
        validator=_validator(answer.headers),
        total=int(length) if length.isdecimal() else None,
        ranges="bytes" in answer.headers.get("Accept-Ranges", ""),
    )


def _validator(headers: Mapping[str, str]) -> str:
    """Returns what tells whether a file is still the same, byte for byte; a weak ETag does not."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"
