"""The studio's server: static pages, one socket per page, this machine only."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request as Visit
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from pushforward.core.errors import InvalidValue, printable
from pushforward.studio.connection import Connection
from pushforward.studio.guard import Guard, new_token
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio

__all__ = ["application", "serve"]

PAGE = Path(__file__).parent / "page"
LARGEST = 64 * 2**20
"""Bytes of a message of a page: a photograph."""
PORT, PORTS = 8400, 20
"""The first port tried, and how many."""


def application(studio: Studio, token: str, hosts: list[str]) -> Starlette:
    """The application for one studio.

    Args:
        token: that the address of the page contains.
        hosts: with ports, by which it may be called.
    """

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        studio.enter()
        try:
            await Connection(websocket, lambda request: answer(studio, request)).serve()
        finally:
            studio.leave()

    async def index(visit: Visit) -> Response:
        return FileResponse(PAGE / "index.html")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        studio.close()

    return Starlette(
        routes=[
            Route("/", index),
            WebSocketRoute("/socket", talk),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[Middleware(Guard, token=token, hosts=hosts)],
        lifespan=lifespan,
    )


def answer(studio: Studio, request: Request) -> Answer:
    """The answer to a request; networks are not changed."""
    torch.set_num_threads(studio.threads)  # of this thread only
    with torch.no_grad():
        return find_verb(request.verb)(studio, request)


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    device: str = "cpu",
    ready: Callable[[str], None] = print,
) -> None:
    """Serve until Ctrl-C.

    Args:
        folder: a run, or a folder of runs.
        host: to listen on; others than this machine's loopback are for trusted networks.
        port: to listen on; a free one if None.
        ready: called with the address, once it can be opened.
    """
    listener = _listen(host, port)
    token, number = new_token(), listener.getsockname()[1]
    names = {host, "localhost", "127.0.0.1", "[::1]"} if _is_loopback(host) else {host}
    app = application(Studio(folder, device), token, [f"{name}:{number}" for name in names])
    config = uvicorn.Config(
        app, log_level="error", ws_max_size=LARGEST, ws="websockets-sansio", access_log=False,
        timeout_graceful_shutdown=2, ws_per_message_deflate=False,
    )  # fmt: skip
    with listener:
        ready(f"http://{host}:{number}/?token={token}")
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Raises:
        InvalidValue: If the port is taken, or the host not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    tried = range(PORT, PORT + PORTS) if port is None else [port]
    problem: Exception | None = None
    for number in tried:
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen()
            return listener
        except (OSError, ValueError) as error:
            problem = error
            listener.close()
    ports = f"port {port}" if port is not None else f"any of the ports {PORT} to {tried[-1]}"
    where = f"{printable(host)}, {ports}"
    raise InvalidValue(f"cannot listen on {where} ({problem}); pass --port") from problem
