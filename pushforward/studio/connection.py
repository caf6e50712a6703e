"""One page's socket: requests in, answers out, the latest of each channel first.

A slider sends faster than a model decodes. Requests on one channel replace each other while they
wait, so that the answer belongs to where the slider is, not to where it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from starlette.websockets import WebSocket, WebSocketDisconnect

from pushforward.core.errors import Interrupted, PushforwardError, shorten
from pushforward.core.memory_errors import explain_memory_error
from pushforward.studio.messages import Answer, Request, pack, read_request

__all__ = ["Connection", "Handler"]

Handler = Callable[[Request], Answer]
MOST_CHANNELS = 32
"""Channels that one page may keep busy."""
MOST_AT_ONCE = 4
"""Requests of one page that are computed at once, so that other pages are answered, too."""
MOST_HELD = 2**27
"""Bytes of the files of one page that wait or are worked on."""
log = logging.getLogger("pushforward.studio")


class Connection:
    """Requests of one socket.

    Args:
        socket: accepted.
        handle: answers a request, in a thread.
        workers: these threads.
    """

    def __init__(self, socket: WebSocket, handle: Handler, workers: Executor) -> None:
        self._socket, self._handle, self._workers = socket, handle, workers
        self._waiting: dict[str, Request] = {}
        self._worked_on: dict[str, Request] = {}
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Answer until the page is gone."""
        try:
            while True:
                await self._receive()
        except WebSocketDisconnect:
            pass
        finally:
            self._waiting.clear()
            for task in self._busy.values():
                task.cancel()

    async def _receive(self) -> None:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text, data = message.get("text"), message.get("bytes")
        try:
            request = read_request(text if text is not None else data or b"")
        except PushforwardError as error:
            await self._send({"id": None, "error": str(error)}, Answer())
            return
        channel = request.channel or f"#{request.id}"
        refusal = self._refusal(channel, request)
        if refusal:
            await self._send({"id": request.id, "error": refusal}, Answer())
            return
        self._waiting[channel] = request
        if channel not in self._busy:
            self._busy[channel] = asyncio.create_task(self._work(channel))

    def _refusal(self, channel: str, request: Request) -> str:
        """Why a request is not taken; '' if it is."""
        if channel not in self._busy and len(self._busy) >= MOST_CHANNELS:
            return "too many requests at once"
        others = [r for name, r in self._waiting.items() if name != channel]
        held = sum(len(r.attached) for r in (*others, *self._worked_on.values()))
        if request.attached and held + len(request.attached) > MOST_HELD:
            return "too many large files at once; wait for the answers"
        return ""

    async def _work(self, channel: str) -> None:
        try:
            while channel in self._waiting:
                async with self._turns:
                    await self._answer(channel, self._waiting.pop(channel))
        except WebSocketDisconnect:  # gone while it was computed
            pass
        finally:
            del self._busy[channel]

    async def _answer(self, channel: str, request: Request) -> None:
        header = {"id": request.id}
        self._worked_on[channel] = request
        try:
            message = await self._computed(header, request)
        except Exception as error:
            message = pack({**header, "error": shorten(_failure(request.verb, error))}, Answer())
        except Interrupted:
            message = pack({**header, "error": "the fit was stopped"}, Answer())
        finally:
            del self._worked_on[channel]
        await self._send_packed(message)

    async def _computed(self, header: Mapping[str, object], request: Request) -> bytes:
        """The message that answers a request; packed in its thread, too, as arrays are large."""
        loop = asyncio.get_running_loop()
        work = lambda: pack(header, self._handle(request))  # noqa: E731
        return await loop.run_in_executor(self._workers, work)

    async def _send(self, header: Mapping[str, object], answer: Answer) -> None:
        await self._send_packed(pack(header, answer))

    async def _send_packed(self, message: bytes) -> None:
        async with self._sending:
            try:
                await self._socket.send_bytes(message)
            except RuntimeError as error:  # of a socket that was closed meanwhile
                raise WebSocketDisconnect(1006) from error


def _failure(verb: str, error: Exception) -> str:
    """What is said of a request that failed; defects of ours are logged."""
    if isinstance(error, (PushforwardError, OSError)):
        return str(error)
    if isinstance(error, RecursionError):
        return "the request is nested too deeply"
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return explain_memory_error(error)
    log.error("%s failed", verb, exc_info=error)
    return f"{verb} failed ({type(error).__name__}: {error}); please report this"
