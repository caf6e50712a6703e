"""One page's socket: what is computed at once, what is held, and what is said of failures."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pushforward.core.errors import InvalidValue
from pushforward.studio import connection
from pushforward.studio.connection import MOST_AT_ONCE, Connection
from pushforward.studio.messages import Answer, Request, unpack
from tests.loops import run


class Page:
    """The server's side of a socket, with a page that sends some messages and leaves."""

    def __init__(self, messages: list[str | bytes], stay: Callable[[list[Any]], bool]) -> None:
        self.messages, self.stay = iter(messages), stay
        self.answers: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        for message in self.messages:
            await asyncio.sleep(0.001)  # as over a network, where others have their turns
            kind = "text" if isinstance(message, str) else "bytes"
            return {"type": "websocket.receive", kind: message}
        while self.stay(self.answers):
            await asyncio.sleep(0.005)
        return {"type": "websocket.disconnect"}

    async def send_bytes(self, message: bytes) -> None:
        self.answers.append(unpack(message)[0])


def serve(
    messages: list[str | bytes], handle: Callable[[Request], Answer], expected: int
) -> list[dict[str, Any]]:
    """What a page is answered."""
    page: Any = Page(messages, lambda answers: len(answers) < expected)
    with ThreadPoolExecutor(16) as workers:
        run(asyncio.wait_for(Connection(page, handle, workers).serve(), 30))
    answers: list[dict[str, Any]] = page.answers
    return answers


def request(id: int, channel: str = "") -> str:
    return json.dumps({"id": id, "verb": "a.b", "channel": channel})


def with_file(id: int, size: int, channel: str = "") -> bytes:
    head = request(id, channel).encode()
    return struct.pack("<I", len(head)) + head + bytes(size)


def test_a_page_has_some_of_the_threads_only() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def slow(request: Request) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.02)
        with lock:
            now -= 1
        return Answer()

    assert len(serve([request(i) for i in range(20)], slow, 20)) == 20
    assert most == MOST_AT_ONCE


def test_large_files_are_held_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_HELD", 1000)
    release = threading.Event()

    def slow(request: Request) -> Answer:
        release.wait(0.2)
        return Answer()

    answers = serve([with_file(i, 300) for i in range(5)] + [request(9)], slow, 6)
    refused = {a["id"] for a in answers if "too many large files" in a.get("error", "")}
    assert refused == {3, 4}
    alone = [with_file(1, 900, "photo"), request(7)]
    assert all("error" not in a for a in serve(alone, slow, 2))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidValue("choose another"), "choose another"),
        (FileNotFoundError(2, "No such file", "x" * 9000), "No such file"),
        (RecursionError(), "the request is nested too deeply"),
        (MemoryError(), "not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "not enough memory",
        ),
        (KeyError("x"), "a.b failed (KeyError: 'x'); please report this"),
    ],
)
def test_failures_are_answered_in_a_line(error: Exception, text: str) -> None:
    def fail(request: Request) -> Answer:
        raise error

    (answer,) = serve([request(3)], fail, 1)
    assert answer["id"] == 3
    assert text in answer["error"]
    assert len(answer["error"]) < 2000


def test_what_cannot_be_packed_is_answered_too() -> None:
    (answer,) = serve([request(3)], lambda request: Answer({"x": object()}), 1)
    assert "a.b failed (TypeError" in answer["error"]


def test_a_request_that_waits_is_replaced_by_the_next_on_its_channel() -> None:
    seen: list[int] = []
    all_came = threading.Event()

    def slow(request: Request) -> Answer:
        seen.append(request.id)
        if request.id == 0:
            assert all_came.wait(20)
        elif request.channel == "last":
            all_came.set()
        return Answer()

    messages: list[str | bytes] = [request(i, "c") for i in range(50)]
    answers = serve([*messages, request(50, "last")], slow, 3)
    assert sorted(a["id"] for a in answers) == sorted(seen) == [0, 49, 50]


def test_nothing_is_computed_for_a_page_that_has_left() -> None:
    seen: list[int] = []

    def slow(request: Request) -> Answer:
        seen.append(request.id)
        threading.Event().wait(0.1)
        return Answer()

    async def visit(workers: ThreadPoolExecutor) -> int:
        page: Any = Page([request(i) for i in range(20)], lambda answers: not seen)
        await Connection(page, slow, workers).serve()
        await asyncio.sleep(0.01)
        return len(asyncio.all_tasks())

    with ThreadPoolExecutor(16) as workers:
        assert run(visit(workers)) == 1  # nothing waits for what is still computed
    assert len(seen) <= MOST_AT_ONCE


def test_a_socket_that_closes_meanwhile_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    class Closed(Page):
        async def send_bytes(self, message: bytes) -> None:
            self.answers.append({})
            raise RuntimeError('Cannot call "send" once a close message has been sent.')

    for first in ("{", request(1)):
        page: Any = Closed([first], lambda answers: not answers)
        with ThreadPoolExecutor(4) as workers:
            run(Connection(page, lambda request: Answer(), workers).serve())
    assert not caplog.records
