"""One page's socket: requests in, answers out, the latest of each channel first.

A slider sends faster than a model decodes. Requests on one channel replace each other while they
wait, so that the answer belongs to where the slider is, not to where it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from pushforward.core.errors import Interrupted, PushforwardError
from pushforward.studio.messages import Answer, Request, pack, read_request

__all__ = ["Connection", "Handler"]

Handler = Callable[[Request], Answer]
MOST_CHANNELS = 32
"""Channels that one page may keep busy."""
log = logging.getLogger("pushforward.studio")


class Connection:
    """Requests of one socket.

    Args:
        socket: accepted.
        handle: answers a request, in a thread of its own.
    """

    def __init__(self, socket: WebSocket, handle: Handler) -> None:
        self._socket, self._handle = socket, handle
        self._waiting: dict[str, Request] = {}
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
        if channel not in self._busy and len(self._busy) >= MOST_CHANNELS:
            await self._send({"id": request.id, "error": "too many requests at once"}, Answer())
            return
        self._waiting[channel] = request
        if channel not in self._busy:
            self._busy[channel] = asyncio.create_task(self._work(channel))

    async def _work(self, channel: str) -> None:
        try:
            while channel in self._waiting:
                await self._answer(self._waiting.pop(channel))
        except (WebSocketDisconnect, RuntimeError):  # gone while it was computed
            pass
        finally:
            del self._busy[channel]

    async def _answer(self, request: Request) -> None:
        header = {"id": request.id}
        try:
            answer = await asyncio.to_thread(self._handle, request)
            await self._send(header, answer)
        except (PushforwardError, OSError, Interrupted) as error:
            text = str(error) or "the fit was stopped"
            await self._send({**header, "error": text}, Answer())
        except (WebSocketDisconnect, asyncio.CancelledError):
            raise
        except Exception as error:
            log.exception("%s failed", request.verb)
            text = f"{request.verb} failed ({type(error).__name__}: {error}); please report this"
            await self._send({**header, "error": text}, Answer())

    async def _send(self, header: Mapping[str, object], answer: Answer) -> None:
        message = pack(header, answer)
        async with self._sending:
            await self._socket.send_bytes(message)
