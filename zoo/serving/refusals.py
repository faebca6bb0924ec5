"""Why a request is not carried out, as its client is told."""

from typing import Any

from zoo.errors import LONGEST_LINE, printable

BAD_REQUEST, NO_TOKEN, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, TOO_SLOW, CONFLICT = 400, 401, 403, 404, 405, 408, 409
TOO_LARGE, WRONG_TYPE, NOT_AN_IMAGE, FAILED, BUSY = 413, 415, 422, 500, 503


class RefusedError(Exception):
    """A request that is not carried out; the message is for its client.

    Attributes:
        status: The answer's HTTP status.
        retry_after: After how many seconds it may be carried out; None where the same request never will.
        closes: Whether the connection ends with the answer, since the rest of the body is not read.
    """

    def __init__(self, status: int, message: str, *, retry_after: int | None = None, closes: bool = False) -> None:
        super().__init__(printable(message, at_most=LONGEST_LINE))
        self.status = status
        self.retry_after = retry_after
        self.closes = closes

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the answer has beside its own."""
        found: dict[str, str] = {}
        if self.retry_after is not None:
            found["Retry-After"] = str(self.retry_after)
        if self.closes:
            found["Connection"] = "close"
        if self.status == NO_TOKEN:
            found["WWW-Authenticate"] = "Bearer"
        return found

    def to_json(self) -> dict[str, Any]:
        """Returns the answer's body as plain data; the Open Inference Protocol has the same."""
        return {"error": str(self)}
