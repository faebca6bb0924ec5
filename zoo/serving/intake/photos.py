"""The photos of a request: files of a form, or the body itself."""

from dataclasses import dataclass, field
from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from zoo.errors import printable
from zoo.serving.intake.bodies import Body
from zoo.serving.refusals import BAD_REQUEST, TOO_LARGE, WRONG_TYPE, RefusedError

# Of a part's head: how many lines, and how long each; and of the name in it.
_HEAD_LINES, _LINE_BYTES, _NAME_LETTERS = 8, 4096, 200
UNNAMED = "photo"
_ADDRESSES = "the server fetches no addresses"


@dataclass(frozen=True, kw_only=True)
class Photo:
    """An encoded photo.

    Attributes:
        name: Its file's name, as its client says, for the answer.
        content: What the file holds.
    """

    name: str
    content: bytes


async def read_photos(body: Body, content_type: str, *, most: int) -> list[Photo]:
    """Reads the photos of a request.

    Args:
        body: The request's body.
        content_type: Its type: `multipart/form-data` holds files; anything else is one photo's bytes.
        most: How many there may be.

    Returns:
        One photo or more, in their order.

    Raises:
        RefusedError: It holds no photo, too many, or something else.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"application/json":
        raise RefusedError(
            WRONG_TYPE,
            f"the body is JSON; expected a form with files, or a photo's bytes ({_ADDRESSES})",
            closes=True,
        )
    if not kind.startswith(b"multipart/"):
        content = await body.whole()
        if not content:
            raise RefusedError(BAD_REQUEST, "the body is empty; expected a photo: curl -F file=@photo.jpg ...")
        return [Photo(name=UNNAMED, content=content)]
    if not options.get(b"boundary"):
        raise _wrong("content-type has no boundary; expected multipart/form-data with one")
    parts = _Parts(most=most)
    try:
        parser = MultipartParser(
            options[b"boundary"],
            parts.callbacks(),  # pyright: ignore[reportArgumentType] -- a dict, of which it knows the keys
            max_header_count=_HEAD_LINES,
            max_header_size=_LINE_BYTES,
        )
        async for chunk in body.chunks():
            parser.write(chunk)
        parser.finalize()
    except FormParserError as fault:
        raise _wrong(f"the form is damaged ({printable(fault)}); expected files") from fault
    if not parts.photos:
        raise RefusedError(BAD_REQUEST, "the form holds no file; expected one or more: curl -F file=@photo.jpg ...")
    return parts.photos


def _wrong(message: str) -> RefusedError:
    return RefusedError(BAD_REQUEST, message, closes=True)


@dataclass
class _Parts:
    """Takes the parts of a form as its parser finds them.

    Attributes:
        most: How many files there may be.
        photos: The files that are whole.
    """

    most: int
    photos: list[Photo] = field(default_factory=list[Photo])
    _name: str = ""
    _content: bytearray = field(default_factory=bytearray)
    _key: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def callbacks(self) -> dict[str, object]:
        """Returns what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_header_field": self._take_key,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
        }

    def _begin(self) -> None:
        if len(self.photos) == self.most:
            raise RefusedError(TOO_LARGE, f"the form holds more than {self.most:,} files; send fewer", closes=True)
        self._name, self._disposition = "", b""
        self._content = bytearray()

    def _take_key(self, data: bytes, start: int, end: int) -> None:
        self._key += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if bytes(self._key).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._key.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename") or _extended_name(self._disposition)
        if name is None:
            field_name = printable(options.get(b"name", b"").decode("utf-8", "replace"))
            raise RefusedError(
                WRONG_TYPE, f"the form's '{field_name}' is text; expected files only ({_ADDRESSES})", closes=True
            )
        self._name = printable(name.decode("utf-8", "replace"), at_most=_NAME_LETTERS) or UNNAMED

    def _take(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]

    def _end(self) -> None:
        self.photos.append(Photo(name=self._name, content=bytes(self._content)))
        self._content = bytearray()


def _extended_name(disposition: bytes) -> bytes | None:
    """Returns a name by RFC 5987, `filename*=utf-8''...`, as requests sends it; its parser drops it."""
    head = Message()
    head["Content-Disposition"] = disposition.decode("utf-8", "replace")
    name = head.get_filename()
    return None if name is None else name.encode("utf-8", "replace")
