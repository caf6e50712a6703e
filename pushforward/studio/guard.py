"""Who may talk to the studio: pages that it served itself, to the person who started it.

Another page in the same browser could reach a server on this machine, too: through its own
requests (refused by Origin), or through a name that it resolves to 127.0.0.1 (refused by Host). A
token in the address keeps out other users of the machine.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "is_loopback", "names_of", "new_token"]

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
OPEN = "/page/"
"""What lies below needs no token: scripts and styles, the same for everyone."""
WILDCARDS = ("0.0.0.0", "::", "")
"""Hosts that stand for every network of the machine."""
_NUMBERED = re.compile(r"\[[\da-f:.]+\]|[\d.]+")


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach a server that listens there."""
    return host in ("localhost", "::1") or re.fullmatch(r"127[.\d]*", host) is not None


def names_of(host: str, port: int, machine: str = "") -> list[str]:
    """The names, with the port, under which a server that listens on a host is called.

    Args:
        machine: its name in the network, for a host that stands for all networks.
    """
    names = {f"[{host}]" if ":" in host else host}
    if is_loopback(host):
        names |= {"localhost", "127.0.0.1", "[::1]"}
    elif host in WILDCARDS:
        names = {"localhost"} | ({machine, f"{machine}.local"} if machine else set())
    ports = [f":{port}", ""] if port == 80 else [f":{port}"]  # browsers leave 80 out
    return sorted(f"{name.lower()}{port}" for name in names for port in ports)


class Guard:
    """Middleware that refuses foreign hosts, foreign origins and wrong tokens.

    Args:
        app: behind it.
        token: that the address of the page and of the socket contains.
        hosts: with ports, by which the server may be called.
        numbered: a port at which it may be called by any address in numbers, too: no other page
            can have one of those resolved to this machine.
    """

    def __init__(
        self, app: ASGIApp, token: str, hosts: Iterable[str], numbered: int | None = None
    ) -> None:
        self._app, self._token, self._numbered = app, token, numbered
        self._hosts = frozenset(host.lower() for host in hosts)

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
        if not self._is_known(headers.get("host", "")):
            return "this studio is not served under that name"
        origins = headers.getlist("origin")
        own = [o.startswith("http://") and self._is_known(o[len("http://") :]) for o in origins]
        if not all(own) or (scope["type"] == "websocket" and not origins):
            return "this studio answers its own page only"
        given = QueryParams(scope["query_string"]).get("token", "")
        if not scope["path"].startswith(OPEN) and not secrets.compare_digest(
            given.encode(), self._token.encode()
        ):
            return "wrong or missing token: open the address that pushforward studio printed"
        return None

    def _is_known(self, host: str) -> bool:
        host = host.lower()
        if host in self._hosts or self._numbered is None:
            return host in self._hosts
        name, _, port = host.rpartition(":")
        return port == str(self._numbered) and _is_numbered(name)


def _is_numbered(name: str) -> bool:
    """Whether a name is an address in numbers."""
    if not _NUMBERED.fullmatch(name):
        return False
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            known = {name for name, _ in added}
            kept = [pair for pair in message["headers"] if pair[0].lower() not in known]
            message = {**message, "headers": [*kept, *added]}
        await send(message)

    return sending
