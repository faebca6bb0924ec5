"""Gzip streams that others made, read to their end: one that is damaged anywhere, or grows too far, is refused."""

import zlib
from collections.abc import Iterator
from typing import IO

_CHUNK = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS


class GzipError(ValueError):
    """A stream is damaged or cut off, or unpacks to more than is expected; the message is the reason."""


def unpacked(file: IO[bytes], *, limit: int) -> Iterator[bytes]:
    """Unpacks a stream piece by piece; its checksums are compared (RFC 1952), also where a reader could stop before.

    Args:
        file: Open where the stream begins; it is read to its end.
        limit: Most bytes that it may unpack to.

    Raises:
        GzipError: It is damaged, is cut off, has something else behind it, or is larger.
    """
    size = members = 0
    left = b""
    stream = None
    while piece := left or file.read(_CHUNK):
        if stream is None:
            left = piece.lstrip(b"\0") if members else piece  # a tape's block is filled up with zeros
            if not left:
                continue
            stream, piece = zlib.decompressobj(_GZIP), left
        try:
            data = stream.decompress(piece, _CHUNK)
        except zlib.error as fault:
            raise GzipError(f"is damaged ({fault})") from fault
        size += len(data)
        if size > limit:
            raise GzipError(f"unpacks to more than {limit:,} bytes")
        yield data
        left = stream.unconsumed_tail
        if stream.eof:
            left, stream, members = stream.unused_data, None, members + 1
    if stream is not None or not members:
        raise GzipError("is cut off" if stream is not None else "is empty")
