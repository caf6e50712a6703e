"""The studio's server: static pages, one socket per page, this machine only."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
from pushforward.studio.guard import WILDCARDS, Guard, names_of, new_token
from pushforward.studio.live_fit import THREAD
from pushforward.studio.messages import Answer, Request
from pushforward.studio.rooms import find_verb
from pushforward.studio.studio import Studio

__all__ = ["application", "serve"]

PAGE = Path(__file__).parent / "page"
LARGEST = 64 * 2**20
"""Bytes of a message of a page: a photograph."""
PORT, PORTS = 8400, 20
"""The first port tried, and how many."""
WORKERS, WORKER = 16, "request"
"""Requests that are computed at once, and the name of their threads."""
STOPPING = (signal.SIGINT, signal.SIGTERM)
ENDING = 0.5
"""Seconds that threads have to end by themselves."""


def application(
    studio: Studio, token: str, hosts: list[str], numbered: int | None = None
) -> Starlette:
    """The application for one studio.

    Args:
        token: that the address of the page contains.
        hosts: with ports, by which it may be called.
        numbered: a port at which it may be called by addresses in numbers, too.
    """
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix=WORKER)

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        studio.enter()
        try:
            await Connection(websocket, lambda request: answer(studio, request), workers).serve()
        finally:
            studio.leave()

    async def index(visit: Visit) -> Response:
        return FileResponse(PAGE / "index.html")

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        studio.close()
        workers.shutdown(wait=False, cancel_futures=True)

    return Starlette(
        routes=[
            Route("/", index),
            WebSocketRoute("/socket", talk),
            Mount("/page", StaticFiles(directory=PAGE)),
        ],
        middleware=[Middleware(Guard, token=token, hosts=hosts, numbered=numbered)],
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
    """Serve until Ctrl-C, or a signal to end.

    What is being computed then is given half a second, as nothing interrupts it; Python would wait
    for it before it ends. A process that has no more to do can leave at once, by os._exit.

    Args:
        folder: a run, or a folder of runs.
        host: to listen on; others than this machine's loopback are for trusted networks.
        port: to listen on; a free one if None.
        ready: called with the address, once it can be opened.
    """
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of pages that have gone
    listener = _listen(host, port)
    token, number = new_token(), listener.getsockname()[1]
    everywhere = host in WILDCARDS
    names = names_of(host, number, socket.gethostname())
    studio = Studio(folder, device)
    app = application(studio, token, names, number if everywhere else None)
    config = uvicorn.Config(
        app, log_level="error", ws_max_size=LARGEST, ws="websockets-sansio", access_log=False,
        timeout_graceful_shutdown=1, ws_per_message_deflate=False,
    )  # fmt: skip
    shown = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{number}/?token={token}"
    with listener:
        try:
            _Server(config, lambda: ready(address)).run(sockets=[listener])
        finally:
            studio.close()
    _wait_for_threads()


class _Server(uvicorn.Server):
    """A server that says when it can be reached, and ends at a signal without passing it on."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; from here on, a signal ends the server in order."""
        await super().startup(sockets)
        if self.started:
            self._opened()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Context manager: signals end the server."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {n: signal.signal(n, self.handle_exit) for n in STOPPING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _wait_for_threads() -> None:
    """Let requests and fits end, for a short while."""
    until = time.monotonic() + ENDING
    while any(thread.name.startswith((WORKER, THREAD)) for thread in threading.enumerate()):
        if time.monotonic() > until:
            break
        time.sleep(0.02)


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
        if os.name == "posix":  # elsewhere, this would share the port with whoever has it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen()
            return listener
        except (OSError, ValueError) as error:
            problem = error
            listener.close()
            if isinstance(error, OSError) and error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise InvalidValue(
                    f"cannot listen on {printable(host)} ({error}); pass another --host"
                ) from error
    ports = f"port {port}" if port is not None else f"any of the ports {PORT} to {tried[-1]}"
    where = f"{printable(host)}, {ports}"
    raise InvalidValue(f"cannot listen on {where} ({problem}); pass --port") from problem
