"""Who may talk to the studio: pages that it served itself, to the person who started it.

Another page in the same browser could reach a server on this machine, too: through its own
requests (refused by Origin), or through a name that it resolves to 127.0.0.1 (refused by Host). A
token in the address keeps out other users of the machine.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "new_token"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
GUARDED = ("/", "/socket")
"""Paths that need the token; the rest of the page has no secrets."""


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(24)


class Guard:
    """Middleware that refuses foreign hosts, foreign origins and wrong tokens.

    Args:
        app: behind it.
        token: that the address of the page and of the socket contains.
        hosts: with ports, by which the server may be called.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Iterable[str]) -> None:
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        reason = self._refusal(scope)
        if reason is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason})
        else:
            refuse = PlainTextResponse(reason, status_code=403, headers=HEADERS)
            await refuse(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if headers.get("host") not in self._hosts:
            return "this studio is not served under that name"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] not in self._hosts:
            return "this studio answers its own page only"
        if scope["type"] == "websocket" and origin is None:
            return "this studio answers its own page only"
        given = QueryParams(scope["query_string"]).get("token", "")
        if scope["path"] in GUARDED and not secrets.compare_digest(
            given.encode(), self._token.encode()
        ):
            return "wrong or missing token: open the address that pushforward studio printed"
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            known = {name for name, _ in added}
            kept = [pair for pair in message["headers"] if pair[0].lower() not in known]
            message = {**message, "headers": [*kept, *added]}
        await send(message)

    return sending
