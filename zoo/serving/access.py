"""Who may ask: the token, and what a page of another site may not do with a server on its reader's machine."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo.serving.intake.incoming import incoming_of, noticing
from zoo.serving.refusals import FORBIDDEN, NO_TOKEN, TOO_SLOW, RefusedError
from zoo.serving.settings import Access, Limits, is_loopback

# What tells nothing of the models: whether the server lives, the page that asks for the token, and the schema.
OPEN_PATHS = {"/", "/healthz", "/openapi.json", "/v2/health/live", "/v2/health/ready"}
RELOAD_PATH = "/reload"
_SCHEME = "bearer "
# An answer is its client's only, and is what its type says.
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class AccessMiddleware:
    """Lets through who may ask, and says of every answer that it is nobody else's.

    Args:
        app: What answers.
        access: Who may ask.
        limits: What a request may hold.
    """

    def __init__(self, app: ASGIApp, access: Access, limits: Limits) -> None:
        self._app = app
        self._access = access
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or refuses it before its body is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in PRIVATE.items():
                    headers.setdefault(name, value)
            await send(message)

        incoming = noticing(scope, receive)
        try:
            self._check(scope["path"], Headers(scope=scope))
        except RefusedError as refusal:
            answer = await refused_answer(refusal, scope, self._limits)
            await answer(scope, incoming, guarded)
            return
        await self._app(scope, incoming, guarded)

    def _check(self, path: str, headers: Headers) -> None:
        if self._access.token is None:
            self._check_without_token(path, headers.get("host", ""), headers.get("origin"))
        elif path not in OPEN_PATHS and not knows_token(headers.get("authorization", ""), self._access.token):
            raise RefusedError(
                NO_TOKEN, "the token is missing or wrong; expected 'Authorization: Bearer TOKEN'", closes=True
            )

    def _check_without_token(self, path: str, host: str, origin: str | None) -> None:
        if origin is not None and origin.partition("://")[2] != host:
            raise _forbidden("the request comes from a page of another site; expected a token")
        # A name of somebody else's may lead to this machine, so that a page of theirs reads what it answers.
        if self._access.is_loopback and not is_loopback(_name_in(host)):
            raise _forbidden("the host is not this machine's own; expected localhost or a token")
        if path == RELOAD_PATH:
            raise _forbidden("reload needs a token (--token-file); or send SIGHUP to the process")


async def refused_answer(refusal: RefusedError, scope: Scope, limits: Limits) -> JSONResponse:
    """Returns the answer to a request that is not carried out, once its client can hear it."""
    headers = refusal.headers
    is_worth_it = refusal.closes and refusal.status != TOO_SLOW
    if is_worth_it and await incoming_of(scope).drain(Headers(scope=scope), most=limits.max_bytes):
        headers.pop("Connection", None)
    return JSONResponse(refusal.to_json(), refusal.status, headers)


def _forbidden(message: str) -> RefusedError:
    return RefusedError(FORBIDDEN, message, closes=True)


def knows_token(authorization: str, token: str) -> bool:
    """Whether a header holds the token; how long the answer takes does not tell how much of it was right."""
    if not authorization.lower().startswith(_SCHEME):
        return False
    given = authorization[len(_SCHEME) :].strip()
    return hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(token.encode()).digest())


def _name_in(host: str) -> str:
    """Returns the name in a Host header; clients of HTTP/1.0 send none."""
    try:
        return urlsplit(f"//{host}").hostname or "localhost"
    except ValueError:  # half of an IPv6 address
        return host
